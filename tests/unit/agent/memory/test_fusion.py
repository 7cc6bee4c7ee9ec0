import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.agent.memory.fusion import DuplicateChunkError, fuse_rankings

rankings = st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True), max_size=4)


class TestFuseRankings:
    def test_is_empty_without_rankings(self):
        assert fuse_rankings([]) == []

    def test_prefers_what_several_rankings_agree_on(self):
        assert fuse_rankings([["a", "b", "c"], ["d", "b", "e"]])[0] == "b"

    def test_follows_the_heavier_ranking(self):
        assert fuse_rankings([["a", "b"], ["b", "a"]], weights=[1.0, 2.0]) == ["b", "a"]

    def test_does_not_read_a_ranking_of_weight_zero(self):
        assert fuse_rankings([["a"], ["b"]], weights=[1.0, 0.0]) == ["a"]

    def test_keeps_the_order_of_first_appearance_in_a_tie(self):
        assert fuse_rankings([["x", "y"], ["y", "x"]]) == ["x", "y"]

    def test_refuses_an_id_that_is_twice_in_a_ranking(self):
        with pytest.raises(DuplicateChunkError, match="`a` twice") as caught:
            fuse_rankings([["a", "b", "a"]])

        assert caught.value.chunk_id == "a"

    def test_refuses_weights_that_are_not_one_each(self):
        with pytest.raises(ValueError, match="zip"):
            fuse_rankings([["a"]], weights=[1.0, 2.0])

    @given(rankings)
    def test_names_every_id_once(self, lists):
        fused = fuse_rankings(lists)

        assert sorted(fused) == sorted({chunk_id for ranking in lists for chunk_id in ranking})

    @given(st.lists(st.sampled_from("abcdefgh"), unique=True))
    def test_changes_nothing_about_one_ranking(self, ranking):
        assert fuse_rankings([ranking]) == ranking
