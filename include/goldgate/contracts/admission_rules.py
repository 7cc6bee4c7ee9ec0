"""What the contracts check across fields, as the API server of a cluster checks it: in CEL, beside each schema.

Whoever adds a check to a contract of a resource adds its rule here; a test holds both to the same documents.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic.alias_generators import to_camel

from goldgate.contracts.cluster import NOT_BEGUN
from goldgate.contracts.foreign import OURS_TO_SET
from goldgate.contracts.llm import OURS_TO_WRITE, SamplingParameters
from goldgate.contracts.resource_parts import NAME_PATTERN
from goldgate.domain.models.providers import PROVIDERS, Provider
from goldgate.domain.prompt_variables import (
    NO_OTHERS_EXPECTED,
    NONE_EXPECTED,
    USER_VARIABLES,
    VARIABLE_PATTERN,
    once_expected,
)
from goldgate.domain.structural_schemas import Demands, Rule, cel_text

_PARAMETERS: Final = frozenset(SamplingParameters.model_fields) - {"extra"}


def _filled(field: str) -> str:
    """Say that a list or a map has something in it, or a text a letter."""
    return f"(has(self.{field}) && size(self.{field}) > 0)"


def _listed(words: Iterable[str]) -> str:
    return "[" + ", ".join(cel_text(word) for word in sorted(words)) + "]"


def _not_both(one: str, other: str, message: str) -> Rule:
    return Rule(cel=f"!has(self.{one}) || !has(self.{other})", message=message, at=f".{one}")


def _exactly_one(one: str, other: str) -> Rule:
    cel = f"has(self.{one}) != has(self.{other})"
    return Rule(cel=cel, message=f"exactly one of `{one}` and `{other}`", reason="FieldValueRequired", at=f".{one}")


def _only_allowed(field: str) -> Rule:
    return Rule(
        cel=f"!has(self.{field}) || self.{field}.all(tool, tool in self.allow)",
        message=f"only tools of `allow` in `{field}`",
        at=f".{field}",
    )


def _any_of(keys: Iterable[str]) -> dict[str, Any]:
    """Describe a map with one of these keys. Where its values may be anything, no rule can look into it."""
    return {"anyOf": [{"required": [key]} for key in sorted(keys)]}


_FROZEN: Final = Rule(cel="self == oldSelf", message="the `spec` as it was first written: it cannot be changed")

_NAMED: Final = Rule(
    cel=f"self.metadata.name.matches({cel_text(NAME_PATTERN)})",
    message="a DNS label: lower case, digits, dashes, at most 63 in all",
    at=".metadata.name",
)

_TASK_RUN: Final = (
    Rule(
        cel="!has(self.taskRef) || !(has(self.agentRef) || has(self.userMessage))",
        message="`taskRef` alone, or `agentRef` with `userMessage`, not both",
        reason="FieldValueForbidden",
        at=".taskRef",
    ),
    Rule(
        cel="has(self.taskRef) || has(self.agentRef) || has(self.userMessage)",
        message="`taskRef`, required when `agentRef` and `userMessage` are not given",
        reason="FieldValueRequired",
        at=".taskRef",
    ),
    Rule(
        cel="has(self.taskRef) || !has(self.userMessage) || has(self.agentRef)",
        message="`agentRef`: no agent is named for `userMessage`",
        reason="FieldValueRequired",
        at=".agentRef",
    ),
    Rule(
        cel="has(self.taskRef) || !has(self.agentRef) || has(self.userMessage)",
        message="`userMessage`: no message is given for `agentRef`",
        reason="FieldValueRequired",
        at=".userMessage",
    ),
    Rule(
        cel="(has(self.depth) && self.depth > 0) || !has(self.limits) || ("
        + " && ".join(
            f"(!has(self.limits.{limit}) || self.limits.{limit} > {nothing})"
            for limit, nothing in (("maxSteps", 0), ("timeoutSeconds", 0.0), ("maxTokens", 0), ("maxCostUsd", 0.0))
        )
        + ")",
        message="limits above 0: a run that may use nothing is over before it begins",
        at=".limits",
    ),
    _FROZEN,
)

_LABEL: Final = r"[\p{L}\p{N}_-]{1,63}"
_ADDRESS: Final = (
    r"^[hH][tT][tT][pP][sS]?://([A-Za-z0-9._:~!$&'()*+,;=%@-]*@)?"
    rf"({_LABEL}(\.{_LABEL})*\.?|\[[0-9A-Za-z:.%_-]+\])(:[0-9]*)?(/[^?#\s\v\x00-\x20\x7f\x85\p{{Z}}]*)?$"
)

_ADDRESSED: Final = (
    _not_both("baseUrl", "baseUrlFrom", "at most one of `baseUrl` and `baseUrlFrom`"),
    Rule(
        cel="has(self.provider) || has(self.baseUrl) || has(self.baseUrlFrom)",
        message="one of `provider`, `baseUrl` and `baseUrlFrom`",
        reason="FieldValueRequired",
        at=".provider",
    ),
    Rule(
        cel=f"!has(self.baseUrl) || (self.baseUrl.matches({cel_text(_ADDRESS)}) && isURL(self.baseUrl)"
        " && (url(self.baseUrl).getPort() == '' || int(url(self.baseUrl).getPort()) < 65536))",
        message="`https://host/path` in `baseUrl`, without a query, a fragment or white space",
        at=".baseUrl",
    ),
    Rule(
        cel="!has(self.free) || !self.free || !has(self.price)",
        message="`price` or `free: true`, not both",
        at=".price",
    ),
)


def _of_provider(name: str, provider: Provider) -> list[Rule]:
    """Say what an endpoint takes and does not keep: of the fields of `parameters`, and how high a temperature."""
    elsewhere = f"!has(self.provider) || self.provider != '{name}' || !has(self.parameters)"
    rules = [
        Rule(
            cel=f"{elsewhere} || !has(self.parameters.{to_camel(parameter)})",
            message=f"no parameter that provider `{name}` takes and ignores: `{parameter}`",
            reason="FieldValueForbidden",
            at=f".parameters.{to_camel(parameter)}",
        )
        for parameter in sorted(provider.ignored & _PARAMETERS)
    ]
    if provider.most_temperature < PROVIDERS["openai"].most_temperature:
        most = provider.most_temperature
        cel = f"{elsewhere} || !has(self.parameters.temperature) || self.parameters.temperature <= {float(most)}"
        message = f"a `temperature` up to {most:g}: provider `{name}` takes a higher one for that"
        rules.append(Rule(cel=cel, message=message, at=".parameters.temperature"))
    return rules


def _ignored_extras() -> dict[str, Any]:
    """Forbid in `extra` what the provider ignores."""
    forbidden = [
        {
            "required": ["provider", "parameters"],
            "properties": {
                "provider": {"enum": [name]},
                "parameters": {"required": ["extra"], "properties": {"extra": _any_of(extras)}},
            },
        }
        for name, provider in PROVIDERS.items()
        if (extras := provider.ignored - _PARAMETERS)
    ]
    return {"not": {"anyOf": forbidden}}


_LLM: Final = (*_ADDRESSED, *(rule for name, provider in PROVIDERS.items() for rule in _of_provider(name, provider)))

_EMBEDDER: Final = (
    Rule(
        cel="!has(self.kind) || self.kind != 'openai' ||"
        f" ({_filled('model')} && has(self.baseUrl) != has(self.baseUrlFrom))",
        message="`model` and exactly one of `baseUrl` and `baseUrlFrom` for kind `openai`",
        reason="FieldValueRequired",
        at=".model",
    ),
    Rule(
        cel="(has(self.kind) && self.kind == 'openai') ||"
        f" !(has(self.baseUrl) || has(self.baseUrlFrom) || {_filled('model')} || has(self.apiKeyFrom))",
        message="no endpoint fields for kind `wordllama`, which runs in the process",
        at=".kind",
    ),
)

_MCP_SERVER: Final = (
    _exactly_one("command", "url"),
    Rule(
        cel=f"!has(self.url) || !({_filled('args')} || {_filled('env')} || {_filled('envFrom')})",
        message="no `args`, `env` or `envFrom` for a `url`, which starts no program",
        at=".url",
    ),
    Rule(
        cel=f"!has(self.command) || !{_filled('headersFrom')}",
        message="no `headersFrom` for a `command`, which is sent no headers",
        at=".headersFrom",
    ),
)

_TOOL_GRANT: Final = (
    _only_allowed("pure"),
    _only_allowed("idempotent"),
    _only_allowed("approve"),
    Rule(
        cel="!has(self.pure) || !has(self.idempotent) || !self.pure.exists(tool, tool in self.idempotent)",
        message="each tool in one of `pure` and `idempotent`, not in both",
        at=".idempotent",
    ),
)

_REFUSAL: Final = (
    Rule(
        cel=f"{_filled('terms')} || has(self.pattern)",
        message="`terms`, `pattern` or both",
        reason="FieldValueRequired",
        at=".terms",
    ),
    Rule(
        cel=r"!has(self.pattern) || !self.pattern.matches('\\(\\?[^:]|\\(\\?$|\\\\[1-9]')",
        message="in `pattern`: no look-around, no flags, no named groups, and no reference to an earlier group",
        at=".pattern",
    ),
)

_VARIABLE: Final = cel_text(VARIABLE_PATTERN)

_PROMPTS: Final = (
    _exactly_one("system", "systemText"),
    _exactly_one("user", "userText"),
    Rule(
        cel=f"!has(self.systemText) || !self.systemText.matches({_VARIABLE})",
        message=NONE_EXPECTED,
        at=".systemText",
    ),
    *(
        Rule(
            cel=f"!has(self.userText) || size(self.userText.split('{{{name}}}', 3)) == 2",
            message=once_expected(name),
            at=".userText",
        )
        for name in USER_VARIABLES
    ),
    Rule(
        cel="!has(self.userText) || !self.userText.replace('{question}', ' ').replace('{context}', ' ')"
        f".matches({_VARIABLE})",
        message=NO_OTHERS_EXPECTED,
        at=".userText",
    ),
)

_AGENT: Final = (
    Rule(
        cel="!has(self.retrieval) || (has(self.retrieval.mode) && self.retrieval.mode == 'none') || (has(self.corpus)"
        " && ((has(self.corpus.files) && size(self.corpus.files) > 0) || has(self.corpus.builder)))",
        message="a corpus (`corpus.files` or `corpus.builder`) for a retrieval mode that is not `none`",
        reason="FieldValueRequired",
        at=".corpus",
    ),
)

_PYTHON: Final = (
    *(
        Rule(
            cel=f"!has(self.{field}) || !self.{field}.exists(name, name in {_listed(OURS_TO_SET)})",
            message=f"no variable that the runtime sets itself: {', '.join(sorted(OURS_TO_SET))}",
            at=f".{field}",
        )
        for field in ("env", "envFrom")
    ),
    Rule(
        cel="!has(self.env) || !has(self.envFrom) || !self.env.exists(name, name in self.envFrom)",
        message="each variable in one of `env` and `envFrom`",
        at=".envFrom",
    ),
)

_PRICED_ONCE: Final = Rule(
    cel="!has(self.free) || !self.free || !has(self.price)",
    message="`price` or `free: true`, not both",
    at=".price",
)

_FOREIGN_SAFETY: Final = Rule(
    cel="has(self.refusal) || !((has(self.blockPersonalData) && self.blockPersonalData)"
    " || (has(self.blockInjections) && self.blockInjections))",
    message="`refusal`, the sentence that is answered when a question is blocked",
    reason="FieldValueRequired",
    at=".refusal",
)

_FALLBACK: Final = Rule(
    cel="has(self.llm) || has(self.contextTokens)",
    message="`llm`, `contextTokens` or both",
    reason="FieldValueRequired",
    at=".llm",
)

_WRITTEN_ELSEWHERE: Final = {"properties": {"extra": {"not": _any_of(OURS_TO_WRITE | _PARAMETERS)}}}

_SAMPLING: Final = _not_both("maxTokens", "maxCompletionTokens", "one of `maxTokens` and `maxCompletionTokens`")

DEMANDS: Final[Mapping[str, Demands]] = {
    **{
        kind: Demands(rules=[_NAMED])
        for kind in ("LLM", "Agent", "PythonAgent", "EndpointAgent", "MCPServer", "Task", "ClusterTaskRun", "Part")
    },
    "LLMSpec": Demands(rules=_LLM, schema=_ignored_extras()),
    "SamplingParameters": Demands(rules=[_SAMPLING], schema=_WRITTEN_ELSEWHERE),
    "EmbedderSpec": Demands(rules=_EMBEDDER),
    "MCPServerSpec": Demands(rules=_MCP_SERVER),
    "ToolGrant": Demands(rules=_TOOL_GRANT),
    "Fallback": Demands(rules=[_FALLBACK]),
    "PromptSpec": Demands(rules=_PROMPTS),
    "RefusalRule": Demands(rules=_REFUSAL),
    "AgentSpec": Demands(rules=_AGENT),
    "PythonSpec": Demands(rules=_PYTHON),
    "ForeignModel": Demands(rules=[_PRICED_ONCE]),
    "ForeignSafety": Demands(rules=[_FOREIGN_SAFETY]),
    "TaskRunSpec": Demands(rules=_TASK_RUN),
    # The only default that a server gives: without it a run that was just applied has neither phase nor status.
    "ClusterTaskRunStatus": Demands(schema={"default": dict(NOT_BEGUN)}),
    "PartSpec": Demands(rules=[_FROZEN]),
}
"""By the name of the contract that checks the same."""
