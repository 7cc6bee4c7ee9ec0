"""What spans and their facts are called outside: OpenTelemetry's GenAI conventions, and `goldgate.*` for the rest.

Ids, figures, names and digests only. What was asked, found or answered is never an attribute.
"""

from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import urlsplit

from goldgate.contracts.llm import LLMSpec
from goldgate.contracts.prediction import SpanName
from goldgate.domain.digest import digest_bytes
from goldgate.domain.runs.state import Call, RunState
from goldgate.ports.model import ChatReply
from goldgate.ports.traces import Attribute

SEMCONV_VERSION: Final = "1.44.0"
"""Of the conventions whose names are used here. Its Python package is 0.66b2, where GenAI is still called incubating;
a test holds our names against that package."""

SCHEMA_URL: Final = f"https://opentelemetry.io/schemas/{SEMCONV_VERSION}"

_PROVIDERS: Final = {
    "google": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "azure": "azure.ai.openai",
    "xai": "x_ai",
}
"""Ours to the conventions' well-known values; a name that is not here is its own value."""

_PORTS: Final = {"http": 80, "https": 443}

_MAX_KIND_CHARS: Final = 64


def run_name(agent: str) -> str:
    """Name the root span of a request or run."""
    return f"invoke_agent {agent}"


def title_of(name: SpanName, attributes: Mapping[str, Attribute]) -> str:
    """Name a span as the conventions do: `chat {model}`, `execute_tool {tool}`; others by our own name."""
    match name:
        case "llm":
            return f"chat {attributes.get('gen_ai.request.model', '')}".rstrip()
        case "tool":
            return f"execute_tool {attributes.get('gen_ai.tool.name', '')}".rstrip()
        case _:
            return name


def kind_of(name: SpanName) -> Literal["internal", "client"]:
    """Tell whether a span waits for another process."""
    return "client" if name == "llm" else "internal"


def run_attributes(state: RunState, *, agent: str, bundle: str) -> dict[str, Attribute]:
    """Describe a run that is over, for its root span. Without an id that joins it: the trace id does."""
    spent = state.spent
    attributes: dict[str, Attribute] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": agent,
        "gen_ai.usage.input_tokens": spent.tokens_in,
        "gen_ai.usage.output_tokens": spent.tokens_out,
        "gen_ai.usage.cache_read.input_tokens": spent.tokens_cached,
        "goldgate.cost_usd": spent.cost_usd,
        "goldgate.is_metered": spent.is_metered,
        "goldgate.llm_calls": spent.steps,
        "goldgate.tool_calls": spent.tool_calls,
        "goldgate.take_ups": spent.take_ups,
        "goldgate.phase": state.phase.value,
        "goldgate.refused": state.refused,
        "goldgate.safety_flags": list(state.flags),
        "goldgate.retrieval.k": len(state.given),
        "goldgate.retrieval.cited": len(set(state.given) & set(state.citations)),
    }
    if bundle:
        attributes |= {"gen_ai.agent.version": bundle[:12], "goldgate.bundle": bundle}
    if state.run_id:
        attributes["goldgate.run_id"] = state.run_id
    return attributes


def chat_attributes(spec: LLMSpec) -> dict[str, Attribute]:
    """Describe a question to a model: which one, where, and with which parameters."""
    parameters = spec.parameters
    sampling: dict[str, Attribute | None] = {
        "gen_ai.request.temperature": parameters.temperature,
        "gen_ai.request.top_p": parameters.top_p,
        "gen_ai.request.max_tokens": parameters.max_tokens or parameters.max_completion_tokens,
        "gen_ai.request.seed": parameters.seed,
        "gen_ai.request.frequency_penalty": parameters.frequency_penalty,
        "gen_ai.request.presence_penalty": parameters.presence_penalty,
        "gen_ai.request.stop_sequences": parameters.stop,
    }
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider_name(spec),
        "gen_ai.request.model": spec.model,
        **{name: value for name, value in sampling.items() if value is not None},
        **_server(spec.base_url),
    }


def reply_attributes(reply: ChatReply) -> dict[str, Attribute]:
    """Describe what a model answered, by its figures."""
    attributes: dict[str, Attribute] = {
        "gen_ai.response.finish_reasons": [reply.finish_reason[:_MAX_KIND_CHARS]],
        "gen_ai.usage.input_tokens": reply.tokens_in,
        "gen_ai.usage.output_tokens": reply.tokens_out,
        "gen_ai.usage.cache_read.input_tokens": reply.tokens_cached,
        "goldgate.cost_usd": reply.cost_usd,
        "goldgate.is_metered": reply.is_metered,
        "goldgate.llm.attempts": reply.attempts,
        "goldgate.llm.tool_requests": len(reply.tool_requests),
    }
    if reply.model:
        attributes["gen_ai.response.model"] = reply.model
    return attributes


def tool_attributes(call: Call) -> dict[str, Attribute]:
    """Describe a call by its name, ids, and the digest of its arguments."""
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": call.name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": call.id[:_MAX_KIND_CHARS],
        "goldgate.tool.key": call.key,
        "goldgate.tool.nature": call.nature.value,
        "goldgate.tool.arguments_sha256": digest_bytes(call.arguments.encode("utf-8", "replace")),
    }


def provider_name(spec: LLMSpec) -> str:
    """Name the provider as the conventions do. An endpoint of no known provider speaks the OpenAI API."""
    return _PROVIDERS.get(spec.provider, spec.provider) if spec.provider else "openai"


def error_type(error: BaseException) -> str:
    """Name the kind of an error: the HTTP status it carries, else its class. Never its text."""
    status = getattr(error, "status", None)
    return str(status) if isinstance(status, int) else type(error).__name__


def error_kind(error: str | None) -> str | None:
    """Cut an answer's `error` to its kind: what stands before the first colon."""
    return None if error is None else error.partition(":")[0].strip()[:_MAX_KIND_CHARS] or "other"


def _server(base_url: str | None) -> dict[str, Attribute]:
    """Name host and port of an address. Credentials, path and query stay out."""
    parts = urlsplit(base_url or "")
    if not parts.hostname:
        return {}
    port = parts.port or _PORTS.get(parts.scheme)
    return {"server.address": parts.hostname, **({"server.port": port} if port else {})}
