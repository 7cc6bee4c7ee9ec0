"""An agent that answers with what it was asked, and how to load it as a packaged agent is loaded."""

from collections.abc import Mapping
from pathlib import Path

from goldgate.contracts.prediction import PredictRequest, PredictResponse, ToolCall


class EchoAgent:
    """Has the `predict` of every agent."""

    def __init__(self, prompt: str) -> None:
        self._prompt = prompt

    def predict(self, request: PredictRequest) -> PredictResponse:
        return PredictResponse(
            answer=f"{self._prompt}: {request.question} {request.context} {[turn.content for turn in request.history]}",
            refused=False,
            tool_calls=[ToolCall(name="t", arguments={"deep": {"a": [1]}}, is_error=False)],
            latency_ms_total=1,
            latency_ms_llm=1,
            trace_id=request.trace_id or "0" * 32,
            model="m",
            prompt="p",
        )


def load_echo(bundle: Path, *, env: Mapping[str, str]) -> EchoAgent:
    assert env
    return EchoAgent((bundle / "prompts" / "system.md").read_text())


def load_never(bundle: Path, *, env: Mapping[str, str]) -> EchoAgent:  # noqa: ARG001 - the signature of a loader
    raise AssertionError("the agent was loaded where it was only to be packaged")
