"""The router: one OpenAI-compatible endpoint in front of every agent's arms.

It holds no opinion on who serves: `goldgate.serving.watch` follows the registry. A request that has been accepted is
carried to its end and logged even if its caller hangs up, because the arm works on it in any case.
"""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.requests import ClientDisconnect

from goldgate.contracts.prediction import ERROR_KINDS, QUESTION_REFUSED, PredictResponse
from goldgate.domain.rate_limit import Rate
from goldgate.domain.trace_context import read_traceparent
from goldgate.ports.delivery import ArmClient, Clock
from goldgate.ports.records import RequestLogWriter
from goldgate.serving.chat import (
    ChatError,
    ChatRequest,
    completion,
    error_body,
    model_list,
    question_of,
    read_chat,
    stream,
)
from goldgate.serving.dispatch import Answer, Dispatcher, UnavailableError
from goldgate.serving.metrics import Labels, RouterMetrics
from goldgate.serving.rate_limits import RateLimits, RouterRates, TooMany
from goldgate.serving.status import gauges_of, status_of
from goldgate.serving.traces import RequestTrace, Tracer
from goldgate.serving.traffic_table import Route, Table
from goldgate.serving.watch import TrafficSource

_RETRY_AFTER: Final = timedelta(seconds=1)
"""An arm restarts within seconds, and a place among the requests in flight is free sooner."""

_MAX_REASON_CHARS: Final = 200


def _no_rate(_agent: str, _version: str) -> Rate | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the router takes on at one time."""

    max_in_flight: int = 128
    max_body_bytes: int = 1_000_000
    within_s: float = 60.0
    """How long one arm may take for one request."""
    body_within_s: float = 10.0
    """How long a caller may take to send a request: it holds a place meanwhile. A megabyte at 100 kB a second."""


@dataclass(frozen=True, kw_only=True)
class RouterParts:
    """What the router is made of."""

    traffic: TrafficSource
    client: ArmClient
    log: RequestLogWriter
    clock: Clock
    monotonic_s: Callable[[], float]
    tracer: Tracer
    hash_caller: Callable[[str], str]
    limits: Limits = Limits()
    rates: RouterRates = field(default_factory=RouterRates)
    """The router's own limits on how often somebody may ask."""
    rate_of: Callable[[str, str], Rate | None] = _no_rate
    """What a version of an agent allows one caller."""


def create_router(parts: RouterParts) -> FastAPI:
    """Make the application. It closes its client once all accepted requests are answered."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await parts.client.close()

    app = FastAPI(title="Goldgate router", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    metrics = RouterMetrics()
    desk = _Desk(parts, metrics)
    app.add_api_route("/v1/chat/completions", desk.chat, methods=["POST"], response_model=None)
    _add_views(app, parts, metrics, desk)
    return app


def _add_views(app: FastAPI, parts: RouterParts, metrics: RouterMetrics, desk: "_Desk") -> None:
    @app.get("/v1/models")
    async def models() -> dict[str, object]:
        served = [agent for agent, route in parts.traffic.table.routes.items() if route.champion is not None]
        return model_list(sorted(served))

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", response_model=None)
    async def readyz() -> JSONResponse:
        health, routes = parts.traffic.health, parts.traffic.table.routes.values()
        ready = sorted(
            route.agent for route in routes if route.serving and (route.agent, route.serving.version) in health.ready
        )
        return JSONResponse({"ready": ready}, status_code=200 if ready else 503)

    @app.get("/status", response_model=None)
    async def status() -> JSONResponse:
        facts = status_of(parts.traffic.table, parts.traffic.health, now=parts.clock.now(), dropped=parts.log.dropped)
        return JSONResponse({**facts, "in_flight": desk.in_flight})

    @app.get("/metrics", response_model=None)
    async def figures() -> PlainTextResponse:
        gauges: dict[str, Mapping[Labels, float]] = {
            "goldgate_request_log_dropped": {(): parts.log.dropped},
            "goldgate_traces_dropped": {(): parts.tracer.dropped()},
            "goldgate_in_flight": {(): desk.in_flight},
            **gauges_of(parts.traffic.table, parts.traffic.health, now=parts.clock.now()),
        }
        return PlainTextResponse(metrics.render(gauges=gauges), media_type="text/plain; version=0.0.4")


class _Desk:
    """Takes requests in: bounds, identity, and the shape of answers."""

    def __init__(self, parts: RouterParts, metrics: RouterMetrics) -> None:
        self._parts = parts
        self._metrics = metrics
        self._rate_limits = RateLimits(parts.rates)
        self.in_flight = 0
        self._dispatcher = Dispatcher(
            client=parts.client,
            log=parts.log,
            metrics=metrics,
            clock=parts.clock,
            monotonic_s=parts.monotonic_s,
            within_s=parts.limits.within_s,
        )

    async def chat(self, request: Request) -> Response:
        """Answer `POST /v1/chat/completions`."""
        if self.in_flight >= self._parts.limits.max_in_flight:
            return self._refused(429, "Too many requests in flight. Try again shortly.", code="rate_limit_exceeded")
        self.in_flight += 1
        try:
            return await self._answer(request, read_chat(await _read_body(request, self._parts.limits)))
        except _BodyError as error:
            return self._unread(error)
        except ChatError as error:
            return self._refused(400, str(error), code=error.code, param=error.param)
        except UnavailableError as error:
            return self._refused(503, str(error), code="arm_unavailable")
        except ClientDisconnect:
            self._metrics.add("goldgate_refused_total", labels={"reason": "client_disconnected"})
            return Response(status_code=400)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: Request, chat: ChatRequest) -> Response:
        table = self._parts.traffic.table
        route = table.routes.get(chat.model)
        if route is None or route.champion is None:
            return self._refused(
                404,
                f"The agent `{chat.model}` does not exist or has no champion; see `GET /v1/models`.",
                code="model_not_found",
                param="model",
            )
        caller_hash = self._parts.hash_caller(_caller(request, chat))
        caller = read_traceparent(request.headers.get("traceparent"))
        trace = self._parts.tracer.begin(route.agent, caller=caller, caller_hash=caller_hash)
        try:
            answered = await self._answer_traced(chat, route=route, table=table, caller_hash=caller_hash, trace=trace)
        except UnavailableError:
            trace.end(status=503, error="arm_unavailable")
            raise
        failed = str(answered.status_code) if answered.status_code >= 400 else None  # noqa: PLR2004 - HTTP
        trace.end(status=answered.status_code, error=answered.headers.get("x-goldgate-error") or failed)
        return answered

    async def _answer_traced(
        self, chat: ChatRequest, *, route: Route, table: Table, caller_hash: str, trace: RequestTrace
    ) -> Response:
        question = question_of(chat, trace_id=trace.trace_id)
        if (too_many := self._too_many(route, caller_hash)) is not None:
            trace.attributes["goldgate.safety.flags"] = ["rate_limit"]
            trace.attributes["goldgate.safety.reasons"] = [f"more requests than the limit of the {too_many.scope}"]
            self._dispatcher.refuse(
                question, route=route, table=table, caller_hash=caller_hash, scope=too_many.scope, trace=trace
            )
            return self._told_to_wait(chat, too_many, trace_id=trace.trace_id)
        answer = await self._dispatcher.answer(question, route=route, table=table, caller_hash=caller_hash, trace=trace)
        return self._written(chat, answer)

    def _too_many(self, route: Route, caller_hash: str) -> TooMany | None:
        own = self._parts.rate_of(route.agent, route.serving.version) if route.serving else None
        return self._rate_limits.admit(agent=route.agent, caller=caller_hash, own=own, now_s=self._parts.monotonic_s())

    def _told_to_wait(self, chat: ChatRequest, too_many: TooMany, *, trace_id: str) -> Response:
        """Say when to try again, as OpenAI does; its clients then wait by themselves."""
        wait_s = max(1, math.ceil(too_many.wait_s))
        who = "you send" if too_many.scope == "caller" else "all callers together send"
        refused = self._refused(
            429,
            f"Found more requests than the limit: {who} too many to `{chat.model}`. Try again in {wait_s} s.",
            code="rate_limit_exceeded",
            reason=f"rate_limit_{too_many.scope}",
        )
        refused.headers["retry-after"] = str(wait_s)
        refused.headers["x-goldgate-trace-id"] = trace_id
        return refused

    def _unread(self, error: "_BodyError") -> Response:
        refused = self._refused(error.status, str(error), code=error.code)
        # What is left of the body would be waited for, or be read as the next request.
        refused.headers["connection"] = "close"
        return refused

    def _written(self, chat: ChatRequest, answer: Answer) -> Response:
        response, headers = answer.response, _headers(chat, answer)
        if response.error is not None and not response.answer.strip():
            return _without_answer(response.error, headers=headers)
        at_s = int(self._parts.clock.now().timestamp())
        if chat.stream:
            events = stream(response, agent=chat.model, at_s=at_s)
            return StreamingResponse(events, media_type="text/event-stream", headers=headers)
        return _json(completion(response, agent=chat.model, at_s=at_s), headers=headers)

    def _refused(
        self, status: int, message: str, *, code: str, param: str | None = None, reason: str | None = None
    ) -> Response:
        self._metrics.add("goldgate_refused_total", labels={"reason": reason or code})
        kind = "server_error" if status >= 500 else "invalid_request_error"  # noqa: PLR2004 - HTTP
        kind = "rate_limit_error" if status == 429 else kind  # noqa: PLR2004 - as above
        retry = {"retry-after": f"{_RETRY_AFTER.total_seconds():g}"} if status in (429, 503) else {}
        return JSONResponse(error_body(message, kind=kind, code=code, param=param), status_code=status, headers=retry)


class _BodyError(Exception):
    """The request could not be read whole."""

    def __init__(self, message: str, *, status: int, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


async def _read_body(request: Request, limits: Limits) -> bytes:
    """Read a body. Raises `_BodyError` for one that is too large or does not come."""
    try:
        async with asyncio.timeout(limits.body_within_s):
            body = await _bounded_body(request, max_bytes=limits.max_body_bytes)
    except TimeoutError as error:
        text = f"The request did not arrive within {limits.body_within_s:g} s. Send it again."
        raise _BodyError(text, status=408, code="request_timeout") from error
    if body is None:
        text = f"The request is larger than {limits.max_body_bytes} bytes."
        raise _BodyError(text, status=413, code="request_too_large")
    return body


async def _bounded_body(request: Request, *, max_bytes: int) -> bytes | None:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            return None
    return bytes(body)


def _caller(request: Request, chat: ChatRequest) -> str:
    """Name the caller: what they say in the header, else in `user`, else where they call from."""
    host = request.client.host if request.client else ""
    return request.headers.get("x-goldgate-caller") or chat.user or host


def _headers(chat: ChatRequest, answer: Answer) -> dict[str, str]:
    headers = {
        "x-goldgate-version": answer.version,
        "x-goldgate-arm": answer.arm,
        "x-goldgate-trace-id": answer.response.trace_id,
    }
    if chat.ignored:
        headers["x-goldgate-ignored"] = ",".join(chat.ignored)
    if answer.response.error is not None:
        headers["x-goldgate-error"] = _header_text(answer.response)
    return headers


def _header_text(response: PredictResponse) -> str:
    kind = (response.error or "").partition(":")[0]
    return kind if kind in ERROR_KINDS else "other"


def _without_answer(error: str, *, headers: dict[str, str]) -> Response:
    """Say whose fault it is. What is wrong with a question is told by our own code, so its words are passed on."""
    if error.startswith(QUESTION_REFUSED):
        told = error[:_MAX_REASON_CHARS]
        body = error_body(told, kind="invalid_request_error", code="question_refused", param="messages")
        return JSONResponse(body, status_code=400, headers=headers)
    body = error_body("The agent has no answer.", kind="server_error", code="agent_error")
    return JSONResponse(body, status_code=502, headers=headers)


def _json(value: dict[str, Any], *, headers: dict[str, str]) -> Response:
    return Response(json.dumps(value, ensure_ascii=False), media_type="application/json", headers=headers)
