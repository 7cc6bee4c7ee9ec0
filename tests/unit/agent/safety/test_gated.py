import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.agent.safety.disguises import plain_views
from goldgate.agent.safety.gated import GatedPatterns, needed_words
from goldgate.agent.safety.injection_forms import IN_CONTEXT
from goldgate.contracts.documents import read_jsonl
from goldgate.contracts.labelled import InstructionText
from goldgate.entrypoints.safety_sets import SETS


class TestNeededWords:
    @pytest.mark.parametrize(
        ("pattern", "words"),
        [
            (r"\b(?:ignore|disregards?)\s+all", ("disregard", "ignore")),
            (r"\byour system", ("your system",)),
            (r"\b(?:a(?:b|c)|de)f", ()),
            (r"\bone\b|two{0,2}", ("one", "tw")),
            (r"(?:one)?two", ()),
            (r"[ab]c", ()),
            (r"\|x", ()),
        ],
    )
    def test_are_what_a_pattern_cannot_do_without(self, pattern, words):
        assert needed_words(pattern) == words


class TestGatedPatterns:
    def test_find_the_same_as_all_patterns_at_every_place(self):
        every = [re.compile(pattern, re.IGNORECASE | re.MULTILINE) for pattern in IN_CONTEXT]
        gated = GatedPatterns(IN_CONTEXT)

        for row in read_jsonl(SETS / "instructions.jsonl", InstructionText):
            for view in plain_views(row.text):
                assert gated.found_in(view) == any(pattern.search(view) for pattern in every), row.id

    @given(st.sampled_from([r"\b(?:ab|ba?)c", "a{0,1}b|ca", r"(?:a|bc)\b", "abc?|b"]), st.text("abcAB ", max_size=8))
    def test_find_the_same_in_any_text(self, pattern, text):
        assert GatedPatterns([pattern]).found_in(text) == bool(re.search(pattern, text, re.IGNORECASE | re.MULTILINE))
