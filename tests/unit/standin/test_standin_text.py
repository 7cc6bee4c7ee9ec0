"""Words, stems and tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.standin.text import content_stems, sentences, stem, tokens, words


class TestWords:
    def test_splits_identifiers_and_drops_possessives(self):
        assert words("The DAG's `dag_id` is AIRFLOW__CORE-2") == [
            "the",
            "dag",
            "dag",
            "id",
            "is",
            "airflow",
            "core",
            "2",
        ]


class TestStem:
    @pytest.mark.parametrize(
        "family",
        [
            ("configure", "configures", "configured", "configuring", "configuration"),
            ("retry", "retries", "retried"),
            ("stop", "stops", "stopped", "stopping"),
            ("execute", "executor", "execution", "executing"),
            ("parallel", "parallelism"),
            ("schedule", "scheduler", "schedulers", "scheduling"),
            ("deploy", "deployment", "deployed"),
        ],
    )
    def test_brings_a_family_of_words_together(self, family):
        assert len({stem(word) for word in family}) == 1

    @pytest.mark.parametrize("word", ["dag", "is", "status", "class", "string", "need"])
    def test_leaves_words_alone_whose_ending_is_their_own(self, word):
        assert stem(word) == word


class TestContentStems:
    def test_leaves_out_what_only_carries_structure(self):
        assert content_stems("How do I set the number of workers?") == ["set", "numb", "work"]


class TestSentences:
    def test_splits_after_marks_and_not_inside_names(self):
        assert sentences("Use core.parallelism. Restart! Done") == ["Use core.parallelism.", "Restart!", "Done"]


class TestTokens:
    @given(st.text())
    def test_lose_nothing(self, text):
        assert "".join(tokens(text)) == text

    @pytest.mark.parametrize(
        ("text", "count"),
        [("", 0), ("hello world", 2), ("configuration", 2), ("2026-11-21", 6), ("a  \n", 2), ("core.parallelism", 4)],
    )
    def test_are_counted_by_the_written_rule(self, text, count):
        assert len(tokens(text)) == count
