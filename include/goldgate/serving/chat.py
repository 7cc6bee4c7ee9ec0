"""The OpenAI chat format, translated to and from `predict()`.

An agent has its own instructions, so a caller's system messages are refused, not quietly obeyed or dropped; text to
work on goes into the extension field `context`. Parameters of a bare model that mean nothing to an agent are accepted
from a closed list, because every client sends some, and named in the header `x-goldgate-ignored`. All others are
refused.
"""

import json
from collections.abc import Iterator
from typing import Final, Literal

from pydantic import Field, ValidationError, field_validator

from goldgate.contracts.base import Contract, problems_of
from goldgate.contracts.prediction import PredictRequest, PredictResponse, Turn

_IGNORED: Final = frozenset(
    {
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "seed",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "n",
    }
)


class ChatError(Exception):
    """The request is not one that an agent can answer."""

    def __init__(self, message: str, *, param: str | None = None, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class _TextPart(Contract):
    type: Literal["text"]
    text: str


class _Message(Contract):
    role: Literal["user", "assistant"]
    content: str | list[_TextPart]
    name: str | None = None

    @field_validator("role", mode="before")
    @classmethod
    def _no_instructions(cls, role: object) -> object:
        if role in ("system", "developer"):
            msg = "`user` or `assistant`: an agent has its own instructions; pass text to work on in `context`"
            raise ValueError(msg)
        return role

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class _StreamOptions(Contract):
    include_usage: bool = False


class ChatRequest(Contract):
    """The body of `POST /v1/chat/completions`."""

    model: str
    """The agent."""
    messages: list[_Message] = Field(min_length=1)
    context: list[str] = Field(default_factory=list)
    """Extension: text for the agent to work on; data, never instructions."""
    stream: bool = False
    stream_options: _StreamOptions | None = None
    user: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    n: Literal[1] | None = None

    @property
    def ignored(self) -> list[str]:
        """Parameters that were sent and mean nothing to an agent."""
        return sorted(_IGNORED & self.model_fields_set)


def read_chat(body: bytes) -> ChatRequest:
    """Read a request body.

    Raises:
        ChatError: It is not JSON, or not a request for an agent.
    """
    try:
        chat = ChatRequest.model_validate_json(body)
    except ValidationError as error:
        if (broken := _broken_json(error)) is not None:
            raise ChatError(broken) from error
        problems = problems_of(error, where="request")
        raise ChatError("; ".join(str(problem) for problem in problems), param=problems[0].field or None) from error
    if chat.messages[-1].role != "user":
        raise ChatError("The last message must be the user's question.", param="messages")
    if not chat.messages[-1].text.strip():
        raise ChatError("The last message is empty; expected a question.", param="messages")
    return chat


def _broken_json(error: ValidationError) -> str | None:
    """Say where JSON breaks off, without the body itself, which pydantic would repeat."""
    for detail in error.errors(include_input=False, include_url=False):
        if detail["type"] == "json_invalid":
            return f"request: found broken JSON ({detail['ctx']['error']}), expected a JSON object"
    return None


def question_of(chat: ChatRequest, *, trace_id: str) -> PredictRequest:
    """Translate a request for the agent: the last message is the question, those before it are history."""
    *earlier, last = chat.messages
    return PredictRequest(
        question=last.text,
        context=chat.context,
        history=[Turn(role=message.role, content=message.text) for message in earlier],
        trace_id=trace_id,
    )


def completion(response: PredictResponse, *, agent: str, at_s: int) -> dict[str, object]:
    """Translate an answer into a `chat.completion`. The extension `goldgate` holds what the format has no room for."""
    message = {"role": "assistant", "content": response.answer, "refusal": None}
    return {
        **_envelope("chat.completion", response, agent=agent, at_s=at_s),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": _usage(response),
        "goldgate": {
            "citations": response.citations,
            "refused": response.refused,
            "safety_flags": response.safety_flags,
        },
    }


def stream(response: PredictResponse, *, agent: str, at_s: int) -> Iterator[bytes]:
    """Translate an answer into server-sent events.

    An answer is checked as a whole before it may leave, so it comes in one piece; the last chunk carries the usage.
    """
    envelope = _envelope("chat.completion.chunk", response, agent=agent, at_s=at_s)
    delta = {"role": "assistant", "content": response.answer}
    yield _event({**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    last = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    yield _event({**envelope, "choices": last, "usage": _usage(response)})
    yield b"data: [DONE]\n\n"


def error_body(message: str, *, kind: str, code: str, param: str | None = None) -> dict[str, object]:
    """Write an error as OpenAI does, so that its clients raise the right exception."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def model_list(agents: list[str]) -> dict[str, object]:
    """List the agents as `GET /v1/models` does."""
    return {
        "object": "list",
        "data": [{"id": agent, "object": "model", "created": 0, "owned_by": "goldgate"} for agent in agents],
    }


def _envelope(kind: str, response: PredictResponse, *, agent: str, at_s: int) -> dict[str, object]:
    return {"id": f"chatcmpl-{response.trace_id}", "object": kind, "created": at_s, "model": agent}


def _usage(response: PredictResponse) -> dict[str, object]:
    usage = response.usage
    return {
        "prompt_tokens": usage.tokens_in,
        "completion_tokens": usage.tokens_out,
        "total_tokens": usage.tokens_in + usage.tokens_out,
        "prompt_tokens_details": {"cached_tokens": usage.tokens_cached},
    }


def _event(value: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"
