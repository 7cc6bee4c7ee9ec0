from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from goldgate.agent.memory.knowledge import Knowledge
from goldgate.agent.memory.tokens import CUT_MARK, count_tokens
from goldgate.agent.prompts import passage_block
from goldgate.contracts.resources import RetrievalSpec
from goldgate.ports.knowledge import Chunk, Scored
from tests.fakes.in_memory_knowledge import ScriptedChunkIndex


class ReversingReranker:
    """Implements `goldgate.ports.knowledge.Reranker`."""

    def rerank(self, question: str, chunks: Sequence[Chunk]) -> list[Scored]:  # noqa: ARG002 - as the port names it
        return [Scored(id=chunk.id, score=0.0) for chunk in reversed(chunks)]


def knowledge(
    spec: RetrievalSpec,
    *,
    lexical: Sequence[tuple[str, float]] = (),
    vectors: Sequence[tuple[str, float]] = (),
    reranker: ReversingReranker | None = None,
    text: str = "text",
) -> Knowledge:
    chunks = {name: Chunk(id=name, title=name, text=text) for name in "abcdef"}
    return Knowledge(
        spec=spec,
        chunks=chunks,
        lexical=ScriptedChunkIndex(*lexical),
        vectors=ScriptedChunkIndex(*vectors),
        reranker=reranker,
    )


LEXICAL = [("a", 9.0), ("b", 8.0), ("c", 7.0)]
VECTORS = [("c", 0.9), ("d", 0.8), ("a", 0.7)]


class TestFind:
    def test_uses_the_lexical_ranking_alone_in_lexical_mode(self):
        found = knowledge(RetrievalSpec(mode="lexical"), lexical=LEXICAL, vectors=VECTORS).find("q")

        assert found.ids == ["a", "b", "c"]

    def test_uses_the_vector_ranking_alone_in_vector_mode(self):
        found = knowledge(RetrievalSpec(mode="vector"), lexical=LEXICAL, vectors=VECTORS).find("q")

        assert found.ids == ["c", "d", "a"]

    def test_fuses_both_in_hybrid_mode(self):
        found = knowledge(RetrievalSpec(mode="hybrid"), lexical=LEXICAL, vectors=VECTORS).find("q")

        assert found.ids == ["a", "c", "b", "d"]

    def test_weighs_the_rankings_as_the_agent_says(self):
        spec = RetrievalSpec(mode="hybrid", lexical_weight=0.0)

        assert knowledge(spec, lexical=LEXICAL, vectors=VECTORS).find("q").ids == ["c", "d", "a"]

    def test_takes_no_more_candidates_of_each_than_asked(self):
        spec = RetrievalSpec(mode="hybrid", candidates=1)

        assert knowledge(spec, lexical=LEXICAL, vectors=VECTORS).find("q").ids == ["a", "c"]

    def test_measures_relevance_only_for_an_agent_that_asks(self):
        spec = RetrievalSpec(mode="lexical", min_relevance=0.5)

        assert knowledge(spec, lexical=LEXICAL, vectors=VECTORS).find("q").relevance == 0.9
        assert knowledge(RetrievalSpec(mode="lexical"), vectors=VECTORS).find("q").relevance is None

    def test_takes_a_question_without_words_for_irrelevant(self):
        found = knowledge(RetrievalSpec(mode="vector", min_relevance=0.5), vectors=VECTORS).find(" ")

        assert (found.ids, found.relevance) == ([], -1.0)

    def test_leaves_out_ids_that_the_corpus_does_not_know(self):
        found = knowledge(RetrievalSpec(mode="lexical"), lexical=[("gone", 9.0), ("a", 1.0)]).find("q")

        assert found.ids == ["a"]


class TestRerank:
    def test_keeps_the_order_without_a_reranker(self):
        ordered = knowledge(RetrievalSpec()).rerank("q", ["b", "a"])

        assert [chunk.id for chunk in ordered] == ["b", "a"]

    def test_merges_the_careful_order_with_the_one_given(self):
        ordered = knowledge(RetrievalSpec(), reranker=ReversingReranker()).rerank("q", ["a", "b", "c"])

        assert sorted(chunk.id for chunk in ordered) == ["a", "b", "c"]
        assert ordered[-1].id == "b"


class TestWithinBudget:
    def spec(self, **fields: object) -> RetrievalSpec:
        return RetrievalSpec.model_validate({"k": 3, "context_tokens": 1000, **fields})

    def test_keeps_at_most_k(self):
        held = knowledge(self.spec())

        kept = held.within_budget(list(held.chunks.values()), question_tokens=1)

        assert [chunk.id for chunk in kept] == ["a", "b", "c"]

    def test_cuts_the_passage_that_does_not_fit_and_marks_the_cut(self):
        held = knowledge(self.spec(context_tokens=80), text="word " * 60)

        kept = held.within_budget(list(held.chunks.values()), question_tokens=1)

        assert [chunk.id for chunk in kept] == ["a"]
        assert kept[0].text.endswith(CUT_MARK)

    def test_leaves_out_a_passage_of_which_next_to_nothing_fits(self):
        held = knowledge(self.spec(context_tokens=95), text="word " * 55)

        kept = held.within_budget(list(held.chunks.values()), question_tokens=1)

        assert [chunk.text.endswith(CUT_MARK) for chunk in kept] == [False]

    def test_widens_for_a_question_above_the_threshold_only(self):
        long = {"over_tokens": 100, "k": 6, "context_tokens": 5000}
        held = knowledge(self.spec(long_question=long))
        passages = list(held.chunks.values())

        assert len(held.within_budget(passages, question_tokens=100)) == 3
        assert len(held.within_budget(passages, question_tokens=101)) == 6

    @given(st.integers(min_value=1, max_value=300), st.text(alphabet="abc é\n", min_size=1, max_size=600))
    def test_never_gives_more_than_the_budget(self, budget, text):
        held = knowledge(self.spec(context_tokens=budget, k=6), text=text)

        kept = held.within_budget(list(held.chunks.values()), question_tokens=1)

        assert sum(count_tokens(passage_block(chunk)) for chunk in kept) <= budget
