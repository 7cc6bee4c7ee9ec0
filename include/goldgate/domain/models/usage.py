"""Read what an endpoint says that a call used."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MOST_TOKENS = 10**9
"""No call of any model uses more; a larger number is no count."""


@dataclass(frozen=True, kw_only=True)
class TokenUse:
    """What a call used, as the endpoint says."""

    tokens_in: int = 0
    tokens_out: int = 0
    """With what the model thought."""
    tokens_cached: int = 0
    """Part of `tokens_in`."""
    is_told: bool = False


def read_use(usage: object) -> TokenUse:
    """Read OpenAI's fields, else Anthropic's; of the cached tokens also DeepSeek's and Moonshot's.

    What is no count is not told: nobody knows then what the call used.
    """
    if not isinstance(usage, dict):
        return TokenUse()
    cached = _first(usage.get("prompt_cache_hit_tokens"), _cached_of(usage), usage.get("cached_tokens")) or 0
    tokens_in = _count(usage.get("prompt_tokens"))
    if tokens_in is None and (fresh := _count(usage.get("input_tokens"))) is not None:
        tokens_in = fresh + _beside(usage)
    tokens_out = _first(usage.get("completion_tokens"), usage.get("output_tokens"))
    if not tokens_in or tokens_out is None:
        return TokenUse()  # no call reads nothing: a usage of zeros is none
    thought = _thought_beside(usage, tokens_in=tokens_in, tokens_out=tokens_out)
    return TokenUse(
        tokens_in=tokens_in, tokens_out=tokens_out + thought, tokens_cached=min(cached, tokens_in), is_told=True
    )


def _cached_of(usage: Mapping[str, Any]) -> int | None:
    details = usage.get("prompt_tokens_details", usage.get("input_tokens_details"))
    named = details.get("cached_tokens") if isinstance(details, dict) else None
    return _first(named, usage.get("cache_read_input_tokens"))


def _beside(usage: Mapping[str, Any]) -> int:
    """Count what Anthropic read from and wrote to the cache: it stands beside the input, not in it."""
    return sum(_count(usage.get(f"cache_{each}_input_tokens")) or 0 for each in ("read", "creation"))


def _thought_beside(usage: Mapping[str, Any], *, tokens_in: int, tokens_out: int) -> int:
    """Count what the model thought and was charged for, where the tokens written do not hold it.

    OpenAI counts it in `completion_tokens`; xAI and Google count it in `total_tokens` alone.
    """
    total = _count(usage.get("total_tokens"))
    return max(total - tokens_in - tokens_out, 0) if total is not None else 0


def _first(*values: object) -> int | None:
    """Find the first that is a count above 0, else 0 if any is one."""
    counts = [count for count in map(_count, values) if count is not None]
    return next(filter(None, counts), 0) if counts else None


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= _MOST_TOKENS and value == int(value) else None
