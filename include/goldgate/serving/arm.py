"""An arm: one version of an agent behind HTTP.

`predict` is synchronous and may take seconds, so it runs in a bounded pool; more than the pool and a short queue can
take is refused at once instead of waiting for a caller who has gone.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Protocol

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import ValidationError

from goldgate.contracts.base import problems_of
from goldgate.contracts.prediction import PredictRequest, PredictResponse
from goldgate.domain.errors import TransientError
from goldgate.domain.trace_context import TraceContext, read_traceparent

log = logging.getLogger(__name__)


class Predict(Protocol):
    """Answers a question, under the caller's span if there is one."""

    def __call__(self, request: PredictRequest, *, parent_span_id: str | None) -> PredictResponse:
        """Answer."""


_QUEUED_PER_THREAD: Final = 4
"""How many requests may wait for each thread: a few model calls long, well within a caller's patience."""


def create_arm(
    predict: Predict,
    *,
    agent: str,
    version: str,
    max_threads: int = 16,
    spans_dropped: Callable[[], int] = lambda: 0,
) -> FastAPI:
    """Make the application that answers for one version. `spans_dropped` counts the spans that were lost."""
    pool = ThreadPoolExecutor(max_threads, thread_name_prefix="predict")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        pool.shutdown(wait=True, cancel_futures=True)

    app = FastAPI(title=f"{agent}@{version}", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    desk = _PredictDesk(predict, pool, agent=agent, version=version, max_taken=max_threads * (1 + _QUEUED_PER_THREAD))
    app.add_api_route("/predict", desk.predict, methods=["POST"], response_model=None)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"agent": agent, "version": version}

    @app.get("/metrics", response_model=None)
    async def metrics() -> PlainTextResponse:
        lines = ["# TYPE goldgate_traces_dropped gauge", f"goldgate_traces_dropped {spans_dropped()}", ""]
        return PlainTextResponse("\n".join(lines), media_type="text/plain; version=0.0.4")

    return app


class _PredictDesk:
    """Takes requests for `predict` in, bounded."""

    def __init__(self, predict: Predict, pool: ThreadPoolExecutor, *, agent: str, version: str, max_taken: int) -> None:
        self._predict = predict
        self._pool = pool
        self._facts = {"agent": agent, "version": version}
        self._max_taken = max_taken
        self._taken = 0

    async def predict(self, request: Request) -> Response:
        """Answer `POST /predict`."""
        try:
            question = PredictRequest.model_validate_json(await request.body())
        except ValidationError as error:
            problems = [str(problem) for problem in problems_of(error, where="request")]
            return JSONResponse({"error": "; ".join(problems)}, status_code=400)
        question, parent_span_id = _traced(question, read_traceparent(request.headers.get("traceparent")))
        answer = partial(self._predict, question, parent_span_id=parent_span_id)
        if self._taken >= self._max_taken:
            return _busy("All threads are taken.", retry_after_s=1)
        self._taken += 1
        try:
            response = await asyncio.get_running_loop().run_in_executor(self._pool, answer)
        except TransientError as error:
            log.warning("arm.predict.transient", extra={**self._facts, "reason": str(error)})
            return _busy(str(error), retry_after_s=error.retry_after.total_seconds() if error.retry_after else 1)
        except Exception:
            # Whatever an agent's code raises, this request has failed and the next may not; the router logs it.
            log.exception("arm.predict.failed", extra=self._facts)
            return JSONResponse({"error": "The agent failed; its log says why."}, status_code=500)
        finally:
            self._taken -= 1
        return Response(response.model_dump_json(), media_type="application/json")


def _traced(question: PredictRequest, caller: TraceContext | None) -> tuple[PredictRequest, str | None]:
    """Go on with the trace of the caller. The question's own trace id wins: a span of another trace is no parent."""
    if caller is None:
        return question, None
    if question.trace_id is None:
        question = question.model_copy(update={"trace_id": caller.trace_id})
    return question, caller.span_id if question.trace_id == caller.trace_id else None


def _busy(reason: str, *, retry_after_s: float) -> Response:
    headers = {"retry-after": str(math.ceil(retry_after_s))}
    return JSONResponse({"error": reason}, status_code=503, headers=headers)
