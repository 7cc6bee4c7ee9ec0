"""LLM: an OpenAI-compatible chat endpoint and one model of it."""

from typing import Final, Literal

from pydantic import Field, JsonValue, model_validator

from goldgate.contracts.base import ResourceContract
from goldgate.contracts.bounds import MOST_BYTES, MOST_REQUESTS, MOST_TOKENS, MOST_USD
from goldgate.contracts.resource_parts import FromEnv, Resource
from goldgate.domain.models.providers import PROVIDERS, address_problem

ProviderName = Literal[
    "openai",
    "anthropic",
    "google",
    "mistral",
    "vertex",
    "azure",
    "groq",
    "deepseek",
    "xai",
    "together",
    "fireworks",
    "openrouter",
    "vllm",
    "ollama",
    "lmstudio",
]
"""Endpoints that speak the OpenAI API and whose address and key variable are known by name."""

OURS_TO_WRITE: Final = frozenset(
    {
        *("model", "messages", "tools", "tool_choice", "functions", "function_call"),
        *("stream", "stream_options", "n"),  # one whole answer is read
    }
)
"""What a request says anyway, so that `extra` may not."""


class Price(ResourceContract):
    """What an endpoint charges, in US dollars for a million tokens."""

    input_usd_per_million_tokens: float = Field(ge=0, le=MOST_USD)
    cached_input_usd_per_million_tokens: float = Field(ge=0, le=MOST_USD)
    output_usd_per_million_tokens: float = Field(ge=0, le=MOST_USD)


class SamplingParameters(ResourceContract):
    """What is sent to the endpoint with every call. A field left out is not sent."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1, le=MOST_TOKENS)
    seed: int | None = None
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    stop: list[str] | None = Field(default=None, min_length=1, max_length=4)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=MOST_TOKENS)
    """What reasoning models take in place of `maxTokens`."""
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    """Sent as it is, beside the fields above: what one endpoint knows and others do not."""

    @model_validator(mode="after")
    def _sends_everything_once(self) -> "SamplingParameters":
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            msg = "one of `maxTokens` and `maxCompletionTokens`"
            raise ValueError(msg)
        own = set(type(self).model_fields) - {"extra"}
        if clashing := sorted(set(self.extra) & (OURS_TO_WRITE | own)):
            named = ", ".join(f"`{name}`" for name in clashing)
            msg = f"nothing in `extra` that is written elsewhere: {named}"
            raise ValueError(msg)
        return self

    @property
    def given(self) -> dict[str, JsonValue]:
        """Everything that is to be sent, under OpenAI's names."""
        own = self.model_dump(by_alias=False, exclude_none=True, exclude={"extra"})
        return {**own, **self.extra}


class BreakerSpec(ResourceContract):
    """When an endpoint that fails is left alone for a while. One breaker an endpoint and model, in each process."""

    failures: int = Field(default=5, ge=1, le=MOST_REQUESTS)
    """So many calls in a row that failed after their retries, and it opens."""
    open_seconds: float = Field(default=30, gt=0, le=3600)
    """So long nothing is sent; then one call tries."""


class LLMSpec(ResourceContract):
    """An OpenAI-compatible chat endpoint and one model of it."""

    model: str = Field(min_length=1)
    """The pinned model name, with its version: never `latest`."""
    provider: ProviderName | None = None
    """Gives address and key variable where they are not named below."""
    base_url: str | None = Field(default=None, max_length=2000)
    """Address of the endpoint, up to what stands before `/chat/completions`."""
    base_url_from: FromEnv | None = None
    api_key_from: FromEnv | None = None
    """Left out for an endpoint that asks for no key."""
    price: Price | None = None
    """Left out: the price table must know the model."""
    free: bool = False
    """Says that the endpoint charges nothing."""
    parameters: SamplingParameters = SamplingParameters()
    timeout_seconds: float = Field(default=30, gt=0, le=600)
    """For one attempt."""
    max_retries: int = Field(default=2, ge=0, le=10)
    """After a failure that may pass."""
    max_request_bytes: int = Field(default=8_000_000, ge=1_000, le=MOST_BYTES)
    max_response_bytes: int = Field(default=8_000_000, ge=1_000, le=MOST_BYTES)
    breaker: BreakerSpec = BreakerSpec()

    @model_validator(mode="after")
    def _is_addressed(self) -> "LLMSpec":
        if self.base_url is not None and self.base_url_from is not None:
            msg = "at most one of `baseUrl` and `baseUrlFrom`"
            raise ValueError(msg)
        if self.provider is None and self.base_url is None and self.base_url_from is None:
            msg = "one of `provider`, `baseUrl` and `baseUrlFrom`"
            raise ValueError(msg)
        if self.base_url is not None and (problem := address_problem(self.base_url)) is not None:
            msg = f"`https://host/path` in `baseUrl`, not {problem}"
            raise ValueError(msg)
        if self.free and self.price is not None:
            msg = "`price` or `free: true`, not both"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _sets_only_what_is_kept(self) -> "LLMSpec":
        ignored = PROVIDERS[self.provider].ignored if self.provider is not None else frozenset[str]()
        if lost := sorted(ignored & self.parameters.given.keys()):
            named = ", ".join(f"`{name}`" for name in lost)
            msg = f"no parameter that provider `{self.provider}` takes and ignores: {named}"
            raise ValueError(msg)
        most = PROVIDERS[self.provider].most_temperature if self.provider is not None else 2.0
        if (self.parameters.temperature or 0) > most:
            msg = f"a `temperature` up to {most:g}: provider `{self.provider}` takes a higher one for that"
            raise ValueError(msg)
        return self


class LLM(Resource):
    """A model that agents may use."""

    kind: Literal["LLM"]
    spec: LLMSpec
