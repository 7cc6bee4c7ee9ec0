import logging
import threading
from datetime import timedelta

import pytest

from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.registry import CanaryTraffic, Traffic
from goldgate.serving.saved_table import read_table
from goldgate.serving.watch import TrafficWatch
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_arms import InMemoryArms
from tests.fakes.in_memory_registry import InMemoryRegistry


class FlakyRegistry(InMemoryRegistry):
    """A registry that a test can take away, whole or for one agent."""

    def __init__(self) -> None:
        super().__init__()
        self.is_down = False
        self.unreadable: set[str] = set()

    def agents(self) -> list[str]:
        if self.is_down:
            raise TransientError("The registry is down.")
        return super().agents()

    def traffic(self, agent: str) -> Traffic:
        if agent in self.unreadable:
            raise TransientError(f"`{agent}` cannot be read.")
        return super().traffic(agent)


class UnforeseenError(Exception):
    """Of no kind that the code could name."""


@pytest.fixture
def registry() -> FlakyRegistry:
    registry = FlakyRegistry()
    registry.add("helper", "2")
    registry.add("helper", "1", champion=True)
    return registry


@pytest.fixture
def arms() -> InMemoryArms:
    return InMemoryArms(starts_ready=True)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def watch(registry, arms, clock, tmp_path) -> TrafficWatch:
    return TrafficWatch(registry=registry, arms=arms, clock=clock, saved=tmp_path / "traffic.json")


def follow(watch: TrafficWatch, *, times: int = 2) -> None:
    """One round starts an arm, the next finds it ready."""
    for _ in range(times):
        watch.look_at_registry()
        watch.decide()


def serving(watch: TrafficWatch, agent: str = "helper") -> str | None:
    route = watch.table.routes[agent]
    return route.serving.version if route.serving else None


class TestTrafficWatch:
    def test_starts_and_serves_the_champion(self, watch, arms):
        follow(watch)

        assert serving(watch) == "1"
        assert list(arms.running()) == [("helper", "1")]
        assert watch.health.ready == {("helper", "1")}

    def test_follows_a_flip_at_the_next_round_when_the_arm_is_warm(self, watch, registry, clock):
        canary = CanaryTraffic(version="2", ratio=0.05, until=clock.now() + timedelta(seconds=20))
        registry.set_canary("helper", canary)
        follow(watch)
        registry.move_champion("helper", to="2", expected="1")

        follow(watch, times=1)

        assert serving(watch) == "2"

    def test_serves_the_old_champion_until_the_new_ones_arm_is_ready(self, watch, registry, arms):
        follow(watch)
        arms.starts_ready = False
        registry.move_champion("helper", to="2", expected="1")

        follow(watch)
        assert serving(watch) == "1"

        arms.make_ready("helper", "2")
        follow(watch, times=1)
        assert serving(watch) == "2"

    def test_knows_which_release_made_what_it_serves(self, watch):
        follow(watch)

        assert watch.table.release_ids == {("helper", "1"): "made-1"}

    def test_goes_on_when_the_registry_is_down(self, watch, registry, caplog):
        follow(watch)
        registry.is_down = True
        caplog.clear()

        with caplog.at_level(logging.INFO):
            follow(watch, times=3)
        assert serving(watch) == "1"
        assert watch.health.registry_problem == "The registry is down."
        assert [r.message for r in caplog.records] == ["router.registry.unreachable"]

        registry.is_down = False
        follow(watch)
        assert watch.health.registry_problem is None

    def test_ends_a_canary_whose_lease_ran_out_while_the_registry_is_down(self, watch, registry, clock):
        canary = CanaryTraffic(version="2", ratio=0.05, until=clock.now() + timedelta(seconds=20))
        registry.set_canary("helper", canary)
        follow(watch)
        assert watch.table.routes["helper"].canary == canary

        registry.is_down = True
        clock.advance(timedelta(seconds=20))
        follow(watch)

        assert watch.table.routes["helper"].canary is None

    def test_keeps_an_agent_that_cannot_be_read(self, watch, registry):
        registry.add("other", "1", champion=True)
        follow(watch)
        registry.unreadable = {"other"}

        follow(watch)

        assert serving(watch, "other") == "1"
        assert watch.health.registry_problem == "`other` cannot be read."

    def test_serves_after_a_restart_while_the_registry_is_down(self, watch, registry, arms, clock, tmp_path):
        follow(watch)
        registry.is_down = True

        restarted = TrafficWatch(registry=registry, arms=arms, clock=clock, saved=tmp_path / "traffic.json")
        assert serving(restarted) == "1"

        follow(restarted)
        assert serving(restarted) == "1"

    def test_saves_what_it_serves(self, watch, tmp_path):
        follow(watch)

        assert read_table(tmp_path / "traffic.json").routes == watch.table.routes

    def test_goes_on_when_arms_cannot_be_started(self, watch, arms, registry):
        follow(watch)
        arms.is_reachable = False
        registry.move_champion("helper", to="2", expected="1")

        follow(watch)

        assert serving(watch) == "1"
        assert watch.health.arms_problem == "No supervisor answers."

    def test_follows_all_other_arms_when_one_cannot_be_asked(self, registry, clock, tmp_path):
        class OneDamaged(InMemoryArms):
            def address(self, agent: str, version: str) -> str | None:
                if agent == "damaged":
                    raise PermanentError("The address file is not one.")
                return super().address(agent, version)

        registry.add("damaged", "1", champion=True)
        arms = OneDamaged(starts_ready=True)
        watch = TrafficWatch(registry=registry, arms=arms, clock=clock, saved=tmp_path / "traffic.json")

        follow(watch)

        assert serving(watch) == "1"
        assert watch.health.arms_problem == "The address file is not one."

    def test_stops_what_nothing_needs_after_the_grace(self, watch, arms, clock):
        arms.ensure("helper", "2")
        follow(watch)
        assert ("helper", "2") in arms.running()

        clock.advance(timedelta(seconds=60))
        follow(watch, times=1)

        assert list(arms.running()) == [("helper", "1")]

    def test_follows_by_itself_once_started(self, registry, clock, tmp_path):
        """The threads do what the tests above do by hand."""
        is_ready = threading.Event()

        class TellingArms(InMemoryArms):
            def ensure(self, agent: str, version: str) -> None:
                super().ensure(agent, version)
                is_ready.set()

        watch = TrafficWatch(
            registry=registry,
            arms=TellingArms(),
            clock=clock,
            saved=tmp_path / "traffic.json",
            look_every=timedelta(milliseconds=1),
        )

        watch.start()
        try:
            assert is_ready.wait(timeout=30)
        finally:
            watch.stop()

    def test_survives_what_nobody_foresaw(self, arms, clock, tmp_path, caplog):
        """A router that stopped following would serve an old champion for ever, and say nothing."""
        survived = threading.Event()
        calls = 0

        class BrokenRegistry(FlakyRegistry):
            def agents(self) -> list[str]:
                nonlocal calls
                calls += 1
                if calls > 2:
                    survived.set()
                raise UnforeseenError

        watch = TrafficWatch(
            registry=BrokenRegistry(),
            arms=arms,
            clock=clock,
            saved=tmp_path / "traffic.json",
            look_every=timedelta(milliseconds=1),
        )

        watch.start()
        try:
            assert survived.wait(timeout=30)
        finally:
            watch.stop()
        assert "router.watch.failed" in {record.message for record in caplog.records}
