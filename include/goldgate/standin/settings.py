"""What can be set on the stand-in model: its speed, its seed, and its faults."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import Field

from goldgate.contracts.base import Contract
from goldgate.contracts.documents import parse

ENV_PREFIX = "GOLDGATE_STANDIN_"


class StandinSettings(Contract):
    """Speed, seed and faults of one server.

    A fault strikes by `..._ratio` (a draw for each request, decided by seed and request number), by `..._every_nth`
    (requests n, 2n, 3n, ...), or by both; 0 is never.
    """

    seed: int = 0
    """Decides every draw. A request's own `seed` replaces it for what the answer says, not for faults."""
    latency_ms: float = Field(default=20, ge=0, le=600_000)
    """Fixed part of the time to answer."""
    latency_per_input_token_ms: float = Field(default=0.01, ge=0, le=10_000)
    """Added for each input token, cached or not: the speed of an answer does not hang on who asked before."""
    latency_per_output_token_ms: float = Field(default=1, ge=0, le=10_000)
    """Added for each output token."""
    rate_limit_ratio: float = Field(default=0, ge=0, le=1)
    """Share of requests that get 429."""
    rate_limit_every_nth: int = Field(default=0, ge=0)
    """Every nth request gets 429."""
    retry_after_s: float = Field(default=1, ge=0, le=3600)
    """What a 429 asks the caller to wait, in its `Retry-After` header."""
    server_error_ratio: float = Field(default=0, ge=0, le=1)
    """Share of requests that get `server_error_status`."""
    server_error_every_nth: int = Field(default=0, ge=0)
    """Every nth request gets `server_error_status`."""
    server_error_status: int = Field(default=500, ge=500, le=599)
    """Which status a server error has."""
    hang_ratio: float = Field(default=0, ge=0, le=1)
    """Share of requests that stay silent for `hang_s` before they are answered."""
    hang_every_nth: int = Field(default=0, ge=0)
    """Every nth request stays silent for `hang_s` before it is answered."""
    hang_s: float = Field(default=60, ge=0, le=3600)
    """How long a hanging request is silent."""
    drop_ratio: float = Field(default=0, ge=0, le=1)
    """Share of requests whose connection is closed in the middle of the answer."""
    drop_every_nth: int = Field(default=0, ge=0)
    """Every nth request's connection is closed in the middle of the answer."""
    malformed_tool_call_ratio: float = Field(default=0, ge=0, le=1)
    """Share of requests whose tool call, if they get one, carries arguments that are not JSON."""
    malformed_tool_call_every_nth: int = Field(default=0, ge=0)
    """Every nth request's tool call, if it gets one, carries arguments that are not JSON."""
    injection_obedience_ratio: float = Field(default=1, ge=0, le=1)
    """Share of injected instructions that are obeyed when the system prompt does not forbid it. Decided by seed
    and text, so the same instruction always meets the same fate."""

    max_input_tokens: int = Field(default=0, ge=0)
    """Longer prompts are refused as too long for the model; 0 takes any."""

    def changed(self, changes: object) -> "StandinSettings":
        """Return these settings with the given ones replaced.

        Raises:
            ContractError: The changes are no object, name an unknown setting, or are out of range.
        """
        if not isinstance(changes, Mapping):
            return parse(changes, StandinSettings, where="request body")
        return parse({**self.model_dump(), **changes}, StandinSettings, where="request body")

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "StandinSettings":
        """Read `GOLDGATE_STANDIN_<SETTING>`, such as `GOLDGATE_STANDIN_LATENCY_MS=5`.

        Raises:
            ContractError: A variable with that prefix names no setting, or its value is out of range.
        """
        given: dict[str, Any] = {
            name.removeprefix(ENV_PREFIX).lower(): value for name, value in env.items() if name.startswith(ENV_PREFIX)
        }
        return parse(given, cls, where=f"environment ({ENV_PREFIX}*)")

    def time_to_first_token(self, *, input_tokens: int) -> timedelta:
        """Compute how long the caller waits before anything is written."""
        return timedelta(milliseconds=self.latency_ms + self.latency_per_input_token_ms * input_tokens)

    def time_to_write(self, *, output_tokens: int) -> timedelta:
        """Compute how long the answer itself takes."""
        return timedelta(milliseconds=self.latency_per_output_token_ms * output_tokens)
