import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldgate.domain.bounded_pattern import pattern_problem

parts = st.sampled_from(["a", "b", ".", r"\w", "[ab]", "(?:a|b)", "?", "{0,9}", "{2}", "{0,3}", "|", "(a", ")", r"\b"])


class TestPatternProblem:
    @pytest.mark.parametrize(
        "pattern",
        [
            r"\b(?:buy|sell)\b.{0,40}\bshares?\b",
            "diagnos(?:e|is)",
            r"[A-Z]{2}\d{4}",
            r"a\*b\+c",
            "[*+]",
            "x{3}?",
            "[]a]b",
        ],
    )
    def test_is_none_for_what_has_an_end(self, pattern):
        assert pattern_problem(pattern) is None

    @pytest.mark.parametrize(
        ("pattern", "problem"),
        [
            ("a*", "every repeat with an end"),
            (".+b", "every repeat with an end"),
            ("a{3,}", "every repeat with an end"),
            ("(?:a{0,9}){0,9}", "no repeated group"),
            ("(a|a){1,30}", "no repeated group"),
            ("(?:a?){30}", "no repeated group"),
            (".{0,99}a.{0,99}b", "at most 2000 ways"),
            ("a{0,999}", "at most 200 repeats"),
            ("(?=a)b", "no look-around"),
            ("(?i)b", "no look-around"),
            (r"(a)\1", "no reference"),
            ("(", "a regular expression"),
            ("[a", "a regular expression"),
            ("a)", "a regular expression"),
        ],
    )
    def test_names_what_may_cost_too_much_or_is_no_pattern(self, pattern, problem):
        assert problem in (pattern_problem(pattern) or "")

    @given(st.lists(parts, min_size=1, max_size=12).map("".join))
    @settings(max_examples=300)
    def test_lets_nothing_through_that_python_would_not_compile(self, pattern):
        if pattern_problem(pattern) is None:
            re.compile(pattern)

    @pytest.mark.timeout(60)
    @given(st.lists(parts, min_size=1, max_size=12).map("".join))
    @settings(max_examples=60)
    def test_lets_nothing_through_that_runs_away(self, pattern):
        """What runs away takes years, and the time-out of this test seconds."""
        if pattern_problem(pattern) is None:
            re.search(f"(?:{pattern})c", "ab" * 500 + "a" * 500)
