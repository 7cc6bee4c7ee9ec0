from hypothesis import given
from hypothesis import strategies as st

from goldgate.agent.memory.tokens import CUT_MARK, count_tokens, cut_middle, cut_to_tokens


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

    def test_cuts_a_text_without_spaces_where_it_has_to(self):
        assert cut_to_tokens("港" * 100, budget=30) == "港" * 38 + CUT_MARK

    @given(st.text(alphabet="ab \n港", max_size=400), st.integers(min_value=0, max_value=60))
    def test_never_keeps_less_for_a_greater_budget(self, text, budget):
        small, large = (cut_to_tokens(text, budget=each).removesuffix(CUT_MARK) for each in (budget, budget + 1))

        assert large.startswith(small)


class TestCutMiddle:
    def test_leaves_a_text_that_fits(self):
        assert cut_middle("one two", budget=2) == "one two"

    def test_keeps_twice_as_much_of_the_beginning_as_of_the_end(self):
        head, _, tail = cut_middle("h" * 500 + "t" * 500, budget=40).partition(" [… cut, of 250 tokens …] ")

        assert (head, tail) == ("h" * 87, "t" * 43)

    def test_is_the_bare_mark_or_nothing_where_no_word_fits(self):
        assert [cut_middle("word " * 50, budget=each) for each in (4, 2, 1, 0)] == ["[…]", "[…]", "", ""]

    @given(st.text(max_size=500), st.integers(min_value=0, max_value=60))
    def test_never_exceeds_its_budget(self, text, budget):
        assert count_tokens(cut_middle(text, budget=budget)) <= budget
