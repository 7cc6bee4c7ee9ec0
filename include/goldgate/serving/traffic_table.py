"""Who serves what, decided from one look at the registry and at the arms.

Pure: `next_table` takes what was known, what was seen, and the time, and returns what is served from now on and what
is to be started and stopped. `goldgate.serving.watch` does it.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from goldgate.ports.registry import CanaryTraffic, Traffic

Address = str
Version = str
ArmName = tuple[str, str]
"""(agent, version)."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A version with the arm that answers for it."""

    version: Version
    address: Address


@dataclass(frozen=True, kw_only=True)
class Route:
    """How requests for one agent are served."""

    agent: str
    champion: Version | None
    """What the registry says."""
    serving: Serving | None = None
    """What answers. Another version than `champion` while the champion's arm is not ready."""
    previous: Version | None = None
    """The champion before, kept warm for a rollback."""
    canary: CanaryTraffic | None = None
    """What the registry says; its lease may have run out since."""
    canary_address: Address | None = None
    """None until the canary's arm was ready once."""

    def canary_at(self, now: datetime) -> CanaryTraffic | None:
        """The canary, if its lease still holds and its arm can be asked."""
        if self.canary is None or self.canary_address is None or now >= self.canary.until:
            return None
        return self.canary


@dataclass(frozen=True, kw_only=True)
class Table:
    """Everything that is served."""

    routes: Mapping[str, Route] = field(default_factory=dict)
    release_ids: Mapping[ArmName, str] = field(default_factory=dict)
    """The release that made a version, as far as it is known."""
    unwanted_since: Mapping[ArmName, datetime] = field(default_factory=dict)
    """Arms that nothing needs any more, and since when."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen at one time."""

    traffic: Mapping[str, Traffic]
    """By agent; an agent that could not be looked at is missing."""
    is_complete: bool
    """Whether every agent of the registry is in `traffic`: only then one that is missing is gone."""
    addresses: Mapping[ArmName, Address]
    """Arms that are ready to answer."""
    running: AbstractSet[ArmName]
    """Arms that exist, ready or not."""
    release_ids: Mapping[ArmName, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Ensure:
    """Have an arm started."""

    agent: str
    version: Version


@dataclass(frozen=True, kw_only=True)
class Stop:
    """End an arm."""

    agent: str
    version: Version


Action = Ensure | Stop


def next_table(known: Table, look: Look, *, now: datetime, grace: timedelta) -> tuple[Table, list[Action]]:
    """Decide what is served from now on.

    Args:
        known: What is served now.
        look: What was seen.
        now: Time of the look.
        grace: How long an arm that nothing needs is left running.

    Returns:
        The table to serve by, and what to do about arms. An agent that could not be looked at is served as before.
        A new champion takes over only when its arm is ready; until then the old one goes on. An arm that was ready
        and is not any more keeps its address: its failures are then seen, told and logged where they happen.
    """
    agents = look.traffic.keys() if look.is_complete else known.routes.keys() | look.traffic.keys()
    routes = {agent: _route(agent, known.routes.get(agent), look, now) for agent in sorted(agents)}
    wanted = {(route.agent, version) for route in routes.values() for version in _wanted(route)}
    unwanted = {name: known.unwanted_since.get(name, now) for name in look.running - wanted}
    expired = {name for name, since in unwanted.items() if now - since >= grace}
    unready = sorted(wanted - look.addresses.keys())
    actions: list[Action] = [Ensure(agent=agent, version=version) for agent, version in unready]
    actions += [Stop(agent=agent, version=version) for agent, version in sorted(expired)]
    release_ids = {**known.release_ids, **look.release_ids}
    table = Table(
        routes=routes,
        release_ids={name: release for name, release in release_ids.items() if name in wanted},
        unwanted_since={name: since for name, since in unwanted.items() if name not in expired},
    )
    return table, actions


def wanted_arms(table: Table, traffic: Mapping[str, Traffic]) -> set[ArmName]:
    """Name the arms whose readiness matters: those served now, and those that the registry asks for."""
    asked = {
        (agent, version)
        for agent, seen in traffic.items()
        for version in (seen.champion, seen.canary.version if seen.canary else None)
        if version is not None
    }
    return asked | {(route.agent, version) for route in table.routes.values() for version in _wanted(route)}


def _route(agent: str, known: Route | None, look: Look, now: datetime) -> Route:
    before = known or Route(agent=agent, champion=None)
    seen = look.traffic.get(agent) or Traffic(agent=agent, champion=before.champion, canary=before.canary)
    canary = seen.canary if seen.canary and now < seen.canary.until and seen.canary.version != seen.champion else None
    moved = before.champion is not None and seen.champion != before.champion
    return replace(
        before,
        champion=seen.champion,
        serving=_serving(before, seen.champion, look),
        previous=before.champion if moved else before.previous,
        canary=canary,
        canary_address=_canary_address(before, canary, look),
    )


def _serving(before: Route, champion: Version | None, look: Look) -> Serving | None:
    if champion is None:
        return None
    ready = look.addresses.get((before.agent, champion))
    if ready is not None:
        return Serving(version=champion, address=ready)
    if before.serving is None:
        return None
    address = look.addresses.get((before.agent, before.serving.version), before.serving.address)
    return replace(before.serving, address=address)


def _canary_address(before: Route, canary: CanaryTraffic | None, look: Look) -> Address | None:
    if canary is None:
        return None
    same = before.canary is not None and before.canary.version == canary.version
    return look.addresses.get((before.agent, canary.version), before.canary_address if same else None)


def _wanted(route: Route) -> set[Version]:
    versions = {
        route.champion,
        route.previous,
        route.serving.version if route.serving else None,
        route.canary.version if route.canary else None,
    }
    return {version for version in versions if version is not None}
