"""Let requests in, or refuse them the way the OpenAI API does: with a message that names the field."""

from typing import TypeVar

from pydantic import ValidationError

from goldgate.domain.errors import PermanentError
from goldgate.standin.wire import ChatRequest, EmbeddingRequest, Message, NamedChoice

MODEL_PREFIX = "standin-"


class RequestError(PermanentError):
    """The request is wrong; the answer is OpenAI-shaped and names the field."""

    def __init__(self, message: str, *, param: str | None, code: str | None = None, status: int = 400) -> None:
        """Keep what the caller reads: the HTTP status, the field, and the code."""
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status


R = TypeVar("R", ChatRequest, EmbeddingRequest)


def read_request(body: bytes, kind: type[R]) -> R:
    """Hold a request body to its contract.

    Raises:
        RequestError: It is no JSON, breaks the contract, or names a model that is not served.
    """
    try:
        request = kind.model_validate_json(body)
    except ValidationError as error:
        raise _explained(error) from error
    check_model(request.model)
    if isinstance(request, ChatRequest):
        _check_tool_choice(request)
        _check_tool_messages(request.messages)
    return request


def check_model(name: str) -> None:
    """Accept every name of a stand-in, and none that pretends to be a real model.

    Raises:
        RequestError: The name does not begin with `standin-`.
    """
    if not name.startswith(MODEL_PREFIX):
        raise RequestError(
            f"The model `{name}` does not exist here. This is a stand-in: use a name that begins with "
            f"`{MODEL_PREFIX}`.",
            param="model",
            code="model_not_found",
            status=404,
        )


def check_length(tokens: int, *, most: int) -> None:
    """Hold a prompt to the length that is set; `most` 0 takes any.

    Raises:
        RequestError: It is longer.
    """
    if most and tokens > most:
        raise RequestError(
            f"This model's maximum context length is {most} tokens. However, your messages resulted in {tokens} "
            "tokens. Please reduce the length of the messages.",
            param="messages",
            code="context_length_exceeded",
        )


def field_name(path: tuple[str | int, ...]) -> str:
    """Write a path as OpenAI does: `messages[0].content`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _explained(error: ValidationError) -> RequestError:
    first = error.errors()[0]
    param = field_name(first["loc"])
    match first["type"]:
        case "json_invalid":
            return RequestError(
                f"The body is not JSON: {first['msg']}. Send one object.", param=None, code="invalid_json"
            )
        case "missing":
            return RequestError(
                f"Missing required parameter: `{param}`.", param=param, code="missing_required_parameter"
            )
        case "extra_forbidden":
            return RequestError(f"Unknown parameter: `{param}`.", param=param, code="unknown_parameter")
    expected = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    where = f" for `{param}`" if param else ""
    return RequestError(f"Invalid value{where}: expected {expected}.", param=param or None, code="invalid_value")


def _check_tool_choice(request: ChatRequest) -> None:
    offered = {function.name for function in request.functions}
    match request.tool_choice:
        case NamedChoice(function=wanted) if wanted.name not in offered:
            raise RequestError(
                f"Tool choice `{wanted.name}` is not among the `tools`.", param="tool_choice", code="invalid_value"
            )
        case "required" if not offered:
            raise RequestError("`tool_choice` is only allowed with `tools`.", param="tool_choice", code="invalid_value")


def _check_tool_messages(messages: list[Message]) -> None:
    """Hold to the order that the real API asks for: each call is answered before anything else is said."""
    open_calls: set[str] = set()
    for position, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id not in open_calls:
                raise RequestError(
                    f"`messages[{position}]` answers the tool call `{message.tool_call_id}`, which no assistant message"
                    " before it has left open.",
                    param=f"messages[{position}].tool_call_id",
                    code="invalid_value",
                )
            open_calls.discard(message.tool_call_id)
            continue
        if open_calls:
            break
        open_calls = {call.id for call in message.tool_calls or []}
    if open_calls:
        raise RequestError(
            f"Tool calls without an answer: {', '.join(sorted(open_calls))}. An assistant message with `tool_calls` is "
            "followed by one message of role `tool` for each of them.",
            param="messages",
            code="invalid_value",
        )
