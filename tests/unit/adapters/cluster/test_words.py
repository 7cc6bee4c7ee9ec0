"""What people say to a run is read whatever else stands beside it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.adapters.cluster.words import heard_in, key_of, text_of
from goldgate.contracts.cluster import WORD_ANNOTATION
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.events import Word
from goldgate.ports.task_runs import RunWord

AT = datetime(2026, 3, 1, tzinfo=UTC)
SAID = RunWord(id="w1", at=AT, by="ann", cancels=True, text="not needed")
KEY = key_of(SAID)


def beside(text: str, *, key: str = f"{WORD_ANNOTATION}x") -> dict[str, object]:
    """The annotations of a run with a word, and something else that is called one."""
    return {"annotations": {KEY: text_of(SAID), key: text}}


WITHOUT_ZONE = json.dumps({"id": "w2", "at": "2026-03-01T00:00:00", "by": "ann", "text": "yes"})
TOO_LONG = text_of(SAID).replace("not needed", "x" * 200_000)


class TestHeardIn:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("", "no word"),
            ("{", "no word"),
            ("[]", "no word"),
            ('"cancel"', "no word"),
            ('{"id": "w", "at": "yesterday", "by": "ann"}', "no word"),
            ("[" * 5_000, "no word"),
            (WITHOUT_ZONE, "a time without its zone"),
            (text_of(SAID), "a word of another name"),
            (TOO_LONG, "bytes"),
            ("x" * 200_000, "200000 bytes"),
        ],
        ids=lambda text: text[:20],
    )
    def test_sets_aside_what_is_no_word_and_reads_the_others(self, text: str, found: str):
        heard = heard_in(beside(text))

        assert heard.words == (SAID,)
        (aside,) = heard.set_aside
        assert found in aside.problem
        assert f"`{WORD_ANNOTATION}x`" in aside.problem
        assert len(aside.problem) < 500

    def test_tells_what_was_set_aside_from_what_stood_there_before(self):
        marks = {heard_in(beside(text)).set_aside[0].mark for text in ("{", "{", "[")}

        assert len(marks) == 2

    def test_gives_words_in_the_order_in_which_they_were_said(self):
        said = [RunWord(id=f"w{at}", at=AT + timedelta(seconds=at), by="ann", word=Word.APPROVE) for at in (2, 0, 1)]

        heard = heard_in({"annotations": {key_of(word): text_of(word) for word in said}})

        assert [word.id for word in heard.words] == ["w0", "w1", "w2"]

    @pytest.mark.parametrize("metadata", [{}, {"annotations": None}, {"annotations": {"other/word-": "{"}}])
    def test_hears_nothing_where_nothing_was_said(self, metadata: dict[str, object]):
        heard = heard_in(metadata)

        assert (heard.words, heard.set_aside) == ((), ())

    @given(st.dictionaries(st.text(max_size=5), st.text() | st.just(text_of(SAID)), max_size=5))
    def test_reads_each_word_whatever_stands_beside_it(self, others: dict[str, str]):
        others = {WORD_ANNOTATION + key: text for key, text in others.items()}

        heard = heard_in({"annotations": {**others, KEY: text_of(SAID)}})

        assert heard.words == (SAID,)
        assert len(heard.set_aside) == len(others.keys() - {KEY})


class TestTextOf:
    def test_refuses_what_would_be_set_aside(self):
        with pytest.raises(PermanentError, match="expected at most 100000"):
            text_of(RunWord(id="w", at=AT, by="ann", text="x" * 100_000))
