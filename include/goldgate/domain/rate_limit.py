"""How often somebody may ask: a token bucket, with the time as an argument.

A bucket starts full, is refilled steadily, and never holds more than its burst. A request takes one token, or is told
how long to wait for one.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Rate:
    """So many requests a minute, and so many at once after a pause."""

    per_minute: float
    """Above 0."""
    burst: int
    """At least 1."""


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """What is left at one time."""

    tokens: float
    at_s: float


def full_bucket(rate: Rate, *, now_s: float) -> Bucket:
    """Begin with somebody who has not asked yet."""
    return Bucket(tokens=float(rate.burst), at_s=now_s)


def refilled(bucket: Bucket, rate: Rate, *, now_s: float) -> Bucket:
    """Bring a bucket up to date. A clock that went back gives nothing and takes nothing."""
    passed_s = max(0.0, now_s - bucket.at_s)
    tokens = min(float(rate.burst), bucket.tokens + passed_s * rate.per_minute / 60)
    return Bucket(tokens=tokens, at_s=max(now_s, bucket.at_s))


def wait_s(bucket: Bucket, rate: Rate) -> float:
    """Tell how long a bucket that is up to date must be refilled before it holds a token; 0 if it does now."""
    return max(0.0, 1 - bucket.tokens) * 60 / rate.per_minute


def taken(bucket: Bucket) -> Bucket:
    """Take one token from a bucket that holds one."""
    return Bucket(tokens=bucket.tokens - 1, at_s=bucket.at_s)
