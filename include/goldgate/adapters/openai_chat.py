"""Chat models behind OpenAI-compatible endpoints, by the official client."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import openai
from pydantic import JsonValue

from goldgate.contracts.llm import LLMSpec, Price
from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.domain.errors import PermanentError
from goldgate.ports.model import ChatReply, ModelRefusedError, ModelUnavailableError, ToolDefinition

_NO_KEY = "none"
"""Sent to an endpoint that asks for no key: the client refuses to send nothing."""

_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 8.0
"""Waits double from the first to the longest, unless the endpoint names its own."""

_MILLION = 1_000_000
_RETRYABLE = (
    openai.APIConnectionError,  # APITimeoutError among them
    openai.RateLimitError,
    openai.InternalServerError,
    openai.ConflictError,
)


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
    ) -> None:
        """Read address and key from the environment.

        Raises:
            PermanentError: A variable that the resource names is not set.
        """
        self._spec = spec
        self._price = price
        self._clock = clock
        self._sleep = sleep
        self._base_url = spec.base_url or _required(
            env, spec.base_url_from.env if spec.base_url_from else "", "baseUrl"
        )
        self._key = _required(env, spec.api_key_from.env, "apiKey") if spec.api_key_from else _NO_KEY
        # Retries are counted here, because the client's own know no deadline: it may wait 120 s for one.
        self._client = openai.OpenAI(
            base_url=self._base_url, api_key=self._key, max_retries=0, timeout=spec.timeout_seconds
        )

    @property
    def name(self) -> str:
        """The pinned model name."""
        return self._spec.model

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
        body = self._body(messages, tools, may_call=may_call)
        deadline = self._clock() + within_s
        attempt = 0
        while True:
            try:
                timeout_s = max(min(self._spec.timeout_seconds, deadline - self._clock()), 0.001)
                return _reply(self._client.chat.completions.create(**body, timeout=timeout_s), self._price)
            except _RETRYABLE as error:
                asked = _retry_after_s(error)
                wait_s = asked if asked is not None else min(_FIRST_WAIT_S * 2**attempt, _LONGEST_WAIT_S)
                if attempt >= self._spec.max_retries or self._clock() + wait_s >= deadline:
                    raise self._unavailable(error, attempts=attempt + 1, asked_s=asked) from None
            except openai.APIError as error:
                raise ModelRefusedError(self._told(error), status=_status(error)) from None
            attempt += 1
            self._sleep(wait_s)

    def _body(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolDefinition], *, may_call: bool
    ) -> dict[str, Any]:
        sampling = self._spec.parameters.model_dump(by_alias=False, exclude_none=True)
        body: dict[str, Any] = {"model": self._spec.model, "messages": [_message(m) for m in messages], **sampling}
        if tools:
            body["tools"] = [_tool(tool) for tool in tools]
            if not may_call:
                body["tool_choice"] = "none"
        return body

    def _unavailable(self, error: openai.APIError, *, attempts: int, asked_s: float | None) -> ModelUnavailableError:
        retry_after = timedelta(seconds=asked_s) if asked_s is not None else None
        tries = "once" if attempts == 1 else f"{attempts} times"
        return ModelUnavailableError(
            f"{self._told(error)} Tried {tries}.", status=_status(error), retry_after=retry_after
        )

    def _told(self, error: openai.APIError) -> str:
        status = _status(error)
        kind = f"status {status}" if status is not None else type(error).__name__
        text = error.message if self._key == _NO_KEY else error.message.replace(self._key, "[key]")
        return f"Model `{self._spec.model}` at {self._base_url} gave {kind}: {text[:300]}."


def _status(error: openai.APIError) -> int | None:
    return error.status_code if isinstance(error, openai.APIStatusError) else None


def _required(env: Mapping[str, str], name: str, field: str) -> str:
    if not (value := env.get(name)):
        raise PermanentError(
            f"Found no environment variable `{name}`; expected the one that `{field}From` of the LLM names. Set it."
        )
    return value


def _retry_after_s(error: openai.APIError) -> float | None:
    if not isinstance(error, openai.APIStatusError):
        return None
    for header, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(error.response.headers.get(header, "")) / divisor
        except ValueError:
            continue  # absent, or a date: then our own waits hold
        if 0 <= seconds < float("inf"):
            return seconds
    return None


def _message(message: ChatMessage) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_requests:
        written["tool_calls"] = [
            {"id": asked.id, "type": "function", "function": {"name": asked.name, "arguments": asked.arguments}}
            for asked in message.tool_requests
        ]
    if message.tool_call_id is not None:
        written["tool_call_id"] = message.tool_call_id
    return written


def _tool(tool: ToolDefinition) -> dict[str, JsonValue]:
    function: dict[str, JsonValue] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.input_schema,
    }
    return {"type": "function", "function": function}


def _reply(completion: Any, price: Price) -> ChatReply:
    choices = getattr(completion, "choices", None)
    if not choices or choices[0].message is None:
        raise ModelRefusedError(
            "The endpoint answered without a choice; expected a chat completion. Check its address."
        )
    message, usage = choices[0].message, completion.usage
    details = usage.prompt_tokens_details if usage else None
    tokens_in = usage.prompt_tokens if usage else 0
    tokens_out = usage.completion_tokens if usage else 0
    tokens_cached = min((details.cached_tokens if details else 0) or 0, tokens_in)
    return ChatReply(
        content=message.content or "",
        tool_requests=tuple(
            ToolRequest(id=call.id, name=call.function.name, arguments=call.function.arguments)
            for call in message.tool_calls or ()
            if call.type == "function"
        ),
        finish_reason=choices[0].finish_reason or "",
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        tokens_cached=tokens_cached,
        cost_usd=cost_usd(price, tokens_in=tokens_in, tokens_cached=tokens_cached, tokens_out=tokens_out),
        is_metered=tokens_in > 0,  # no call reads nothing: a usage of zeros is none
    )


def cost_usd(price: Price, *, tokens_in: int, tokens_cached: int, tokens_out: int) -> float:
    """Price one call. `tokens_cached` is the part of `tokens_in` that the endpoint had cached."""
    fresh = (tokens_in - tokens_cached) * price.input_usd_per_million_tokens
    cached = tokens_cached * price.cached_input_usd_per_million_tokens
    return (fresh + cached + tokens_out * price.output_usd_per_million_tokens) / _MILLION
