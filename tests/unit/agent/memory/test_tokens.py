from hypothesis import given
from hypothesis import strategies as st

from goldgate.agent.memory.tokens import CUT_MARK, count_tokens, cut_to_tokens


class TestCountTokens:
    def test_is_zero_for_no_text(self):
        assert count_tokens("") == 0

    def test_takes_four_bytes_for_a_token_and_rounds_up(self):
        assert [count_tokens("abcd"), count_tokens("abcde"), count_tokens("äöü")] == [1, 2, 2]

    @given(st.text(), st.text())
    def test_never_shrinks_when_text_is_added(self, text, more):
        assert count_tokens(text + more) >= count_tokens(text)


class TestCutToTokens:
    def test_leaves_a_text_that_fits(self):
        assert cut_to_tokens("one two", budget=2) == "one two"

    def test_cuts_at_a_word_and_marks_the_cut(self):
        cut = cut_to_tokens("alpha beta gamma delta epsilon", budget=5)

        assert cut == "alpha beta" + CUT_MARK

    def test_is_empty_when_not_even_a_word_fits(self):
        assert cut_to_tokens("incomprehensibilities for everyone", budget=3) == ""

    @given(st.text(), st.integers(min_value=0, max_value=50))
    def test_never_exceeds_its_budget(self, text, budget):
        assert count_tokens(cut_to_tokens(text, budget=budget)) <= budget
