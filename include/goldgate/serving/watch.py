"""Keeps the traffic table: looks at the registry and at the arms, decides, and acts.

Two threads, because a registry that is down may hold its caller for many seconds, and arms must be followed meanwhile.
Requests only ever read the finished table.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.delivery import Arms, Clock
from goldgate.ports.registry import Registry, Traffic
from goldgate.serving.saved_table import encode_table, read_table, save_table
from goldgate.serving.traffic_table import Action, ArmName, Ensure, Look, Stop, Table, next_table, wanted_arms

log = logging.getLogger(__name__)

LOOK_EVERY: Final = timedelta(seconds=0.3)
"""A flip is served within a second: a look at the registry, a look at the arms, and room for both to be slow."""

GRACE: Final = timedelta(seconds=60)
"""How long an arm that nothing needs stays: a canary that is put back at once finds its arm warm."""


class TrafficSource(Protocol):
    """Where requests learn how they are served."""

    @property
    def table(self) -> Table:
        """What is served now."""

    @property
    def health(self) -> "WatchHealth":
        """How well it is known."""


@dataclass(frozen=True, kw_only=True)
class WatchHealth:
    """What a person asks first when traffic does not go where it should."""

    looked_at: datetime | None = None
    """Last complete look at the registry."""
    ready: frozenset[ArmName] = frozenset()
    registry_problem: str | None = None
    arms_problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """The last look at the registry."""

    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    is_complete: bool = False
    release_ids: Mapping[ArmName, str] = field(default_factory=dict)
    at: datetime | None = None
    problem: str | None = None


class TrafficWatch:
    """Follows the registry and the arms; see the module."""

    def __init__(
        self,
        *,
        registry: Registry,
        arms: Arms,
        clock: Clock,
        saved: Path,
        look_every: timedelta = LOOK_EVERY,
        grace: timedelta = GRACE,
    ) -> None:
        self._registry = registry
        self._arms = arms
        self._clock = clock
        self._path = saved
        self._look_every_s = look_every.total_seconds()
        self._grace = grace
        self._table = read_table(saved)
        self._encoded = encode_table(self._table)
        self._seen = _Seen()
        self._ready: frozenset[ArmName] = frozenset()
        self._arms_problem: str | None = None
        self._changed = threading.Event()
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def table(self) -> Table:
        """What is served now."""
        return self._table

    @property
    def health(self) -> WatchHealth:
        """How well it is known."""
        seen = self._seen
        return WatchHealth(
            looked_at=seen.at, ready=self._ready, registry_problem=seen.problem, arms_problem=self._arms_problem
        )

    def start(self) -> None:
        """Follow in the background until `stop`."""
        self._threads = [
            threading.Thread(target=self._repeat, args=(self.look_at_registry,), name="look-registry", daemon=True),
            threading.Thread(target=self._repeat_decide, name="look-arms", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End following. A look at a registry that does not answer is not waited for."""
        self._ending.set()
        self._changed.set()
        for thread in self._threads:
            thread.join(timeout=2)

    def look_at_registry(self) -> None:
        """Read who serves every agent. What cannot be read is taken as it was."""
        before = self._seen
        traffic, release_ids = dict(before.traffic), dict(before.release_ids)
        try:
            agents = self._registry.agents()
        except (TransientError, PermanentError) as error:
            self._see(_Seen(traffic=traffic, release_ids=release_ids, at=before.at, problem=str(error)))
            return
        traffic = {agent: traffic[agent] for agent in agents if agent in traffic}
        problem: str | None = None
        for agent in agents:
            try:
                traffic[agent] = self._registry.traffic(agent)
                release_ids |= self._new_release_ids(traffic[agent], release_ids)
            except (TransientError, PermanentError) as error:
                problem = str(error)
        is_complete = traffic.keys() == set(agents)
        at = self._clock.now() if problem is None else before.at
        self._see(_Seen(traffic=traffic, is_complete=is_complete, release_ids=release_ids, at=at, problem=problem))

    def decide(self) -> None:
        """Look at the arms, decide what is served from now on, and act on it."""
        seen = self._seen
        wanted = wanted_arms(self._table, seen.traffic)
        addresses, problem = self._addresses(wanted)
        running: frozenset[ArmName] = frozenset()
        try:
            running = frozenset(self._arms.running())
        except (TransientError, PermanentError) as error:
            problem = str(error)
        look = Look(
            traffic=seen.traffic,
            is_complete=seen.is_complete,
            addresses=addresses,
            running=running,
            release_ids=seen.release_ids,
        )
        table, actions = next_table(self._table, look, now=self._clock.now(), grace=self._grace)
        self._tell_changes(table)
        self._table, self._ready = table, frozenset(addresses)
        self._save()
        self._tell_arms_problem(self._act(actions) or problem)

    def _addresses(self, wanted: Iterable[ArmName]) -> tuple[dict[ArmName, str], str | None]:
        """Ask for each arm by itself: one that cannot be asked takes no other with it."""
        addresses: dict[ArmName, str] = {}
        problem: str | None = None
        for name in sorted(wanted):
            try:
                address = self._arms.address(*name)
            except (TransientError, PermanentError) as error:
                problem = str(error)
                continue
            if address is not None:
                addresses[name] = address
        return addresses, problem

    def _act(self, actions: list[Action]) -> str | None:
        problem: str | None = None
        for action in actions:
            try:
                match action:
                    case Ensure():
                        self._arms.ensure(action.agent, action.version)
                    case Stop():
                        self._arms.stop(action.agent, action.version)
                        log.info("router.arm.stopped", extra={"agent": action.agent, "version": action.version})
            except (TransientError, PermanentError) as error:
                problem = str(error)
        return problem

    def _new_release_ids(self, traffic: Traffic, known: Mapping[ArmName, str]) -> dict[ArmName, str]:
        versions = (traffic.champion, traffic.canary.version if traffic.canary else None)
        names = [(traffic.agent, version) for version in versions if version is not None]
        return {name: self._registry.version(*name).release_id for name in names if name not in known}

    def _see(self, seen: _Seen) -> None:
        if seen.problem != self._seen.problem:
            if seen.problem is not None:
                log.warning("router.registry.unreachable", extra={"reason": seen.problem})
            else:
                log.info("router.registry.reached")
        has_changed = seen.traffic != self._seen.traffic
        self._seen = seen
        if has_changed:
            self._changed.set()

    def _tell_changes(self, table: Table) -> None:
        for agent, route in table.routes.items():
            before = self._table.routes.get(agent)
            if before is None or before.serving != route.serving:
                version = route.serving.version if route.serving else None
                log.info("router.serving", extra={"agent": agent, "version": version, "champion": route.champion})
            if (before.canary if before else None) is not None and route.canary is None:
                log.info("router.canary.ended", extra={"agent": agent})

    def _tell_arms_problem(self, problem: str | None) -> None:
        if problem is not None and problem != self._arms_problem:
            log.warning("router.arms.unreachable", extra={"reason": problem})
        self._arms_problem = problem

    def _save(self) -> None:
        encoded = encode_table(self._table)
        if encoded != self._encoded:
            save_table(self._path, encoded)
            self._encoded = encoded

    def _repeat(self, look: Callable[[], None]) -> None:
        while not self._ending.is_set():
            self._survive(look)
            self._ending.wait(self._look_every_s)

    def _repeat_decide(self) -> None:
        while not self._ending.is_set():
            self._changed.clear()
            self._survive(self.decide)
            self._changed.wait(self._look_every_s)

    def _survive(self, look: Callable[[], None]) -> None:
        """Go on after any error: a router that no longer follows the registry is worse than one that logs."""
        try:
            look()
        except Exception:
            log.exception("router.watch.failed")
