"""Which requests are too many: of one caller, of one caller to one agent, and to one agent from all callers.

A caller names itself, so the first two hold those who mean well; the third holds however many names are used. Memory
is bounded: of more callers than that, those who were silent longest are forgotten and begin with a full bucket.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from goldgate.domain.errors import PermanentError
from goldgate.domain.rate_limit import Bucket, Rate, full_bucket, refilled, taken, wait_s

Scope = Literal["caller", "agent"]
"""Whose limit is reached: the caller's, or that of the agent for all callers together."""

_MAX_BUCKETS: Final = 100_000
"""About 30 MB: an agent with more callers at a time has the limit of all of them together to rely on."""

_PER_CALLER: Final = Rate(per_minute=3000, burst=600)
"""Far above what a person or a well-behaved program asks, far below what one loop without a pause does."""


@dataclass(frozen=True, kw_only=True)
class RouterRates:
    """The router's own limits, for every agent. None: there is none."""

    caller: Rate | None = _PER_CALLER
    """Of one caller, to all agents together."""
    agent: Rate | None = None
    """To one agent, from all callers together."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "RouterRates":
        """Read `GOLDGATE_ROUTER_{CALLER,AGENT}_{REQUESTS_PER_MINUTE,BURST}`; 0 requests a minute is no limit.

        A burst that is not given is that of the default, or a tenth of a minute's requests.

        Raises:
            PermanentError: A value is no such number; all that are wrong are named.
        """
        problems: list[str] = []
        caller = _rate(env, "GOLDGATE_ROUTER_CALLER", default=_PER_CALLER, problems=problems)
        agent = _rate(env, "GOLDGATE_ROUTER_AGENT", default=None, problems=problems)
        if problems:
            raise PermanentError(f"Found {', '.join(problems)}; correct or unset them (see include/docs/serving.md).")
        return cls(caller=caller, agent=agent)


@dataclass(frozen=True, kw_only=True)
class TooMany:
    """A request that is one too many."""

    scope: Scope
    wait_s: float
    """When the same request may be made."""


class RateLimits:
    """Counts requests. Of one thread, as the router's event loop is.

    Args:
        rates: The router's own limits.
        max_buckets: How many callers are remembered.
    """

    def __init__(self, rates: RouterRates, *, max_buckets: int = _MAX_BUCKETS) -> None:
        self._rates = rates
        self._max = max_buckets
        self._buckets: OrderedDict[tuple[str, str], Bucket] = OrderedDict()
        """By agent and caller; an empty agent is all agents, an empty caller all callers. Least recent first."""

    @property
    def remembered(self) -> int:
        """How many buckets are kept."""
        return len(self._buckets)

    def admit(self, *, agent: str, caller: str, own: Rate | None, now_s: float) -> TooMany | None:
        """Count one request, or say why it is one too many. One that is refused takes no token anywhere.

        Args:
            agent: Whom it is for.
            caller: Who asks, by any text that stands for them; not empty.
            own: What the agent itself allows one caller.
            now_s: On a clock that never goes back.
        """
        limits: list[tuple[tuple[str, str], Rate | None, Scope]] = [
            (("", caller), self._rates.caller, "caller"),
            ((agent, caller), own, "caller"),
            ((agent, ""), self._rates.agent, "agent"),
        ]
        filled = [
            (key, self._filled(key, rate, now_s=now_s), rate, scope) for key, rate, scope in limits if rate is not None
        ]
        waits = [TooMany(scope=scope, wait_s=due) for _, bucket, rate, scope in filled if (due := wait_s(bucket, rate))]
        for key, bucket, _, _ in filled:
            self._keep(key, bucket if waits else taken(bucket))
        return max(waits, key=lambda wait: wait.wait_s, default=None)

    def _filled(self, key: tuple[str, str], rate: Rate, *, now_s: float) -> Bucket:
        bucket = self._buckets.get(key)
        return full_bucket(rate, now_s=now_s) if bucket is None else refilled(bucket, rate, now_s=now_s)

    def _keep(self, key: tuple[str, str], bucket: Bucket) -> None:
        self._buckets[key] = bucket
        self._buckets.move_to_end(key)
        while len(self._buckets) > self._max:
            self._buckets.popitem(last=False)


def _rate(env: Mapping[str, str], prefix: str, *, default: Rate | None, problems: list[str]) -> Rate | None:
    per_minute_name, burst_name = f"{prefix}_REQUESTS_PER_MINUTE", f"{prefix}_BURST"
    per_minute = _number(env.get(per_minute_name), per_minute_name, problems)
    burst = _number(env.get(burst_name), burst_name, problems)
    if per_minute is None:
        per_minute = default.per_minute if default else 0.0
        burst = default.burst if default and burst is None else burst
    if burst is not None and (burst < 1 or burst % 1):
        problems.append(f"{burst_name}=`{env[burst_name]}`, expected a whole number of at least 1")
        return None
    if per_minute == 0:
        return None
    return Rate(per_minute=per_minute, burst=max(1, int(burst if burst is not None else per_minute / 10)))


def _number(text: str | None, name: str, problems: list[str]) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        problems.append(f"{name}=`{text}`, expected a number of at least 0")
        return None
    return value
