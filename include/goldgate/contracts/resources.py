"""The resources of an agent: Agent and MCPServer, beside LLM, Task and TaskRun.

They read as Kubernetes resources do, in files and, later, in a cluster: `apiVersion`, `kind`, `metadata`, `spec`,
camelCase fields, durations in whole `...Seconds`.
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from goldgate.contracts.base import ResourceContract
from goldgate.contracts.bounds import (
    LONGEST_WORK_SECONDS,
    MOST_CHARS,
    MOST_DEPTH,
    MOST_REQUESTS,
    MOST_STEPS,
    MOST_TOKENS,
    MOST_USD,
    MOST_WEIGHT,
)
from goldgate.contracts.resource_parts import EnvName, FromEnv, Name, RelativePath, Resource
from goldgate.domain.bounded_pattern import pattern_problem
from goldgate.domain.prompt_variables import VariableProblem, system_problems, user_problems

MOST_TOOLS: Final = 100
"""Of one server. A model that is shown more picks the wrong one, and an API server checks no longer lists."""


class MCPServerSpec(ResourceContract):
    """A tool server: a program that speaks MCP over stdio, or an address that speaks it over streamable HTTP.

    A program gets only the environment named here.
    """

    command: str | None = Field(default=None, min_length=1)
    """A program on the PATH, or `python` for the interpreter that runs the agent."""
    args: list[str] = Field(default_factory=list)
    """A word that names a file of the agent's folder is passed as its absolute path."""
    env: dict[EnvName, str] = Field(default_factory=dict)
    """Plain values, which anybody may read."""
    env_from: dict[EnvName, FromEnv] = Field(default_factory=dict)
    """Secrets: read from the environment when the server is started, and never stored."""
    url: str | None = Field(default=None, pattern=r"^https?://")
    """In place of `command`."""
    headers_from: dict[str, FromEnv] = Field(default_factory=dict)
    """Headers of every request to `url`, such as `Authorization`, read from the environment."""
    timeout_seconds: float = Field(default=10, gt=0, le=600)
    """For one call."""
    max_restarts: int = Field(default=3, ge=0, le=100)
    """How often a program that died is started again within ten minutes."""
    recheck_seconds: float = Field(default=60, ge=0, le=86_400)
    """How old the list of its tools may be when one is called: then it is asked again, and drift blocks."""

    @model_validator(mode="after")
    def _is_program_or_address(self) -> "MCPServerSpec":
        if (self.command is None) == (self.url is None):
            msg = "exactly one of `command` and `url`"
            raise ValueError(msg)
        if self.url is not None and (self.args or self.env or self.env_from):
            msg = "no `args`, `env` or `envFrom` for a `url`, which starts no program"
            raise ValueError(msg)
        if self.command is not None and self.headers_from:
            msg = "no `headersFrom` for a `command`, which is sent no headers"
            raise ValueError(msg)
        return self


class MCPServer(Resource):
    """A server of tools."""

    kind: Literal["MCPServer"]
    spec: MCPServerSpec


ToolName = Annotated[str, Field(max_length=128)]


class ToolGrant(ResourceContract):
    """The tools of one server that the agent may call. Nothing else reaches the model.

    What a tool is, the author says here; hints of the server are not believed.
    """

    mcp_server: Name
    """Name of an MCPServer."""
    allow: list[ToolName] = Field(min_length=1, max_length=MOST_TOOLS)
    """By the names that the server gives them."""
    pure: list[ToolName] = Field(default_factory=list, max_length=MOST_TOOLS)
    """Change nothing: may be repeated when nobody knows whether a call was made."""
    idempotent: list[ToolName] = Field(default_factory=list, max_length=MOST_TOOLS)
    """Honour the idempotency key in a call's `_meta`: may be repeated with the same key."""
    approve: list[ToolName] = Field(default_factory=list, max_length=MOST_TOOLS)
    """A person approves every call of these before it is made."""
    unknown_fate: Literal["ask", "fail"] = "ask"
    """For the others, when a process ended during a call: ask a person, or fail the run. Never guessed."""

    @model_validator(mode="after")
    def _names_allowed_tools(self) -> "ToolGrant":
        named = {*self.pure, *self.idempotent, *self.approve}
        if unknown := sorted(named - set(self.allow)):
            msg = f"only tools of `allow` in `pure`, `idempotent` and `approve`, not {', '.join(unknown)}"
            raise ValueError(msg)
        if both := sorted(set(self.pure) & set(self.idempotent)):
            msg = f"each tool in one of `pure` and `idempotent`, not in both: {', '.join(both)}"
            raise ValueError(msg)
        return self


class AgentGrant(ResourceContract):
    """Another agent that this one may ask, as a tool named `ask_<agent>` with one argument, `message`."""

    agent: Name
    """A folder beside this agent's."""
    description: str = Field(min_length=1)
    """What the model reads of it."""
    approve: bool = False
    """A person approves every question to it before it is asked."""


class PersonGrant(ResourceContract):
    """A tool by which the agent asks a person; the run ends until somebody answers, and then goes on."""

    name: str = Field(default="ask_person", pattern=r"^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$")
    description: str = "Ask a person what you cannot find out yourself. The answer may take long."


class Fallback(ResourceContract):
    """What is tried when the model before it cannot answer: another model, a shorter prompt, or both."""

    llm: Name | None = None
    """Name of an LLM."""
    context_tokens: int | None = Field(default=None, ge=200, le=MOST_TOKENS)
    """Of the conversation, the definitions of tools not counted."""

    @model_validator(mode="after")
    def _changes_something(self) -> "Fallback":
        if self.llm is None and self.context_tokens is None:
            msg = "`llm`, `contextTokens` or both"
            raise ValueError(msg)
        return self


class CorpusSpec(ResourceContract):
    """Where the agent's knowledge comes from: files of the folder, or a program of the folder."""

    files: list[RelativePath] = Field(default_factory=list)
    """Glob patterns of Markdown, text and JSON-lines files, relative to the agent's folder."""
    builder: RelativePath | None = None
    """A Python file of the folder that prints one chunk a line as JSON: id, title, text, fields."""


class LongQuestion(ResourceContract):
    """Retrieval for questions above a length, which often ask several things at once."""

    over_tokens: int = Field(ge=1, le=MOST_TOKENS)
    k: int = Field(ge=1, le=200)
    context_tokens: int = Field(ge=1, le=MOST_TOKENS)


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
        has_address = self.base_url is not None or self.base_url_from is not None
        if self.kind == "wordllama" and (has_address or self.model or self.api_key_from):
            msg = "no endpoint fields for kind `wordllama`, which runs in the process"
            raise ValueError(msg)
        return self


class RetrievalSpec(ResourceContract):
    """How passages are found for a question."""

    mode: Literal["none", "lexical", "vector", "hybrid"] = "hybrid"
    """By words, by vectors, by both, or not at all."""
    candidates: int = Field(default=40, ge=1, le=500)
    """How many passages each ranking contributes before fusion and reranking."""
    k: int = Field(default=5, ge=1, le=200)
    """How many passages are given to the model, if the token budget lets them."""
    context_tokens: int = Field(default=1200, ge=1, le=MOST_TOKENS)
    """Budget for all passages together. A passage that does not fit is cut, and the cut is marked."""
    lexical_weight: float = Field(default=1.0, ge=0, le=MOST_WEIGHT)
    """Of the ranking by words, when both are fused."""
    vector_weight: float = Field(default=1.0, ge=0, le=MOST_WEIGHT)
    """Of the ranking by vectors."""
    reranker: Literal["none", "late-interaction"] = "none"
    """What orders the candidates once more."""
    embedder: EmbedderSpec = EmbedderSpec()
    min_relevance: float = Field(default=0.0, ge=0, le=1)
    """Below this similarity of the best passage the agent refuses: the question is about something else."""
    long_question: LongQuestion | None = None


def _without(problems: Callable[[str], Iterator[VariableProblem]]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if found := list(problems(text)):
            raise ValueError(" and ".join(f"{each.expected} (here: {each.found})" for each in found))
        return text

    return check


SystemText = Annotated[str, Field(min_length=1), AfterValidator(_without(system_problems))]
UserText = Annotated[str, Field(min_length=1), AfterValidator(_without(user_problems))]


class PromptSpec(ResourceContract):
    """The prompts, each a file of the folder or a text. `user` holds `{question}` and `{context}`, `system` none."""

    system: RelativePath | None = None
    system_text: SystemText | None = None
    """In place of a file: such an agent without knowledge and tools is all in its resources."""
    user: RelativePath | None = None
    user_text: UserText | None = None

    @model_validator(mode="after")
    def _says_each_once(self) -> "PromptSpec":
        if (self.system is None) == (self.system_text is None):
            msg = "exactly one of `system` and `systemText`"
            raise ValueError(msg)
        if (self.user is None) == (self.user_text is None):
            msg = "exactly one of `user` and `userText`"
            raise ValueError(msg)
        return self


class AgentLimits(ResourceContract):
    """What one request may use before it is ended with a clear reason."""

    max_steps: int = Field(default=4, ge=1, le=MOST_STEPS)
    """Model calls."""
    timeout_seconds: float = Field(default=30, gt=0, le=LONGEST_WORK_SECONDS)
    """Time worked; waiting for a person is no work."""
    max_tokens: int | None = Field(default=None, ge=1, le=MOST_TOKENS)
    """Read and written together, sub-agents included."""
    max_cost_usd: float | None = Field(default=None, gt=0, le=MOST_USD)
    """Sub-agents included."""
    max_parallel_calls: int = Field(default=8, ge=1, le=64)
    """Tool calls side by side; more in one reply are not made, and the model is told."""
    max_depth: int = Field(default=2, ge=0, le=MOST_DEPTH)
    """How deep agents may ask agents."""
    context_window_tokens: int = Field(default=32_000, ge=500, le=MOST_TOKENS)
    """What is sent to the model in one call, definitions of tools included. A longer conversation is compacted for
    sending. A model whose window holds the answer as well needs room for that beside it."""
    max_result_tokens: int = Field(default=4_000, ge=16, le=MOST_TOKENS)
    """What the model reads of one tool's result; the rest is cut, and the cut is marked."""
    max_question_chars: int = Field(default=20_000, ge=1, le=MOST_CHARS)
    """The question with its attachments."""
    max_input_chars: int = Field(default=200_000, ge=1, le=MOST_CHARS)
    """Everything a caller sends: question, attachments, and the earlier turns."""


class RateLimit(ResourceContract):
    """How often one caller may ask."""

    requests_per_minute: float = Field(gt=0, le=MOST_REQUESTS)
    """In the long run."""
    burst: int = Field(default=10, ge=1, le=MOST_REQUESTS)
    """So many at once, after a pause."""


Term = Annotated[str, Field(json_schema_extra={"pattern": r"[^\t-\r\x1c-\x20\x85\p{Z}]"})]
"""A word or a phrase: not empty, and not white space alone."""


class RefusalRule(ResourceContract):
    """Questions that are refused before a model is asked, by what they say."""

    name: Name
    """Stands in the reason that the trace and the answer's blocks carry."""
    terms: list[Term] = Field(default_factory=list)
    """Words or phrases, found whole, whatever their case."""
    pattern: str | None = Field(default=None, min_length=1, max_length=500)
    """A regular expression whose repeats all have an end, such as `\\bbuy\\b.{0,40}\\bshares?\\b`; found anywhere."""
    reason: str = Field(min_length=1)
    """Why, in words for whoever reads the trace."""

    @model_validator(mode="after")
    def _says_what(self) -> "RefusalRule":
        if not self.terms and self.pattern is None:
            msg = "`terms`, `pattern` or both"
            raise ValueError(msg)
        if any(not term.strip() for term in self.terms):
            msg = "no empty word in `terms`"
            raise ValueError(msg)
        if self.pattern is not None and (problem := pattern_problem(self.pattern)) is not None:
            msg = f"in `pattern`: {problem}"
            raise ValueError(msg)
        return self


class SafetySpec(ResourceContract):
    """What is refused before a model is asked, and what never leaves."""

    block_personal_data: bool = True
    """Refuse questions that hold or ask for personal data; redact it from answers."""
    block_injections: bool = True
    """Mark instructions in context and tool results, and refuse questions that try to replace them."""
    refuse: list[RefusalRule] = Field(default_factory=list, max_length=100)
    """Held to the question in its readable form, before anything else; the first that fits is told."""
    refusal: str = "I cannot help with that."
    """What is answered when a question is refused."""
    rate_limit: RateLimit | None = None
    """For each caller. None: only the router's own limit holds."""


class ControllerSpec(ResourceContract):
    """How the agent works, beside acting and observing. Each costs one more reply of the model."""

    plan: bool = False
    """Before it acts, the model says what it will do."""
    reflect: bool = False
    """Before an answer goes out, the model holds it against the question and what it was given."""


class AgentSpec(ResourceContract):
    """An agent declared on our runtime."""

    description: str = Field(min_length=1)
    """What it is for, in a sentence."""
    llm: Name
    """Name of the LLM that answers."""
    prompts: PromptSpec
    corpus: CorpusSpec = CorpusSpec()
    retrieval: RetrievalSpec = RetrievalSpec(mode="none")
    tools: list[ToolGrant] = Field(default_factory=list, max_length=50)
    """What it may call, server by server."""
    agents: list[AgentGrant] = Field(default_factory=list)
    """Other agents that it may ask."""
    person: PersonGrant | None = None
    """Lets it ask a person."""
    fallbacks: list[Fallback] = Field(default_factory=list)
    """In order, when the model is not available or refuses."""
    controller: ControllerSpec = ControllerSpec()
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
