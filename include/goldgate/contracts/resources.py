"""The resources of an agent: LLM, Agent, MCPServer, Task, TaskRun.

They read as Kubernetes resources do, in files and, later, in a cluster: `apiVersion`, `kind`, `metadata`, `spec`,
camelCase fields, durations in whole `...Seconds`.
"""

from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, model_validator

from goldgate.contracts.base import API_VERSION, ResourceContract
from goldgate.domain.task_run import Phase, Status

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""A DNS label, as Kubernetes wants it: lower case, digits, dashes, at most 63."""

EnvName = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")]


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path:
        msg = "a path inside the agent's folder: not absolute, not through `..`"
        raise ValueError(msg)
    return path


RelativePath = Annotated[str, AfterValidator(_inside)]
"""A path inside the agent's folder: never absolute, never through `..`."""


class Metadata(ResourceContract):
    """What every resource is called by."""

    name: Name
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Resource(ResourceContract):
    """What every resource begins with."""

    api_version: Literal["goldgate.dev/v1alpha1"] = API_VERSION
    metadata: Metadata


class FromEnv(ResourceContract):
    """A value that is read from the environment when the agent starts, and never stored."""

    env: EnvName


class Price(ResourceContract):
    """What an endpoint charges, in US dollars for a million tokens."""

    input_usd_per_million_tokens: float = Field(ge=0)
    cached_input_usd_per_million_tokens: float = Field(ge=0)
    output_usd_per_million_tokens: float = Field(ge=0)


class SamplingParameters(ResourceContract):
    """What is sent to the endpoint with every call. A field left out is not sent."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = None


class LLMSpec(ResourceContract):
    """An OpenAI-compatible chat endpoint and one model of it."""

    model: str = Field(min_length=1)
    """The pinned model name, with its version: never `latest`."""
    base_url: str | None = None
    base_url_from: FromEnv | None = None
    api_key_from: FromEnv | None = None
    """Left out for an endpoint that asks for no key."""
    price: Price
    parameters: SamplingParameters = SamplingParameters()
    timeout_seconds: float = Field(default=30, gt=0, le=600)
    max_retries: int = Field(default=2, ge=0, le=10)

    @model_validator(mode="after")
    def _one_address(self) -> "LLMSpec":
        if (self.base_url is None) == (self.base_url_from is None):
            msg = "exactly one of `baseUrl` and `baseUrlFrom`"
            raise ValueError(msg)
        return self


class LLM(Resource):
    """A model that agents may use."""

    kind: Literal["LLM"]
    spec: LLMSpec


class MCPServerSpec(ResourceContract):
    """How a tool server is started. It speaks MCP over stdio and gets only the environment named here."""

    command: str = Field(min_length=1)
    """A program on the PATH, or `python` for the interpreter that runs the agent."""
    args: list[str] = Field(default_factory=list)
    """A word that names a file of the agent's folder is passed as its absolute path."""
    env: dict[EnvName, str] = Field(default_factory=dict)
    timeout_seconds: float = Field(default=10, gt=0, le=600)


class MCPServer(Resource):
    """A server of tools."""

    kind: Literal["MCPServer"]
    spec: MCPServerSpec


class ToolGrant(ResourceContract):
    """The tools of one server that the agent may call. Nothing else reaches the model."""

    mcp_server: Name
    allow: list[str] = Field(min_length=1)


class CorpusSpec(ResourceContract):
    """Where the agent's knowledge comes from: files of the folder, or a program of the folder."""

    files: list[RelativePath] = Field(default_factory=list)
    """Glob patterns of Markdown, text and JSON-lines files, relative to the agent's folder."""
    builder: RelativePath | None = None
    """A Python file of the folder that prints one chunk a line as JSON: id, title, text, fields."""


class LongQuestion(ResourceContract):
    """Retrieval for questions above a length, which often ask several things at once."""

    over_tokens: int = Field(ge=1)
    k: int = Field(ge=1, le=200)
    context_tokens: int = Field(ge=1)


class EmbedderSpec(ResourceContract):
    """What turns text into vectors: the built-in static one, or an OpenAI-compatible endpoint."""

    kind: Literal["wordllama", "openai"] = "wordllama"
    model: str | None = None
    base_url: str | None = None
    base_url_from: FromEnv | None = None
    api_key_from: FromEnv | None = None

    @model_validator(mode="after")
    def _endpoint_is_whole(self) -> "EmbedderSpec":
        addressed = (self.base_url is None) != (self.base_url_from is None)
        if self.kind == "openai" and not (addressed and self.model):
            msg = "`model` and exactly one of `baseUrl` and `baseUrlFrom` for kind `openai`"
            raise ValueError(msg)
        if self.kind == "wordllama" and (addressed or self.model or self.api_key_from):
            msg = "no endpoint fields for kind `wordllama`, which runs in the process"
            raise ValueError(msg)
        return self


class RetrievalSpec(ResourceContract):
    """How passages are found for a question."""

    mode: Literal["none", "lexical", "vector", "hybrid"] = "hybrid"
    candidates: int = Field(default=40, ge=1, le=500)
    """How many passages each ranking contributes before fusion and reranking."""
    k: int = Field(default=5, ge=1, le=200)
    """How many passages are given to the model, if the token budget lets them."""
    context_tokens: int = Field(default=1200, ge=1)
    """Budget for all passages together. A passage that does not fit is cut, and the cut is marked."""
    lexical_weight: float = Field(default=1.0, ge=0)
    vector_weight: float = Field(default=1.0, ge=0)
    reranker: Literal["none", "late-interaction"] = "none"
    embedder: EmbedderSpec = EmbedderSpec()
    min_relevance: float = Field(default=0.0, ge=0, le=1)
    """Below this similarity of the best passage the agent refuses: the question is about something else."""
    long_question: LongQuestion | None = None


class PromptFiles(ResourceContract):
    """The prompts, as files of the folder. `user` holds `{question}` and `{context}`, `system` no variable."""

    system: RelativePath
    user: RelativePath


class AgentLimits(ResourceContract):
    """What one request may use before it is ended with a clear reason."""

    max_steps: int = Field(default=4, ge=1, le=100)
    """Model calls."""
    timeout_seconds: float = Field(default=30, gt=0, le=3600)
    max_question_chars: int = Field(default=20_000, ge=1)
    """The question with its attachments."""
    max_input_chars: int = Field(default=200_000, ge=1)
    """Everything a caller sends: question, attachments, and the earlier turns."""


class SafetySpec(ResourceContract):
    """What is refused before a model is asked, and what never leaves."""

    block_personal_data: bool = True
    """Refuse questions that hold or ask for personal data; redact it from answers."""
    block_injections: bool = True
    """Drop context that carries instructions, and refuse questions that try to replace them."""
    refusal: str = "I cannot help with that."


class AgentSpec(ResourceContract):
    """An agent declared on our runtime."""

    description: str = Field(min_length=1)
    llm: Name
    prompts: PromptFiles
    corpus: CorpusSpec = CorpusSpec()
    retrieval: RetrievalSpec = RetrievalSpec(mode="none")
    tools: list[ToolGrant] = Field(default_factory=list)
    limits: AgentLimits = AgentLimits()
    safety: SafetySpec = SafetySpec()

    @model_validator(mode="after")
    def _has_something_to_retrieve(self) -> "AgentSpec":
        has_corpus = bool(self.corpus.files or self.corpus.builder)
        if self.retrieval.mode != "none" and not has_corpus:
            msg = f"a corpus (`corpus.files` or `corpus.builder`) for retrieval mode `{self.retrieval.mode}`"
            raise ValueError(msg)
        return self


class Agent(Resource):
    """What is released: a model, prompts, knowledge and tools."""

    kind: Literal["Agent"]
    spec: AgentSpec


class TaskSpec(ResourceContract):
    """An agent and what to ask of it, kept for reuse."""

    agent_ref: Name
    user_message: str = Field(min_length=1)


class Task(Resource):
    """A question that can be run again."""

    kind: Literal["Task"]
    spec: TaskSpec


class TaskRunSpec(ResourceContract):
    """Either a reference to a Task, or an agent and a message."""

    task_ref: Name | None = None
    agent_ref: Name | None = None
    user_message: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _asks_one_thing(self) -> "TaskRunSpec":
        direct = self.agent_ref is not None or self.user_message is not None
        if self.task_ref is not None and direct:
            msg = "`taskRef` alone, or `agentRef` with `userMessage`, not both"
            raise ValueError(msg)
        if self.task_ref is None and not direct:
            msg = "`taskRef`, required when `agentRef` and `userMessage` are not given"
            raise ValueError(msg)
        if direct and self.agent_ref is None:
            msg = "`agentRef`: no agent is named for `userMessage`"
            raise ValueError(msg)
        if direct and self.user_message is None:
            msg = "`userMessage`: no message is given for `agentRef`"
            raise ValueError(msg)
        return self


class ContextMessage(ResourceContract):
    """One message of the context window."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: list[dict[str, JsonValue]] = Field(default_factory=list)
    tool_call_id: str | None = None


class TaskRunStatus(ResourceContract):
    """What is known of a run so far."""

    phase: Phase = Phase.INITIALIZING
    status: Status = Status.PENDING
    ready: bool = False
    status_detail: str = ""
    error: str | None = None
    user_message_preview: str = ""
    output: str | None = None
    context_window: list[ContextMessage] = Field(default_factory=list)
    trace_id: str | None = None
    span_id: str | None = None
    start_time: datetime | None = None
    completion_time: datetime | None = None


class TaskRun(Resource):
    """One run of an agent on one message."""

    kind: Literal["TaskRun"]
    spec: TaskRunSpec
    status: TaskRunStatus = TaskRunStatus()
