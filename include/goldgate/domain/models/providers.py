"""What is known by name of endpoints that speak the OpenAI API.

An entry holds what their own documentation says; `baseUrl` and `apiKeyFrom` of an LLM go before it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

_PLACE = re.compile(r"\{([A-Z_]+)\}")
_NETLOC = re.compile(
    r"([A-Za-z0-9._:~!$&'()*+,;=%@-]*@)?"  # who asks
    r"([\w-]{1,63}(\.[\w-]{1,63})*\.?|\[[\w:.%-]+\])"
    r"(:\d*)?"
)
_NOT_IN_ADDRESSES = re.compile(r"[\x00-\x20\x7f]|\s|%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, kw_only=True)
class Provider:
    """Where an endpoint is, and in what it differs from OpenAI's own."""

    base_url: str
    """`{NAME}` stands for an environment variable."""
    key_variable: str | None = None
    """Where its key is expected. None: it asks for none by default."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Parameters that it knows under another name: ours, and its own."""
    ignored: frozenset[str] = frozenset()
    """Parameters that it takes and silently does not keep. An LLM that sets one is refused when it is loaded."""
    most_temperature: float = 2.0
    """A higher one it silently takes for this; it is refused likewise."""
    wants_signatures: bool = False
    """It refuses a conversation in which an earlier call lacks what came with it in `extra_content`."""
    wants_reasoning: bool = False
    """It refuses a conversation in which a message with calls lacks `reasoning_content`, though that may be empty."""
    wants_turns: bool = False
    """It refuses a word of the user right after a result: the assistant has to speak in between."""
    wants_nine_letter_ids: bool = False
    """It refuses ids of calls that are not nine letters and digits."""

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that its address is made of."""
        return tuple(_PLACE.findall(self.base_url))

    def address(self, env: Mapping[str, str]) -> str:
        """Fill in the address; every variable of it must be there."""
        filled = _PLACE.sub(lambda place: env[place[1]].rstrip("/"), self.base_url)
        # https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations: this one location has no prefix.
        return filled.replace("//global-aiplatform.", "//aiplatform.")


def address_problem(url: str) -> str | None:
    """Say what keeps an address from being asked, without quoting it: it may hold a secret."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        if ":" not in host:
            host.encode("idna")  # as a name is looked up
    except ValueError:
        return "a broken host or port"
    if parts.scheme not in {"http", "https"}:
        return "neither `http://` nor `https://`"
    if not host:
        return "no host"
    if _NOT_IN_ADDRESSES.search(url):
        return "white space or a broken `%`"
    if not _NETLOC.fullmatch(parts.netloc):
        return "a broken host or port"
    return "a query or fragment, after which no path can be written," if "?" in url or "#" in url else None


_ANTHROPIC_IGNORES = frozenset(
    {
        *("seed", "frequency_penalty", "presence_penalty", "reasoning_effort", "response_format", "logit_bias"),
        *("logprobs", "top_logprobs", "metadata", "prediction", "service_tier", "audio", "store", "user", "modalities"),
    }
)
_NEW_LIMIT = {"max_tokens": "max_completion_tokens"}
"""OpenAI's reasoning models refuse `max_tokens`; all its chat models take `max_completion_tokens`."""
_OLD_LIMIT = {"max_completion_tokens": "max_tokens"}

PROVIDERS: Final[Mapping[str, Provider]] = {
    "openai": Provider(base_url="https://api.openai.com/v1", key_variable="OPENAI_API_KEY", renamed=_NEW_LIMIT),
    # https://docs.anthropic.com/en/api/openai-sdk
    "anthropic": Provider(
        base_url="https://api.anthropic.com/v1",
        key_variable="ANTHROPIC_API_KEY",
        ignored=_ANTHROPIC_IGNORES,
        most_temperature=1.0,
    ),
    # https://ai.google.dev/gemini-api/docs/thought-signatures
    "google": Provider(
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        key_variable="GEMINI_API_KEY",
        wants_signatures=True,
    ),
    "mistral": Provider(
        base_url="https://api.mistral.ai/v1",
        key_variable="MISTRAL_API_KEY",
        renamed={**_OLD_LIMIT, "seed": "random_seed"},
        wants_nine_letter_ids=True,
        wants_turns=True,
    ),
    # The key is a short-lived access token (`gcloud auth print-access-token`). Models are named `google/<model>`.
    "vertex": Provider(
        base_url="https://{GOOGLE_CLOUD_LOCATION}-aiplatform.googleapis.com/v1/projects/{GOOGLE_CLOUD_PROJECT}"
        "/locations/{GOOGLE_CLOUD_LOCATION}/endpoints/openapi",
        key_variable="VERTEX_ACCESS_TOKEN",
        wants_signatures=True,
    ),
    # The model is the name of a deployment, so its price stands in the LLM. The endpoint's variable ends before
    # `/openai`.
    "azure": Provider(
        base_url="{AZURE_OPENAI_ENDPOINT}/openai/v1", key_variable="AZURE_OPENAI_API_KEY", renamed=_NEW_LIMIT
    ),
    "groq": Provider(base_url="https://api.groq.com/openai/v1", key_variable="GROQ_API_KEY"),
    # https://api-docs.deepseek.com/guides/thinking_mode
    "deepseek": Provider(
        base_url="https://api.deepseek.com/v1",
        key_variable="DEEPSEEK_API_KEY",
        renamed=_OLD_LIMIT,
        wants_reasoning=True,
    ),
    "xai": Provider(base_url="https://api.x.ai/v1", key_variable="XAI_API_KEY"),
    "together": Provider(base_url="https://api.together.xyz/v1", key_variable="TOGETHER_API_KEY"),
    "fireworks": Provider(base_url="https://api.fireworks.ai/inference/v1", key_variable="FIREWORKS_API_KEY"),
    "openrouter": Provider(base_url="https://openrouter.ai/api/v1", key_variable="OPENROUTER_API_KEY"),
    # Programs of one's own: the ports they listen on by default, and no key.
    "vllm": Provider(base_url="http://localhost:8000/v1", wants_turns=True),  # Mistral's models there refuse it, too
    "ollama": Provider(base_url="http://localhost:11434/v1", renamed=_OLD_LIMIT),
    "lmstudio": Provider(base_url="http://localhost:1234/v1", renamed=_OLD_LIMIT),
}
"""By the name that an LLM gives in `provider`. All of them say what a call used, so none is told here not to."""

UNNAMED: Final = Provider(base_url="")
"""An endpoint that is given by its address alone: taken to be as OpenAI's API is documented, sent what is written."""
