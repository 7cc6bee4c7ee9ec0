"""Limits of a run: whether it is near them, past them, and what a sub-agent may have of them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TypeVar

from goldgate.domain.runs.state import Limits, Spent

_Number = TypeVar("_Number", int, float)

NEAR_RATIO = 0.8
"""From this share of a limit on, the model is told once: early enough for one more call and an answer."""


def deadline_after(start: datetime | None, seconds: float | None) -> datetime | None:
    """Tell when a run has to be over whose time counts from then; None if it never has, or does not count yet."""
    return None if start is None or seconds is None else start + timedelta(seconds=seconds)


def past_limit(limits: Limits, spent: Spent) -> str | None:
    """Say which limit leaves no room for another reply, beginning with its kind; None if there is room.

    Where tokens or money are limited, an endpoint that does not say what it used is past the limit: nobody knows.
    """
    tokens = spent.tokens_in + spent.tokens_out
    limits_use = limits.max_tokens is not None or limits.max_cost_usd is not None
    if spent.steps >= limits.max_steps:
        return f"max_steps: all {limits.max_steps} model calls are used up"
    if spent.active_s >= limits.timeout_s:
        return f"timeout: all {limits.timeout_s:g} s are used up"
    if limits_use and not spent.is_metered:
        return "unmetered: the endpoint does not say what it used, and tokens or money are limited"
    if limits.max_tokens is not None and tokens >= limits.max_tokens:
        return f"max_tokens: {tokens} of {limits.max_tokens} tokens are used up"
    if limits.max_cost_usd is not None and spent.cost_usd >= limits.max_cost_usd:
        return f"max_cost: ${spent.cost_usd:.6f} of ${limits.max_cost_usd:g} are used up"
    return None


def near_limits(limits: Limits, spent: Spent) -> Iterator[tuple[str, str]]:
    """Name the limits that are near: a kind, and what the model is told of it."""
    if limits.max_steps > 1 and limits.max_steps - spent.steps == 1:
        yield "steps", "This is your last turn: call no tool, answer now with what you have."
    shares = (
        ("time", spent.active_s, limits.timeout_s),
        ("tokens", float(spent.tokens_in + spent.tokens_out), limits.max_tokens),
        ("money", spent.cost_usd, limits.max_cost_usd),
    )
    for kind, used, most in shares:
        if most is not None and used >= NEAR_RATIO * most:
            yield kind, f"Most of your {kind} is used up: answer soon, with what you have."


def remaining(limits: Limits, spent: Spent) -> Limits:
    """Tell what is left of limits: never negative, and at least nothing."""
    return Limits(
        max_steps=max(limits.max_steps - spent.steps, 0),
        timeout_s=max(limits.timeout_s - spent.active_s, 0.0),
        max_tokens=_left(limits.max_tokens, spent.tokens_in + spent.tokens_out),
        max_cost_usd=_left(limits.max_cost_usd, spent.cost_usd),
    )


def shared(left: Limits, *, among: int) -> Limits:
    """Tell what each of some sub-agents may use that are asked side by side, of what is left of their caller's limits.

    Together they cannot use more than there is, and one reply stays with the caller, who has to read what they say.
    Time passes for all of them at once.
    """
    return Limits(
        max_steps=max((left.max_steps - 1) // among, 0),
        timeout_s=left.timeout_s,
        max_tokens=None if left.max_tokens is None else left.max_tokens // among,
        max_cost_usd=None if left.max_cost_usd is None else left.max_cost_usd / among,
    )


def narrower(own: Limits, inherited: Limits) -> Limits:
    """Hold a sub-agent to its own limits and to what is left of its caller's."""
    return Limits(
        max_steps=min(own.max_steps, inherited.max_steps),
        timeout_s=min(own.timeout_s, inherited.timeout_s),
        max_tokens=_least(own.max_tokens, inherited.max_tokens),
        max_cost_usd=_least(own.max_cost_usd, inherited.max_cost_usd),
    )


def _left(most: _Number | None, used: _Number) -> _Number | None:
    return None if most is None else max(most - used, type(most)(0))


def _least(one: _Number | None, other: _Number | None) -> _Number | None:
    return min((each for each in (one, other) if each is not None), default=None)
