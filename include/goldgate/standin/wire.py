"""The shapes of the OpenAI requests that the stand-in model takes. Unknown fields are refused, as the real API does."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from goldgate.contracts.base import Contract
from goldgate.standin.parameters import problem_in


def _joined(content: object) -> object:
    """Make one string of a list of text parts. Everything else is left to pydantic."""
    if not isinstance(content, list):
        return content
    texts = []
    for position, part in enumerate(content):
        if not (isinstance(part, dict) and part.keys() == {"type", "text"} and part["type"] == "text"):
            msg = f"a part {position} of the form `{{type: text, text: ...}}`: the stand-in reads text only"
            raise ValueError(msg)
        texts.append(part["text"])
    if not all(isinstance(text, str) for text in texts):
        msg = "text parts that hold strings"
        raise ValueError(msg)
    return "\n".join(texts)


class FunctionCall(Contract):
    """What an assistant message asked for."""

    name: str
    arguments: str


class CallRecord(Contract):
    """A tool call of an earlier assistant message."""

    id: str = Field(min_length=1)
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(Contract):
    """One message of the conversation. The fields that real answers carry as null are accepted as null."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str | None, BeforeValidator(_joined)] = None
    name: str | None = None
    tool_calls: list[CallRecord] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    annotations: list[Any] | None = None
    audio: None = None
    function_call: None = None

    @model_validator(mode="after")
    def _fits_its_role(self) -> "Message":
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            msg = f"`content` in a message of role `{self.role}`"
            raise ValueError(msg)
        if (self.role == "tool") != (self.tool_call_id is not None):
            msg = "`tool_call_id` in messages of role `tool`, and only there"
            raise ValueError(msg)
        if self.tool_calls and self.role != "assistant":
            msg = "`tool_calls` only in messages of role `assistant`"
            raise ValueError(msg)
        return self

    @property
    def text(self) -> str:
        """The content; empty if there is none."""
        return self.content or ""


class Function(Contract):
    """A function that may be called."""

    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    strict: bool | None = None

    @model_validator(mode="after")
    def _can_be_read(self) -> "Function":
        problem = problem_in(self.parameters)
        if problem is not None:
            raise ValueError(problem)
        return self


class Tool(Contract):
    """A tool on offer."""

    type: Literal["function"]
    function: Function


class NamedFunction(Contract):
    """A function by its name."""

    name: str


class NamedChoice(Contract):
    """The caller wants this function called."""

    type: Literal["function"]
    function: NamedFunction


class StreamOptions(Contract):
    """What a stream carries besides the answer."""

    include_usage: bool = False


class TextFormat(Contract):
    """The only form of answer there is."""

    type: Literal["text"]


def _listed(stop: object) -> object:
    return [stop] if isinstance(stop, str) else stop


class ChatRequest(Contract):
    """A chat completion request."""

    model: str
    messages: list[Message] = Field(min_length=1)
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedChoice | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = None
    stop: Annotated[list[Annotated[str, Field(min_length=1)]] | None, BeforeValidator(_listed)] = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None
    response_format: TextFormat | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    """Checked and without effect, as all that follow: the stand-in does not sample."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    parallel_tool_calls: bool | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None

    @property
    def functions(self) -> list[Function]:
        """The functions on offer."""
        return [tool.function for tool in self.tools or []]

    @property
    def output_limit(self) -> int | None:
        """How many tokens may be written."""
        limits = [limit for limit in (self.max_tokens, self.max_completion_tokens) if limit is not None]
        return min(limits) if limits else None


class EmbeddingRequest(Contract):
    """An embeddings request."""

    model: str
    input: Annotated[list[Annotated[str, Field(min_length=1)]], BeforeValidator(_listed), Field(min_length=1)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int = Field(default=256, ge=8, le=4096)
    user: str | None = None
