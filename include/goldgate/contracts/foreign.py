"""Agents that were written elsewhere: a Python callable with its own environment, an endpoint that runs somewhere.

They stand in `agent.yaml` as `kind: Agent` too; the key of `spec` says which contract holds.
"""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from goldgate.contracts.base import Contract, ResourceContract
from goldgate.contracts.bounds import LONGEST_WORK_SECONDS, MOST_CHARS, MOST_TOKENS, MOST_USD
from goldgate.contracts.llm import Price
from goldgate.contracts.prediction import Reported, ToolCall
from goldgate.contracts.resource_parts import EnvName, FromEnv, Name, RelativePath, Resource
from goldgate.contracts.resources import RateLimit, SafetySpec

AgentKind = Literal["declared", "python", "endpoint"]
"""Which of the three contracts an Agent document keeps."""

CallNature = Literal["pure", "idempotent", "acts"]
"""What it means to ask an agent twice: nothing changes; nothing more changes, by the trace id, which is the same;
something may be done twice. After a crash nobody knows whether it was asked, so one that acts is not asked again.
"""

ENVIRONMENT_FILE: Final = "environment.json"
"""In the bundle of a Python callable: the environment that it was frozen with."""

_WORD: Final = "[A-Za-z_][A-Za-z0-9_]*"
_CALLABLE: Final = rf"^{_WORD}(\.{_WORD})*:{_WORD}(\.{_WORD})*$"
OURS_TO_SET: Final = frozenset({"HOME", "TMPDIR", "TRACEPARENT", "PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE"})

_MOST_COUNTED: Final = 10**12
"""More in one answer is a mistake of whoever counted, and too much for a float to price."""


def _callable_name(text: str) -> str:
    if not re.fullmatch(_CALLABLE, text):
        msg = "`module:function`, such as `agent:predict`"
        raise ValueError(msg)
    return text


CallableName = Annotated[str, AfterValidator(_callable_name), Field(json_schema_extra={"pattern": _CALLABLE})]
"""`module:function` in the agent's folder; `module:Class` for a class with `predict`."""


class PythonSpec(ResourceContract):
    """A callable of the agent's folder, in a process and an environment of its own.

    The process gets PATH, a HOME and a TMPDIR of its own, and what is named here; nothing else is inherited.
    """

    callable: CallableName
    """`module:function` of the folder, such as `agent:predict`."""
    requirements: RelativePath | None = None
    """A pip requirements file, every line pinned by `==` and hash. Left out: the standard library only."""
    python_version: str | None = Field(default=None, pattern=r"^3\.(9|[1-9][0-9])$")
    """Left out: the version that freezes it."""
    env: dict[EnvName, str] = Field(default_factory=dict)
    """Plain values, which anybody may read."""
    env_from: dict[EnvName, FromEnv] = Field(default_factory=dict)
    """Secrets and addresses, read when the process starts: never stored, cut out of what it prints."""
    nature: CallNature = "acts"
    """What it means to ask it twice."""
    max_concurrency: int = Field(default=8, ge=1, le=256)
    """Requests that one process answers side by side: threads for a function, tasks for an `async` one."""
    start_seconds: float = Field(default=60, gt=0, le=600)
    """How long the import of the callable may take."""
    max_restarts: int = Field(default=3, ge=0, le=100)
    """How often a process that died or hung is started again within ten minutes."""

    @model_validator(mode="after")
    def _names_what_is_free(self) -> "PythonSpec":
        if taken := sorted((self.env.keys() | self.env_from.keys()) & OURS_TO_SET):
            msg = f"no variable that the runtime sets itself: {', '.join(taken)}"
            raise ValueError(msg)
        if twice := sorted(self.env.keys() & self.env_from.keys()):
            msg = f"each variable in one of `env` and `envFrom`: {', '.join(twice)}"
            raise ValueError(msg)
        return self


class EndpointSpec(ResourceContract):
    """An OpenAI-compatible chat endpoint that is an agent already. Its tools and its knowledge are its own."""

    llm: Name
    """Name of an LLM document of the same file: address, key, model, price."""
    system_prompt: RelativePath | None = None
    """Sent first, as it is. Left out: the endpoint has its own."""
    mode: Literal["chat"] = "chat"
    nature: CallNature = "pure"
    """Of one that acts the LLM's `maxRetries` should be 0 as well."""


class ForeignModel(ResourceContract):
    """The model behind a callable, as far as its author knows it."""

    name: str = Field(min_length=1)
    price: Price | None = None
    """Prices the tokens that the callable reports, where it reports no cost itself."""
    free: bool = False

    @model_validator(mode="after")
    def _charges_one_way(self) -> "ForeignModel":
        if self.free and self.price is not None:
            msg = "`price` or `free: true`, not both"
            raise ValueError(msg)
        return self


class ForeignLimits(ResourceContract):
    """What one request may use. Tokens and money are counted after the fact: the agent is asked once."""

    timeout_seconds: float = Field(default=30, gt=0, le=LONGEST_WORK_SECONDS)
    max_tokens: int | None = Field(default=None, ge=1, le=MOST_TOKENS)
    max_cost_usd: float | None = Field(default=None, gt=0, le=MOST_USD)
    max_question_chars: int = Field(default=20_000, ge=1, le=MOST_CHARS)
    max_input_chars: int = Field(default=200_000, ge=1, le=MOST_CHARS)
    max_answer_bytes: int = Field(default=1_000_000, ge=1_000, le=64_000_000)
    """Of a whole response. A longer one is an error."""


class ForeignSafety(ResourceContract):
    """What is checked around an agent that has safety of its own: nothing, unless it is asked for here."""

    block_personal_data: bool = False
    """Refuse questions that hold or ask for personal data; redact it from answers."""
    block_injections: bool = False
    """Refuse questions that try to replace instructions; mark instructions in attachments."""
    refusal: str | None = Field(default=None, min_length=1)
    """The sentence by which the agent refuses: an answer that holds it is a refusal."""
    rate_limit: RateLimit | None = None

    @model_validator(mode="after")
    def _can_refuse(self) -> "ForeignSafety":
        if (self.block_personal_data or self.block_injections) and self.refusal is None:
            msg = "`refusal`, the sentence that is answered when a question is blocked"
            raise ValueError(msg)
        return self

    def as_checks(self) -> SafetySpec:
        """Write it as the guards of every agent read it."""
        return SafetySpec(
            block_personal_data=self.block_personal_data,
            block_injections=self.block_injections,
            refusal=self.refusal or "",
            rate_limit=self.rate_limit,
        )


class _ForeignSpec(ResourceContract):
    description: str = Field(min_length=1)
    limits: ForeignLimits = ForeignLimits()
    safety: ForeignSafety = ForeignSafety()


class PythonAgentSpec(_ForeignSpec):
    """A Python callable with `predict(request)`."""

    python: PythonSpec
    reports: list[Reported] = Field(default_factory=list)
    """What its responses tell. A gate that needs what is not here is unmeasured, and blocks."""
    model: ForeignModel | None = None
    """Left out: the cost is what the callable reports, else unmeasured."""


class EndpointAgentSpec(_ForeignSpec):
    """An endpoint that answers."""

    endpoint: EndpointSpec


class PythonAgent(Resource):
    """An agent that is a Python callable."""

    kind: Literal["Agent"]
    spec: PythonAgentSpec


class EndpointAgent(Resource):
    """An agent that is an endpoint."""

    kind: Literal["Agent"]
    spec: EndpointAgentSpec


ForeignAgent = PythonAgent | EndpointAgent


class ForeignUsage(Contract):
    """What a callable used for one answer."""

    tokens_in: int = Field(default=0, ge=0, le=_MOST_COUNTED)
    tokens_out: int = Field(default=0, ge=0, le=_MOST_COUNTED)
    tokens_cached: int = Field(default=0, ge=0, le=_MOST_COUNTED)
    cost_usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Left out: by the price in `agent.yaml`."""
    llm_calls: int | None = Field(default=None, ge=0, le=_MOST_COUNTED)
    """0 says that no model was asked: then no tokens are a fact, and not a hole."""


class ForeignResponse(Contract):
    """What a callable returns; a plain string is its `answer` alone. A field that is left out is unmeasured."""

    answer: str
    refused: bool | None = None
    """Left out: whether the answer holds the refusal of `agent.yaml`."""
    citations: list[str] | None = None
    retrieved: list[str] | None = None
    tool_calls: list[ToolCall] | None = None
    usage: ForeignUsage | None = None
    latency_ms_llm: float | None = Field(default=None, ge=0)
    error: str | None = None
    """Why there is no proper answer. It is logged; callers read that there was one."""


class AgentEnvironment(Contract):
    """`environment.json` of a bundle: all that its environment is made of."""

    python: str = Field(pattern=r"^3\.\d+$")
    callable: CallableName
    requirements: str | None
    """Path of the requirements file in the bundle."""
    requirements_digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of that file; of nothing if there is none."""
    pins: list[str] = Field(default_factory=list)
    """Its packages, `name==version`, without their hashes: what MLflow is told."""


def agent_kind(document: object) -> AgentKind | None:
    """Tell by which contract a document of `agent.yaml` is to be read. None: it is no Agent.

    Of both keys `python` counts, and `endpoint` is then an unknown field.
    """
    if not isinstance(document, dict) or document.get("kind") != "Agent":
        return None
    spec = document.get("spec")
    if isinstance(spec, dict):
        if "python" in spec:
            return "python"
        if "endpoint" in spec:
            return "endpoint"
    return "declared"
