"""Write replies the way the OpenAI API does: one object, or chunks of a stream."""

import base64
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from goldgate.standin.admission import RequestError
from goldgate.standin.replying import CallOut, Reply
from goldgate.standin.text import tokens
from goldgate.standin.usage import Usage

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Heading:
    """What every object of one answer repeats."""

    id: str
    created_s: int
    model: str
    fingerprint: str

    def of(self, kind: str) -> Json:
        """Begin an object of a kind, such as `chat.completion`."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created_s,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }


def completion(reply: Reply, *, heading: Heading, usage: Usage) -> Json:
    """Write a whole answer."""
    message: Json = {"role": "assistant", "content": reply.content, "refusal": None}
    if reply.call is not None:
        message |= {"content": None, "tool_calls": [_call(reply.call)]}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}
    return {**heading.of("chat.completion"), "choices": [choice], "usage": _usage(usage)}


def chunks(reply: Reply, *, heading: Heading, usage: Usage | None) -> Iterator[Json]:
    """Write an answer in pieces: the role, one piece a token (a tool call is one piece), the end, and the usage."""
    yield _chunk(heading, delta={"role": "assistant", "content": "" if reply.call is None else None})
    if reply.call is not None:
        yield _chunk(heading, delta={"tool_calls": [{"index": 0, **_call(reply.call)}]})
    for piece in tokens(reply.content):
        yield _chunk(heading, delta={"content": piece})
    yield _chunk(heading, delta={}, finish_reason=reply.finish_reason)
    if usage is not None:
        yield {**heading.of("chat.completion.chunk"), "choices": [], "usage": _usage(usage)}


def embeddings(vectors: Sequence[Sequence[float]], *, model: str, as_base64: bool, input_tokens: int) -> Json:
    """Write vectors: as numbers, or as base64 of little-endian 32-bit floats."""
    listed = [
        {"object": "embedding", "index": index, "embedding": _base64(vector) if as_base64 else list(vector)}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": input_tokens, "total_tokens": input_tokens}
    return {"object": "list", "data": listed, "model": model, "usage": usage}


def failure(error: RequestError) -> Json:
    """Write an error that the caller can mend."""
    return problem(str(error), kind="invalid_request_error", param=error.param, code=error.code)


def problem(message: str, *, kind: str, param: str | None = None, code: str | None = None) -> Json:
    """Write any error."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def event(body: Json) -> str:
    """Write one server-sent event."""
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"


LAST_EVENT = "data: [DONE]\n\n"


def _chunk(heading: Heading, *, delta: Json, finish_reason: str | None = None) -> Json:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {**heading.of("chat.completion.chunk"), "choices": [choice]}


def _call(call: CallOut) -> Json:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
