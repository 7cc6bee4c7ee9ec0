"""One request: pick the arm, ask it, and let no caller suffer from a canary that fails.

A canary that fails is logged as the canary's error, and the champion answers. An answer that says itself that it is
none (`error`) counts as a failure too, even where the question is said to be the reason: the champion may think
otherwise. A champion that fails has nobody behind it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from goldgate.contracts.prediction import QUESTION_REFUSED, RATE_LIMITED, PredictRequest, PredictResponse
from goldgate.contracts.request_log import Arm, RequestLog
from goldgate.domain import retrieval
from goldgate.domain.errors import TransientError
from goldgate.ports.delivery import ArmClient, ArmFailedError, Clock
from goldgate.ports.records import RequestLogWriter
from goldgate.serving.metrics import RouterMetrics
from goldgate.serving.rate_limits import Scope
from goldgate.serving.split import choose_arm, salt_of
from goldgate.serving.traces import ArmSpan, RequestTrace
from goldgate.serving.traffic_table import Route, Table

_MAX_ERROR_CHARS: Final = 200
"""An error names its kind; whatever else a model's endpoint said does not belong into the request log."""


class UnavailableError(TransientError):
    """No arm can answer now."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an arm said."""

    response: PredictResponse
    arm: Arm
    version: str


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """One question to one arm."""

    agent: str
    arm: Arm
    version: str
    address: str
    caller_hash: str
    release_id: str | None


class Dispatcher:
    """Answers requests by a table; see the module."""

    def __init__(
        self,
        *,
        client: ArmClient,
        log: RequestLogWriter,
        metrics: RouterMetrics,
        clock: Clock,
        monotonic_s: Callable[[], float],
        within_s: float,
    ) -> None:
        self._client = client
        self._log = log
        self._metrics = metrics
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._within_s = within_s

    async def answer(
        self, request: PredictRequest, *, route: Route, table: Table, caller_hash: str, trace: RequestTrace
    ) -> Answer:
        """Get an answer. Each arm asked has `within_s`, so a canary that hangs doubles the wait.

        Raises:
            UnavailableError: The champion has no arm that answers.
        """
        canary = _canary_for(route, table=table, caller_hash=caller_hash, now=self._clock.now())
        if canary is not None and (answer := await self._try_canary(request, canary, trace)) is not None:
            return answer
        if route.serving is None:
            nobody = _asked(
                route,
                table=table,
                caller_hash=caller_hash,
                arm="champion",
                version=route.champion or "none",
                address="",
            )
            self._log.add(self._failed(nobody, request, "arm: unavailable", seconds=0, span_id=trace.span_id))
            raise UnavailableError(f"Agent `{route.agent}` has no champion that is ready to answer. Try again shortly.")
        asked = _asked(
            route,
            table=table,
            caller_hash=caller_hash,
            arm="champion",
            version=route.serving.version,
            address=route.serving.address,
        )
        try:
            return await self._ask(request, asked, trace)
        except ArmFailedError as error:
            raise UnavailableError(
                f"The champion of agent `{route.agent}` did not answer ({error.failure}). Try again shortly."
            ) from error

    def refuse(
        self,
        request: PredictRequest,
        *,
        route: Route,
        table: Table,
        caller_hash: str,
        scope: Scope,
        trace: RequestTrace,
    ) -> None:
        """Log a request that is one too many. No arm was asked: it counts for none, though the champion is named."""
        asked = _asked(
            route, table=table, caller_hash=caller_hash, arm="champion", version=route.champion or "none", address=""
        )
        self._metrics.add("goldgate_rate_limited_total", labels={"agent": route.agent, "scope": scope})
        self._log.add(self._failed(asked, request, f"{RATE_LIMITED} {scope}", seconds=0, span_id=trace.span_id))

    async def _try_canary(self, request: PredictRequest, asked: _Asked, trace: RequestTrace) -> Answer | None:
        try:
            answer = await self._ask(request, asked, trace)
        except ArmFailedError:
            return None
        return answer if answer.response.error is None else None

    async def _ask(self, request: PredictRequest, asked: _Asked, trace: RequestTrace) -> Answer:
        """Ask one arm, and log what came of it."""
        started_s, span = self._monotonic_s(), _span_of(asked, trace)
        try:
            response = await self._client.predict(
                asked.address, request, within_s=self._within_s, parent_span_id=span.span_id
            )
        except ArmFailedError as error:
            span.end(outcome=error.failure, error=error.failure)
            self._count(asked, outcome=error.failure, seconds=self._monotonic_s() - started_s)
            self._log.add(
                self._failed(
                    asked,
                    request,
                    f"arm: {error.failure}",
                    seconds=self._monotonic_s() - started_s,
                    span_id=trace.span_id,
                )
            )
            raise
        seconds = self._monotonic_s() - started_s
        span.end(outcome=_outcome(response), error=None if response.error is None else _outcome(response))
        self._count(asked, outcome=_outcome(response), seconds=seconds)
        self._count_usage(asked, response)
        self._log.add(self._answered(asked, response, seconds=seconds, span_id=trace.span_id))
        return Answer(response=response, arm=asked.arm, version=asked.version)

    def _count(self, asked: _Asked, *, outcome: str, seconds: float) -> None:
        labels = {"agent": asked.agent, "arm": asked.arm, "version": asked.version}
        self._metrics.add("goldgate_requests_total", labels={**labels, "outcome": outcome})
        self._metrics.observe_latency(seconds, labels=labels)

    def _count_usage(self, asked: _Asked, response: PredictResponse) -> None:
        labels = {"agent": asked.agent, "arm": asked.arm, "version": asked.version}
        usage = response.usage
        directions = (("in", usage.tokens_in), ("out", usage.tokens_out), ("cached", usage.tokens_cached))
        for direction, tokens in directions:
            self._metrics.add("goldgate_tokens_total", tokens, labels={**labels, "direction": direction})
        self._metrics.add("goldgate_cost_usd_total", usage.cost_usd, labels=labels)
        for flag in set(response.safety_flags):
            self._metrics.add("goldgate_safety_blocks_total", labels={**labels, "flag": flag})

    def _answered(self, asked: _Asked, response: PredictResponse, *, seconds: float, span_id: str) -> RequestLog:
        given, usage = response.retrieved, response.usage
        tells_given = "retrieved" not in response.unmeasured
        tells_use = tells_given and "citations" not in response.unmeasured
        return RequestLog(
            at=self._clock.now(),
            agent=asked.agent,
            arm=asked.arm,
            release_id=asked.release_id,
            caller_hash=asked.caller_hash,
            trace_id=response.trace_id,
            span_id=span_id,
            model=f"{asked.agent}@{asked.version}",
            prompt=response.prompt,
            latency_ms_total=seconds * 1000,
            latency_ms_llm=response.latency_ms_llm,
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            tokens_cached=usage.tokens_cached,
            cost_usd=usage.cost_usd,
            is_metered=usage.is_metered,
            retriever_k=retrieval.retriever_k(given) if tells_given else None,
            hit_at_k=None,
            context_precision=None,
            context_use_rate=retrieval.context_use_rate(given, response.citations) if tells_use else None,
            safety_flags=list(response.safety_flags),
            error=response.error[:_MAX_ERROR_CHARS] if response.error else None,
        )

    def _failed(
        self, asked: _Asked, request: PredictRequest, error: str, *, seconds: float, span_id: str
    ) -> RequestLog:
        return RequestLog(
            at=self._clock.now(),
            agent=asked.agent,
            arm=asked.arm,
            release_id=asked.release_id,
            caller_hash=asked.caller_hash,
            trace_id=request.trace_id or "",
            span_id=span_id,
            model=f"{asked.agent}@{asked.version}",
            prompt=f"{asked.agent}@unknown",
            latency_ms_total=seconds * 1000,
            latency_ms_llm=0,
            tokens_in=0,
            tokens_out=0,
            tokens_cached=0,
            cost_usd=0,
            retriever_k=None,
            hit_at_k=None,
            context_precision=None,
            context_use_rate=None,
            safety_flags=[],
            error=error,
        )


def _span_of(asked: _Asked, trace: RequestTrace) -> ArmSpan:
    release = {} if asked.release_id is None else {"goldgate.release_id": asked.release_id}
    return trace.ask(
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": asked.agent,
            "goldgate.arm": asked.arm,
            "goldgate.version": asked.version,
            **release,
        }
    )


def _outcome(response: PredictResponse) -> str:
    if response.error is None:
        return "ok"
    return "question_refused" if response.error.startswith(QUESTION_REFUSED) else "agent_error"


def _canary_for(route: Route, *, table: Table, caller_hash: str, now: datetime) -> _Asked | None:
    """Pick the canary, if this caller is one of its share."""
    canary = route.canary_at(now)
    if canary is None or route.canary_address is None:
        return None
    if choose_arm(caller_hash, ratio=canary.ratio, salt=salt_of(route.agent, canary.version)) == "champion":
        return None
    return _asked(
        route,
        table=table,
        caller_hash=caller_hash,
        arm="canary",
        version=canary.version,
        address=route.canary_address,
    )


def _asked(route: Route, *, table: Table, caller_hash: str, arm: Arm, version: str, address: str) -> _Asked:
    return _Asked(
        agent=route.agent,
        arm=arm,
        version=version,
        address=address,
        caller_hash=caller_hash,
        release_id=table.release_ids.get((route.agent, version)),
    )
