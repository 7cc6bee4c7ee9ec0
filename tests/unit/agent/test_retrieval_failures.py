"""What a request and its trace show when a part of retrieval fails."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from goldgate.agent.runtime import AgentRuntime
from goldgate.contracts.prediction import PredictRequest, PredictResponse
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.knowledge import Chunk, Scored
from goldgate.ports.traces import SpanRecord
from tests.fakes.equipment import equipment
from tests.fakes.scripted_chat_model import ScriptedChatModel, says

HYBRID = """\
corpus: {files: ["corpus/*"]}
retrieval: {mode: hybrid, k: 1}
"""
SECRET = "what the endpoint wrote"


class AwayIndex:
    """Implements `goldgate.ports.knowledge.ChunkIndex` for an embedder that is away."""

    def search(self, question: str, *, limit: int) -> list[Scored]:  # noqa: ARG002 - as the port names it
        raise TransientError(SECRET)


class RefusingReranker:
    """Implements `goldgate.ports.knowledge.Reranker`."""

    def rerank(self, question: str, chunks: Sequence[Chunk]) -> list[Scored]:  # noqa: ARG002 - as the port names it
        raise PermanentError(SECRET)


class KeptSpans:
    """Implements `goldgate.ports.traces.SpanSink`."""

    dropped = 0

    def __init__(self) -> None:
        self.spans: list[SpanRecord] = []

    def record(self, span: SpanRecord) -> None:
        self.spans.append(span)

    def close(self) -> None:
        pass

    def degraded(self, name: str) -> object:
        return next(
            (
                s.attributes["goldgate.retrieval.degraded"]
                for s in self.spans
                if s.name == name and s.attributes.get("goldgate.retrieval.degraded")
            ),
            None,
        )


def asked(folder: Path, spans: KeptSpans, **parts: object) -> PredictResponse:
    whole = equipment(folder, ScriptedChatModel(says("Set it [core.parallelism].")), HYBRID)
    whole = replace(whole, knowledge=replace(whole.knowledge, **parts), sink=spans)
    return AgentRuntime(whole).predict(PredictRequest(question="How many tasks at once?"))


class TestARequest:
    @pytest.mark.parametrize(
        ("parts", "span", "flag"),
        [
            ({"vectors": AwayIndex()}, "retrieval", "vectors: unavailable"),
            ({"reranker": RefusingReranker()}, "rerank", "reranker: refused"),
        ],
    )
    def test_is_answered_from_what_works_and_its_trace_says_what_did_not(self, tmp_path, parts, span, flag):
        spans = KeptSpans()

        response = asked(tmp_path, spans, **parts)

        assert response.error is None
        assert response.retrieved == ["core.parallelism"]
        assert spans.degraded(span) == flag
        assert SECRET not in str(spans.spans)

    def test_has_no_flag_when_all_works(self, tmp_path):
        spans = KeptSpans()

        asked(tmp_path, spans)

        assert {spans.degraded(span.name) for span in spans.spans} == {None}
