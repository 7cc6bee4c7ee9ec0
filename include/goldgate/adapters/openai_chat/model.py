"""Chat models behind OpenAI-compatible endpoints, by the official client.

Requests go through the client (its address, authentication, pooling and errors). What comes back is read by
`goldgate.domain.models.completions`, which takes what endpoints really send; the connection is `connection.py`.
"""

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx2
from pydantic import JsonValue

from goldgate.adapters.openai_chat.addresses import NO_KEY, address_of, key_of, proxy_for
from goldgate.adapters.openai_chat.client import openai
from goldgate.adapters.openai_chat.connection import BoundedTransport, OversizedError
from goldgate.contracts.llm import LLMSpec, Price
from goldgate.domain.conversation import ChatMessage
from goldgate.domain.errors import first_line, root_cause
from goldgate.domain.models.completions import (
    Completion,
    NoCompletion,
    read_completion,
    read_error,
)
from goldgate.domain.models.messages import ids_in, written_messages
from goldgate.domain.models.providers import PROVIDERS, UNNAMED
from goldgate.domain.models.retrying import asked_wait_s, next_wait_s
from goldgate.domain.models.trouble import Trouble
from goldgate.domain.models.usage import TokenUse
from goldgate.ports.model import ChatReply, ModelRefusedError, ModelUnavailableError, ModelUse, ToolDefinition

_MILLION = 1_000_000


_NO_USE = TokenUse()


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """What one attempt gave instead of an answer."""

    trouble: Trouble
    told: str
    status: int | None = None
    asked_s: float | None = None
    use: TokenUse = _NO_USE


class OpenAIChatModel:
    """One pinned model of one endpoint. Safe to call from many threads."""

    def __init__(
        self,
        spec: LLMSpec,
        *,
        price: Price,
        env: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Read address and key from the environment.

        Args:
            spec: The endpoint and its model.
            price: What it charges.
            env: Where the variables that the resource names are looked up, and those of proxies.
            clock: Seconds that pass.
            sleep: Waits between attempts.
            draw: A number from 0 to 1, for the length of a wait.
            now: For an endpoint that names a date to wait for.

        Raises:
            PermanentError: A variable that the resource names is not set, or what it holds cannot be used.
        """
        self._spec = spec
        self._price = price
        self._clock = clock
        self._sleep = sleep
        self._draw = draw
        self._now = now
        self._provider = PROVIDERS[spec.provider] if spec.provider else UNNAMED
        self._sampling = {self._provider.renamed.get(name, name): v for name, v in spec.parameters.given.items()}
        url, self._key = address_of(spec, env), key_of(spec, env)
        parts = urlsplit(url)
        self._shown_url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        transport = BoundedTransport(max_bytes=spec.max_response_bytes, proxy=proxy_for(url, env))
        # Retries are counted here, because the client's own know no deadline: it may wait 120 s for one.
        self._client = openai.OpenAI(
            base_url=url,
            api_key=self._key,
            max_retries=0,
            timeout=spec.timeout_seconds,
            http_client=httpx2.Client(transport=transport, timeout=spec.timeout_seconds, follow_redirects=False),
        )
        # The client takes these from the environment of the process, and would send them to any endpoint; headers that
        # stand there even in place of its key.
        self._client._custom_headers = {"Accept-Encoding": "identity"}  # noqa: SLF001 - there is no other way
        self._client.organization = env.get("OPENAI_ORG_ID") if spec.provider == "openai" else None
        self._client.project = env.get("OPENAI_PROJECT_ID") if spec.provider == "openai" else None

    @property
    def name(self) -> str:
        """The pinned model name."""
        return self._spec.model

    @property
    def address(self) -> str:
        """Where it is asked, without anything secret."""
        return self._shown_url

    def close(self) -> None:
        """Give back the connections."""
        self._client.close()

    def complete(
        self,
        messages: Sequence[ChatMessage],
        *,
        tools: Sequence[ToolDefinition] = (),
        may_call: bool = True,
        within_s: float,
    ) -> ChatReply:
        """Ask once, with the retries of the resource, by `within_s` seconds.

        The client's errors are no cause of ours: a traceback would show the endpoint's text with the key it may echo.
        """
        deadline = self._clock() + within_s
        body = self._body(messages, tools, may_call=may_call)
        taken, used, attempt = ids_in(messages), ModelUse(), 0
        while True:
            outcome = self._attempt(body, taken=taken, left_s=deadline - self._clock())
            if isinstance(outcome, Completion):
                return self._reply(outcome, used)
            if outcome.trouble is Trouble.CONTENT_FILTER:
                return self._reply(
                    Completion(content="", tool_requests=(), finish_reason="content_filter", use=outcome.use), used
                )
            used += self._use(outcome.use)
            if not outcome.trouble.may_pass:
                raise ModelRefusedError(
                    self._told(outcome), status=outcome.status, trouble=outcome.trouble, use=used
                ) from None
            left_s = deadline - self._clock()
            wait_s = next_wait_s(attempt, asked_s=outcome.asked_s, drawn=self._draw(), left_s=left_s)
            if wait_s is None or attempt >= self._spec.max_retries:
                raise self._unavailable(outcome, used) from None
            attempt += 1
            self._sleep(wait_s)

    def _body(self, messages: Sequence[ChatMessage], tools: Sequence[ToolDefinition], *, may_call: bool) -> bytes:
        asked: dict[str, Any] = {
            **self._sampling,
            "model": self._spec.model,
            "messages": written_messages(messages, self._provider),
        }
        if tools:
            asked["tools"] = [_tool(tool) for tool in tools]
            if not may_call:
                asked["tool_choice"] = "none"
        body = json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
        if len(body) > self._spec.max_request_bytes:
            raise ModelRefusedError(
                f"Found a request of {len(body)} bytes to model `{self._spec.model}`; expected at most "
                f"{self._spec.max_request_bytes} (`maxRequestBytes` of the LLM). It was not sent.",
                trouble=Trouble.CONTEXT_LENGTH,
            )
        return body

    def _attempt(self, body: bytes, *, taken: set[str], left_s: float) -> Completion | _Failure:
        timeout_s = min(self._spec.timeout_seconds, left_s)
        if timeout_s <= 0:
            return _Failure(trouble=Trouble.OUT_OF_TIME, told="no time was left to ask it")
        answer = self._post(body, timeout_s)
        if isinstance(answer, _Failure):
            return answer
        read = read_completion(answer, taken=taken)
        if isinstance(read, Completion):
            return read
        return _Failure(trouble=read.trouble, told=f"found {read.told}; expected a chat completion", use=read.use)

    def _post(self, body: bytes, timeout_s: float) -> bytes | _Failure:
        try:
            answer = self._client.post(
                "/chat/completions",
                cast_to=httpx2.Response,
                content=body,
                options={"timeout": timeout_s, "headers": {"Content-Type": "application/json"}},
            )
        except openai.APIStatusError as error:
            return self._failed(error)
        except openai.APITimeoutError:
            had_time = timeout_s >= self._spec.timeout_seconds / 2
            trouble = Trouble.TIMEOUT if had_time else Trouble.OUT_OF_TIME
            return _Failure(trouble=trouble, told=f"it did not answer within {timeout_s:.3g} s")
        except openai.APIConnectionError as error:
            return _Failure(trouble=Trouble.CONNECTION, told=first_line(root_cause(error)))
        except OversizedError as error:
            return _Failure(trouble=Trouble.TOO_LARGE, told=str(error))
        return answer.content

    def _failed(self, error: openai.APIStatusError) -> _Failure:
        # What is told is cut, and half a key would not be found afterwards.
        content = error.response.content
        content = content if self._key == NO_KEY else content.replace(self._key.encode(), b"[key]")
        read: NoCompletion = read_error(error.status_code, content)
        asked_s = asked_wait_s(error.response.headers, now=self._now())
        return _Failure(trouble=read.trouble, told=read.told, status=error.status_code, asked_s=asked_s)

    def _reply(self, answer: Completion, before: ModelUse) -> ChatReply:
        use = before + self._use(answer.use)
        return ChatReply(
            content=answer.content,
            tool_requests=answer.tool_requests,
            finish_reason=answer.finish_reason,
            tokens_in=use.tokens_in,
            tokens_out=use.tokens_out,
            tokens_cached=use.tokens_cached,
            cost_usd=use.cost_usd,
            is_metered=answer.use.is_told,
            model=self._spec.model,
            attempts=use.attempts,
        )

    def _use(self, use: TokenUse) -> ModelUse:
        tokens = {"tokens_in": use.tokens_in, "tokens_out": use.tokens_out, "tokens_cached": use.tokens_cached}
        return ModelUse(attempts=1, cost_usd=cost_usd(self._price, **tokens), **tokens)

    def _unavailable(self, failure: _Failure, used: ModelUse) -> ModelUnavailableError:
        tries = "once" if used.attempts == 1 else f"{used.attempts} times"
        return ModelUnavailableError(
            f"{self._told(failure)} Tried {tries}.",
            status=failure.status,
            retry_after=timedelta(seconds=failure.asked_s) if failure.asked_s is not None else None,
            trouble=failure.trouble,
            use=used,
        )

    def _told(self, failure: _Failure) -> str:
        kind = f"status {failure.status}" if failure.status is not None else failure.trouble.value
        text = failure.told if self._key == NO_KEY else failure.told.replace(self._key, "[key]")
        return f"Model `{self._spec.model}` at {self._shown_url} gave {kind}: {text[:300]}."


def _tool(tool: ToolDefinition) -> dict[str, JsonValue]:
    function: dict[str, JsonValue] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.input_schema,
    }
    return {"type": "function", "function": function}


def cost_usd(price: Price, *, tokens_in: int, tokens_cached: int, tokens_out: int) -> float:
    """Price one call. `tokens_cached` is the part of `tokens_in` that the endpoint had cached."""
    fresh = (tokens_in - tokens_cached) * price.input_usd_per_million_tokens
    cached = tokens_cached * price.cached_input_usd_per_million_tokens
    return (fresh + cached + tokens_out * price.output_usd_per_million_tokens) / _MILLION
