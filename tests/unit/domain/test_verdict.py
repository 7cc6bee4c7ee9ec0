"""Verdicts combine fail-closed."""

from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.verdict import Verdict, worst


class TestWorst:
    def test_shows_nothing_when_nothing_was_asked(self):
        assert worst([]) is Verdict.UNDECIDED

    @given(st.lists(st.sampled_from(Verdict), min_size=1))
    def test_lets_through_only_if_every_gate_does(self, verdicts):
        assert worst(verdicts).lets_through == all(verdict is Verdict.PASS for verdict in verdicts)

    @given(st.lists(st.sampled_from(Verdict)))
    def test_fails_if_any_gate_fails(self, verdicts):
        assert (worst(verdicts) is Verdict.FAIL) == (Verdict.FAIL in verdicts)
