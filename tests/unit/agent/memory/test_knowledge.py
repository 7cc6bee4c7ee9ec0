from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.agent.memory.knowledge import Found, Knowledge
from goldgate.agent.memory.tokens import CUT_MARK, count_tokens
from goldgate.agent.prompts import passage_block
from goldgate.contracts.resources import RetrievalSpec
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.knowledge import Chunk, Reranker, Scored
from tests.fakes.in_memory_knowledge import ScriptedChunkIndex


class ReversingReranker:
    """Implements `goldgate.ports.knowledge.Reranker`."""

    def rerank(self, question: str, chunks: Sequence[Chunk]) -> list[Scored]:  # noqa: ARG002 - as the port names it
        return [Scored(id=chunk.id, score=0.0) for chunk in reversed(chunks)]


class ScriptedReranker:
    """Implements `goldgate.ports.knowledge.Reranker`: names what it is told to, or fails."""

    def __init__(self, outcome: Sequence[str] | Exception) -> None:
        self._outcome = outcome

    def rerank(self, question: str, chunks: Sequence[Chunk]) -> list[Scored]:  # noqa: ARG002 - as the port names it
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return [Scored(id=each, score=0.0) for each in self._outcome]


class FailingIndex:
    """Implements `goldgate.ports.knowledge.ChunkIndex`."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def search(self, question: str, *, limit: int) -> list[Scored]:  # noqa: ARG002 - as the port names it
        self.asked += 1
        raise self.error


def knowledge(
    spec: RetrievalSpec,
    *,
    lexical: Sequence[tuple[str, float]] = (),
    vectors: Sequence[tuple[str, float]] = (),
    reranker: Reranker | None = None,
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


AWAY = TransientError("away")
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


class TestFindWithoutVectors:
    def find(self, error: Exception = AWAY, **fields: object) -> Found:
        held = knowledge(RetrievalSpec.model_validate(fields), lexical=LEXICAL)
        return replace(held, vectors=FailingIndex(error)).find("q")

    @pytest.mark.parametrize("error", [AWAY, PermanentError("refused")])
    def test_goes_on_by_words_alone_in_hybrid_mode_and_says_why(self, error):
        found = self.find(error, mode="hybrid")

        assert found.ids == ["a", "b", "c"]
        assert found.failure is error

    @pytest.mark.parametrize(
        "fields",
        [
            {"mode": "vector"},
            {"mode": "hybrid", "min_relevance": 0.3},
            {"mode": "lexical", "min_relevance": 0.3},
            {"mode": "hybrid", "lexical_weight": 0},
        ],
    )
    def test_fails_where_the_agent_cannot_do_without(self, fields):
        with pytest.raises(TransientError, match="away"):
            self.find(**fields)


class TestRerank:
    def test_keeps_the_order_without_a_reranker(self):
        ordered = knowledge(RetrievalSpec()).rerank("q", ["b", "a"])

        assert [chunk.id for chunk in ordered.passages] == ["b", "a"]

    def test_merges_the_careful_order_with_the_one_given(self):
        ordered = knowledge(RetrievalSpec(), reranker=ReversingReranker()).rerank("q", ["a", "b", "c"])

        assert sorted(chunk.id for chunk in ordered.passages) == ["a", "b", "c"]
        assert ordered.passages[-1].id == "b"

    @pytest.mark.parametrize("error", [TransientError("away"), PermanentError("refused")])
    def test_keeps_the_order_and_says_why_when_the_reranker_fails(self, error):
        ordered = knowledge(RetrievalSpec(), reranker=ScriptedReranker(error)).rerank("q", ["b", "a"])

        assert [chunk.id for chunk in ordered.passages] == ["b", "a"]
        assert ordered.failure is error

    def test_keeps_the_order_when_the_reranker_names_a_passage_twice(self):
        ordered = knowledge(RetrievalSpec(), reranker=ScriptedReranker(["a", "a"])).rerank("q", ["b", "a"])

        assert [chunk.id for chunk in ordered.passages] == ["b", "a"]
        assert isinstance(ordered.failure, PermanentError)

    def test_gives_every_candidate_once_whatever_the_reranker_leaves_out_or_makes_up(self):
        ordered = knowledge(RetrievalSpec(), reranker=ScriptedReranker(["gone", "c"])).rerank("q", ["a", "b", "c"])

        assert [chunk.id for chunk in ordered.passages] == ["c", "a", "b"]
        assert ordered.failure is None


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
