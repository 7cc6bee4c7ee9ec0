"""A callable that returns what it was told to return."""

from collections.abc import Mapping

from pydantic import JsonValue

from goldgate.ports.foreign import CallableFailure


class ScriptedCallable:
    """Implements `goldgate.ports.foreign.ForeignCallable`: the last entry of its script repeats for ever."""

    def __init__(self, *script: JsonValue | CallableFailure, problem: str | None = None) -> None:
        self._script = list(script)
        self._problem = problem
        self.requests: list[Mapping[str, JsonValue]] = []
        self.limits_s: list[float] = []
        self.traceparents: list[str] = []
        self.closed = 0

    def start(self, *, within_s: float) -> str | None:  # noqa: ARG002 - the port
        return self._problem

    def ask(
        self, request: Mapping[str, JsonValue], *, within_s: float, traceparent: str
    ) -> JsonValue | CallableFailure:
        self.requests.append(request)
        self.limits_s.append(within_s)
        self.traceparents.append(traceparent)
        return self._script.pop(0) if len(self._script) > 1 else self._script[0]

    def close(self) -> None:
        self.closed += 1
