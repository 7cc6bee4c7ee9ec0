"""Arms that answer as a test has written down."""

from collections import defaultdict

from goldgate.contracts.prediction import PredictRequest, PredictResponse, Usage
from goldgate.ports.delivery import ArmFailedError, ArmFailure


def response(
    *, trace_id: str | None, answer: str = "42", error: str | None = None, **changes: object
) -> PredictResponse:
    """An answer with figures that differ from zero."""
    facts: dict[str, object] = {
        "answer": answer,
        "refused": False,
        "citations": ["a"],
        "retrieved": ["a", "b"],
        "usage": Usage(tokens_in=10, tokens_out=5, tokens_cached=4, cost_usd=0.001, llm_calls=1),
        "latency_ms_total": 20.0,
        "latency_ms_llm": 15.0,
        "error": error,
        "trace_id": trace_id or "0" * 32,
        "model": "m",
        "prompt": "helper@0123456789ab",
    }
    return PredictResponse.model_validate({**facts, **changes})


class ScriptedArmClient:
    """Implements `goldgate.ports.delivery.ArmClient`: answers well unless told otherwise, by address."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, PredictRequest]] = []
        self.parents: list[str | None] = []
        self.failing: dict[str, ArmFailure] = {}
        self.answers: dict[str, dict[str, object]] = defaultdict(dict)
        """What differs from `response()`, by address."""
        self.is_closed = False

    async def predict(
        self,
        address: str,
        request: PredictRequest,
        *,
        within_s: float,  # noqa: ARG002
        parent_span_id: str | None = None,
    ) -> PredictResponse:
        self.asked.append((address, request))
        self.parents.append(parent_span_id)
        if (failure := self.failing.get(address)) is not None:
            raise ArmFailedError(f"{address}: {failure}", failure=failure)
        return response(trace_id=request.trace_id, **self.answers[address])  # type: ignore[arg-type]

    async def close(self) -> None:
        self.is_closed = True
