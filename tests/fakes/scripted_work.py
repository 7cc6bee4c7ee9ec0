"""A work that does what it was told to do, and remembers what was asked of it."""

import threading
from collections.abc import Callable

from goldgate.contracts.prediction import PredictResponse
from goldgate.domain.runs.events import AgentReady, Answered, Broke, ModelReplied, ToolReturned, ToolWaits
from goldgate.domain.runs.state import Call, Fate, Nature, RunState

Tool = Callable[[Call], ToolReturned | ToolWaits]


def wants(*names: str, nature: Nature = Nature.ASK, fate: Fate = Fate.STARTED) -> ModelReplied:
    """A reply that asks for one call of each tool named."""
    calls = tuple(
        Call(id=f"call-{position}", name=name, arguments=f'{{"n": {position}}}', nature=nature, fate=fate)
        for position, name in enumerate(names)
    )
    return ModelReplied(content="", calls=calls, finish_reason="tool_calls")


def gives(call: Call) -> ToolReturned:
    """What a tool of this fake returns by default."""
    return ToolReturned(call_id=call.id, content=f"{call.name} of {call.key}")


class ScriptedWork:
    """Implements `goldgate.ports.agents.Work`: its replies come in order, the last one for ever."""

    trace_id = "ab" * 16
    span_id = "cd" * 8

    def __init__(
        self,
        *replies: ModelReplied | Answered | Broke,
        begins: AgentReady | Answered | Broke | None = None,
        tool: Tool = gives,
    ) -> None:
        self._replies = list(replies)
        self._begins = begins or AgentReady(messages=())
        self._tool = tool
        self._lock = threading.Lock()
        self.asked: list[RunState] = []
        self.made: list[Call] = []

    def begin(self) -> AgentReady | Answered | Broke:
        return self._begins

    def ask(self, state: RunState) -> ModelReplied | Answered | Broke:
        with self._lock:
            self.asked.append(state)
            return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    def call(self, state: RunState, call: Call) -> ToolReturned | ToolWaits:  # noqa: ARG002 - the port's signature
        with self._lock:
            self.made.append(call)
        return self._tool(call)

    def respond(self, state: RunState) -> PredictResponse:
        return PredictResponse(
            answer=state.output or "",
            refused=state.refused,
            latency_ms_total=0,
            latency_ms_llm=0,
            error=state.error,
            trace_id=self.trace_id,
            model="scripted-1",
            prompt="scripted@0",
        )
