"""The HTTP face of the stand-in model: OpenAI's routes, and one of our own for its faults."""

import asyncio
import hashlib
import ipaddress
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from goldgate.contracts.base import ContractError
from goldgate.standin import responses
from goldgate.standin.admission import RequestError, check_length, check_model, read_request
from goldgate.standin.embedding import embed
from goldgate.standin.faults import Fault, faults_of
from goldgate.standin.replying import Reply, make_reply
from goldgate.standin.settings import StandinSettings
from goldgate.standin.text import tokens
from goldgate.standin.usage import PromptCache, Usage, prompt_tokens
from goldgate.standin.wire import ChatRequest, EmbeddingRequest

Sleep = Callable[[float], Awaitable[None]]

LISTED_MODEL = "standin-1"
"""The one name that `/v1/models` lists. Any other that begins with `standin-` is the same model."""


class DroppedConnection(Response):
    """Begins an answer and never ends it: the server then closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promise a body and send none."""
        del scope, receive
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


class Standin:
    """One running stand-in: its settings now, how many requests it took, and its prompt cache."""

    def __init__(self, settings: StandinSettings, *, sleep: Sleep, clock: Callable[[], float]) -> None:
        self._started_with = settings
        self.settings = settings
        self._sleep = sleep
        self._clock = clock
        self._number = 0
        self._cache = PromptCache()

    def set_faults(self, changes: object) -> StandinSettings:
        """Replace settings; what is not named goes back to what the server was started with. Counting starts anew.

        Raises:
            ContractError: An unknown setting, or a value out of range. Nothing is changed.
        """
        self.settings = self._started_with.changed(changes)
        self._number = 0
        return self.settings

    async def chat(self, body: bytes) -> Response:
        """Answer a chat completion request.

        Raises:
            RequestError: The request is wrong.
        """
        request = read_request(body, ChatRequest)
        settings, faults = self.settings, self._next_faults(request.model)
        if (broken := await self._break(faults, settings)) is not None:
            return broken
        prompt = prompt_tokens(request)
        check_length(len(prompt), most=settings.max_input_tokens)
        reply = make_reply(request, settings=settings, malformed_call=Fault.MALFORMED_TOOL_CALL in faults)
        usage = Usage(
            input_tokens=len(prompt),
            cached_tokens=self._cache.count_cached(request.model, prompt),
            output_tokens=reply.output_tokens,
        )
        heading = self._heading(request.model, body)
        await self._sleep(settings.time_to_first_token(input_tokens=usage.input_tokens).total_seconds())
        if request.stream:
            told = usage if request.stream_options and request.stream_options.include_usage else None
            stream = self._stream(reply, heading=heading, usage=told, settings=settings)
            return StreamingResponse(stream, media_type="text/event-stream")
        await self._sleep(settings.time_to_write(output_tokens=usage.output_tokens).total_seconds())
        return JSONResponse(responses.completion(reply, heading=heading, usage=usage))

    async def embeddings(self, body: bytes) -> Response:
        """Answer an embeddings request.

        Raises:
            RequestError: The request is wrong.
        """
        request = read_request(body, EmbeddingRequest)
        settings, faults = self.settings, self._next_faults(request.model)
        if (broken := await self._break(faults, settings)) is not None:
            return broken
        counted = sum(len(tokens(text)) for text in request.input)
        await self._sleep(settings.time_to_first_token(input_tokens=counted).total_seconds())
        vectors = [embed(text, dimensions=request.dimensions) for text in request.input]
        as_base64 = request.encoding_format == "base64"
        return JSONResponse(
            responses.embeddings(vectors, model=request.model, as_base64=as_base64, input_tokens=counted)
        )

    def _next_faults(self, model: str) -> frozenset[Fault]:
        self._number += 1
        return faults_of(self.settings, number=self._number, model=model)

    async def _break(self, faults: frozenset[Fault], settings: StandinSettings) -> Response | None:
        """Let the faults strike that end a request. None: it is answered, if perhaps late."""
        if Fault.RATE_LIMIT in faults:
            body = responses.problem("Rate limit reached (a fault set on purpose).", kind="rate_limit_error")
            return JSONResponse(body, status_code=429, headers={"Retry-After": f"{settings.retry_after_s:g}"})
        if Fault.SERVER_ERROR in faults:
            body = responses.problem("The server had an error (a fault set on purpose).", kind="server_error")
            return JSONResponse(body, status_code=settings.server_error_status)
        if Fault.DROP in faults:
            return DroppedConnection()
        if Fault.HANG in faults:
            await self._sleep(settings.hang_s)
        return None

    async def _stream(
        self, reply: Reply, *, heading: responses.Heading, usage: Usage | None, settings: StandinSettings
    ) -> AsyncIterator[str]:
        per_token_s = settings.time_to_write(output_tokens=1).total_seconds()
        for chunk in responses.chunks(reply, heading=heading, usage=usage):
            yield responses.event(chunk)
            if chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
                await self._sleep(per_token_s)
        yield responses.LAST_EVENT

    def _heading(self, model: str, body: bytes) -> responses.Heading:
        named = hashlib.sha256(str(self.settings.seed).encode() + b"\0" + body).hexdigest()
        return responses.Heading(
            id=f"chatcmpl-{named[:24]}",
            created_s=int(self._clock()),
            model=model,
            fingerprint=f"standin-seed-{self.settings.seed}",
        )


def create_app(
    settings: StandinSettings, *, sleep: Sleep = asyncio.sleep, clock: Callable[[], float] = time.time
) -> FastAPI:
    """Make the server.

    Args:
        settings: Speed, seed and faults to start with.
        sleep: Waits the seconds it is given; tests count them instead.
        clock: Seconds since the epoch, for the `created` field that the API asks for.
    """
    standin = Standin(settings, sleep=sleep, clock=clock)
    app = FastAPI(title="Goldgate stand-in model", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(RequestError, _refused)
    app.add_exception_handler(HTTPException, _not_routed)
    _add_openai_routes(app, standin)
    _add_own_routes(app, standin)
    return app


def _add_openai_routes(app: FastAPI, standin: Standin) -> None:
    @app.post("/v1/chat/completions", response_model=None)
    async def chat(request: Request) -> Response:
        return await standin.chat(await request.body())

    @app.post("/v1/embeddings", response_model=None)
    async def embeddings(request: Request) -> Response:
        return await standin.embeddings(await request.body())

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(LISTED_MODEL)]}

    @app.get("/v1/models/{name}")
    async def model(name: str) -> dict[str, Any]:
        check_model(name)
        return _model(name)


def _add_own_routes(app: FastAPI, standin: Standin) -> None:
    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/admin/faults", response_model=None)
    async def faults(request: Request) -> Response:
        _from_this_machine(request)
        return JSONResponse(standin.settings.model_dump())

    @app.put("/admin/faults", response_model=None)
    async def set_faults(request: Request) -> Response:
        _from_this_machine(request)
        try:
            changes = from_json(await request.body())
        except ValueError as error:
            raise RequestError(f"The body is not JSON: {error}.", param=None, code="invalid_json") from error
        try:
            return JSONResponse(standin.set_faults(changes).model_dump())
        except ContractError as error:
            param = error.problems[0].field or None
            raise RequestError(str(error), param=param, code="invalid_value") from error


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "goldgate-standin"}


def _from_this_machine(request: Request) -> None:
    """Let only callers of this machine change or see the settings.

    Raises:
        RequestError: The caller is somewhere else, or its address is unknown.
    """
    host = request.client.host if request.client else ""
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        raise RequestError(
            "Faults are set from the machine that the stand-in runs on, over its loopback address.",
            param=None,
            code="forbidden",
            status=403,
        )


async def _refused(request: Request, error: Exception) -> Response:
    del request
    if not isinstance(error, RequestError):
        raise error
    return JSONResponse(responses.failure(error), status_code=error.status)


async def _not_routed(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    message = f"{request.method} {request.url.path}: {error.detail}. See include/docs/stand-in.md for what there is."
    return JSONResponse(responses.problem(message, kind="invalid_request_error"), status_code=error.status_code)
