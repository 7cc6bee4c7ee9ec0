from collections.abc import Callable
from datetime import timedelta

import pytest

from goldgate.contracts.policy import CanaryPlan
from goldgate.contracts.release import CanaryRecord, Registration, ReleaseOrder
from goldgate.domain.canary import Abort, Advance, Complete, GiveUp, Hold
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.registry import CanaryTraffic
from goldgate.release.canary import act, look, look_and_act, run_canary, start_canary
from goldgate.release.records import StepMissingError
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_ledger import InMemoryLedger
from tests.fakes.in_memory_registry import InMemoryRegistry
from tests.fakes.in_memory_release_store import InMemoryReleaseStore
from tests.fakes.in_memory_request_log import InMemoryRequestLog, request_log

ID = "helper-20260301-aaaa"
PLAN = CanaryPlan(ratios=[0.01, 0.05], dwell_s=60, min_requests=10, give_up_after_s=600, look_every_s=5)


class Killed(BaseException):
    """The process ends here."""


class MortalRegistry(InMemoryRegistry):
    """A registry whose caller dies just before or just after its n-th write of canary traffic."""

    def __init__(self) -> None:
        super().__init__()
        self.dies: Callable[[str], bool] = lambda _: False
        self.is_down = False

    def set_canary(self, agent: str, canary: CanaryTraffic | None) -> None:
        if self.is_down:
            raise TransientError("The registry is down.")
        if self.dies("before"):
            raise Killed
        super().set_canary(agent, canary)
        if self.dies("after"):
            raise Killed


class Stage:
    """A registered candidate, version 2, beside champion 1."""

    def __init__(self, tmp_path) -> None:
        self.clock = FrozenClock()
        self.store = InMemoryReleaseStore(tmp_path)
        self.registry = MortalRegistry()
        self.ledger = InMemoryLedger(clock=self.clock)
        self.requests = InMemoryRequestLog()
        self.registry.add("helper", "3")
        self.registry.add("helper", "1", champion=True)
        order = ReleaseOrder(
            release_id=ID, agent="helper", source="", reason="better", by="ann", opened_at=self.clock.now()
        )
        self.store.write(ID, order)
        self.store.write(ID, Registration(version="2", model_name="helper"))

    def start(self):
        return start_canary(
            ID, plan=PLAN, store=self.store, registry=self.registry, ledger=self.ledger, clock=self.clock
        )

    def look(self):
        return look(ID, store=self.store, registry=self.registry, requests=self.requests, clock=self.clock)

    def act(self, step):
        return act(ID, step, store=self.store, registry=self.registry, ledger=self.ledger, clock=self.clock)

    def look_and_act(self):
        return look_and_act(
            ID,
            store=self.store,
            registry=self.registry,
            requests=self.requests,
            ledger=self.ledger,
            clock=self.clock,
        )

    def run(self, *, sleep_s: Callable[[float], None], on_look: Callable[[str], None] = lambda _: None):
        return run_canary(
            ID,
            plan=PLAN,
            store=self.store,
            registry=self.registry,
            requests=self.requests,
            ledger=self.ledger,
            clock=self.clock,
            sleep_s=sleep_s,
            on_look=on_look,
        )

    def pass_time(self, seconds: float = 60) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def serve(self, *, canary: int = 0, champion: int = 0, **changes) -> None:
        """Log requests as the router does; `changes` are the canary's."""
        for _ in range(champion):
            self.requests.add(request_log(self.clock.now()))
        for _ in range(canary):
            self.requests.add(request_log(self.clock.now(), **{"arm": "canary", "model": "helper@2", **changes}))

    @property
    def canary(self) -> CanaryTraffic | None:
        return self.registry.traffic("helper").canary

    def story(self) -> list[str]:
        return [outcome for step, outcome in self.ledger.story() if step == "canary"]


@pytest.fixture
def stage(tmp_path) -> Stage:
    return Stage(tmp_path)


class TestStartCanary:
    def test_gives_the_first_share_for_the_time_of_a_few_looks(self, stage):
        stage.start()

        assert stage.canary == CanaryTraffic(version="2", ratio=0.01, until=stage.clock.now() + timedelta(seconds=20))
        assert stage.story() == ["started"]

    def test_is_skipped_without_a_champion(self, stage):
        stage.registry._champions.clear()

        record = stage.start()

        assert isinstance(record, CanaryRecord)
        assert record.outcome == "skipped"
        assert stage.canary is None
        assert stage.story() == ["skipped"]

    def test_refuses_a_version_that_is_champion_already(self, stage):
        stage.registry.add("helper", "2", champion=True)

        with pytest.raises(PermanentError, match="champion already"):
            stage.start()

    def test_again_changes_nothing_but_the_lease(self, stage):
        first = stage.start()
        stage.pass_time(10)

        assert stage.start() == first
        assert stage.canary.until == stage.clock.now() + timedelta(seconds=20)
        assert stage.story() == ["started"]

    def test_needs_a_registered_version(self, stage):
        stage.store = InMemoryReleaseStore()

        with pytest.raises(StepMissingError):
            stage.start()


class TestLook:
    def test_holds_and_renews_the_lease(self, stage):
        stage.start()
        stage.pass_time(5)

        assert isinstance(stage.look(), Hold)
        assert stage.canary.until == stage.clock.now() + timedelta(seconds=20)

    def test_counts_only_requests_of_this_canary_and_its_champion(self, stage):
        stage.start()
        stage.serve(canary=50, champion=100, model="helper@3")
        stage.serve(canary=50, arm="champion", model="helper@9")
        stage.pass_time()

        assert stage.look() == Hold(reason="the canary has had 0 of 10 requests")

    def test_takes_an_unmetered_request_for_one_of_unknown_cost(self, stage):
        stage.start()
        stage.serve(canary=10, champion=100, is_metered=False, cost_usd=0)
        stage.pass_time()

        assert stage.look() == Hold(reason="the cost of 10 of 10 answers of the canary is unknown")

    def test_counts_a_question_that_both_refuse_for_neither(self, stage):
        """Or a caller with questions too long could end any canary."""
        stage.start()
        for number in range(50):
            facts = {"error": "question: found 9 characters; expected at most 8", "trace_id": f"{number:032x}"}
            stage.requests.add(request_log(stage.clock.now(), **facts))
            stage.serve(canary=1, **facts)

        assert stage.look() == Hold(reason="the canary has had 0 of 10 requests")

    def test_counts_what_only_the_canary_refuses_though_its_caller_sends_all_under_one_trace(self, stage):
        """Or a caller with one bad question could hide what the canary refuses of all the others."""
        stage.start()
        refused = {"error": "question: found 9 characters; expected at most 8", "trace_id": "a" * 32}
        stage.requests.add(request_log(stage.clock.now(), **refused, span_id="0" * 16))
        for number in range(1, 51):
            span_id = f"{number:016x}"
            stage.requests.add(request_log(stage.clock.now(), trace_id="a" * 32, span_id=span_id))
            stage.serve(canary=1, **refused, span_id=span_id)

        assert isinstance(stage.look(), Abort)

    def test_counts_a_request_that_was_one_too_many_for_neither(self, stage):
        """Or a caller in a hurry could end any canary."""
        stage.start()
        stage.serve(champion=50, canary=50, error="rate_limit: caller")

        assert stage.look() == Hold(reason="the canary has had 0 of 10 requests")

    def test_counts_a_question_that_only_the_canary_refuses_as_its_error(self, stage):
        stage.start()
        stage.serve(champion=50, canary=50, error="question: found 9 characters; expected at most 8")

        assert isinstance(stage.look(), Abort)

    @pytest.mark.parametrize(("lost_s", "expected"), [(-1, Advance), (1, Hold)])
    def test_holds_if_the_log_has_lost_requests_at_the_present_share(self, stage, lost_s, expected):
        stage.requests = InMemoryRequestLog(max_queue=110)
        stage.start()
        stage.serve(canary=10, champion=100)
        stage.requests.add(request_log(stage.clock.now() + timedelta(seconds=lost_s)))
        stage.pass_time()

        assert isinstance(stage.look(), expected)

    def test_counts_only_requests_at_the_present_share(self, stage):
        stage.serve(canary=50, champion=100)
        stage.pass_time(1)
        stage.start()
        stage.pass_time()

        assert isinstance(stage.look(), Hold)

    def test_ends_traffic_at_once_when_the_canary_breaks(self, stage):
        """The act may wait for a worker; the callers should not."""
        stage.start()
        stage.serve(canary=5, champion=100, error="arm: refused")

        assert isinstance(stage.look(), Abort)
        assert stage.canary is None

    def test_stays_with_what_it_decided(self, stage):
        stage.start()
        stage.serve(canary=5, champion=100, error="arm: refused")
        decided = stage.look()
        stage.serve(canary=500)

        assert stage.look() == decided
        assert stage.canary is None

    def test_keeps_a_canary_that_passed_warm_until_it_is_promoted(self, stage):
        stage.start()
        for _ in range(2):
            stage.serve(canary=10, champion=100)
            stage.pass_time()
            stage.serve(canary=10, champion=100)
            step = stage.look()
            stage.act(step)

        assert isinstance(step, Complete)
        assert stage.canary == CanaryTraffic(version="2", ratio=0.05, until=stage.clock.now() + timedelta(seconds=120))

    @pytest.mark.parametrize(
        ("happens", "told"),
        [
            (
                lambda registry: registry.add("helper", "3", champion=True),
                "the champion changed from version `1` to `3`",
            ),
            (lambda registry: registry.set_canary("helper", None), "somebody ended the canary's traffic"),
        ],
    )
    def test_stops_when_the_world_moves_on(self, stage, happens, told):
        stage.start()
        happens(stage.registry)

        step = stage.look()

        assert isinstance(step, Abort)
        assert told in step.reason
        assert stage.canary is None

    def test_leaves_somebody_elses_canary_alone(self, stage):
        stage.start()
        other = CanaryTraffic(version="3", ratio=0.2, until=stage.clock.now() + timedelta(seconds=9))
        stage.registry.set_canary("helper", other)

        assert stage.look() == Abort(reason="version `3` became the canary instead")
        assert stage.canary == other

    def test_cannot_renew_while_the_registry_is_down(self, stage):
        """Then the router ends the canary by itself."""
        stage.start()
        stage.registry.is_down = True

        with pytest.raises(TransientError):
            stage.look()

    def test_needs_a_start(self, stage):
        with pytest.raises(StepMissingError, match="never started"):
            stage.look()


class TestAct:
    def test_advances(self, stage):
        stage.start()
        stage.serve(canary=10, champion=100)
        stage.pass_time()
        step = stage.look()

        assert isinstance(step, Advance)
        assert stage.act(step) is None
        assert stage.canary.ratio == 0.05
        assert stage.story() == ["started", "advanced to 0.05"]

    def test_advances_once(self, stage):
        stage.start()
        stage.serve(canary=10, champion=100)
        stage.pass_time()
        step = stage.look()
        stage.act(step)
        stage.pass_time(30)

        stage.act(step)
        stage.serve(canary=10, champion=100)
        stage.pass_time(30)

        assert isinstance(stage.look(), Complete)
        assert stage.story() == ["started", "advanced to 0.05"]

    def test_records_how_it_ended_with_the_figures_that_decided(self, stage):
        stage.start()
        stage.serve(champion=100)
        stage.serve(canary=5, error="arm: refused")
        stage.serve(canary=5, latency_ms_total=200.0, cost_usd=0.004, safety_flags=["out_of_domain"])

        record = stage.act(stage.look())

        assert record.outcome == "aborted"
        assert record.canary == {
            "requests": 10,
            "error_ratio": 0.5,
            "latency_p95_ms": 200.0,
            "cost_usd": 0.004,
            "safety_block_ratio": 1.0,
        }
        assert record.champion["requests"] == 100
        assert stage.store.read(ID, CanaryRecord) == record
        assert stage.story() == ["started", "aborted"]
        assert stage.act(Hold(reason="late")) == record

    def test_takes_silence_for_undecided(self, stage):
        stage.start()
        stage.serve(champion=1000)
        stage.pass_time(600)

        step = stage.look()
        record = stage.act(step)

        assert isinstance(step, GiveUp)
        assert record.outcome == "undecided"
        assert record.canary == {"requests": 0}
        assert stage.canary is None

    def test_ends_nothing_that_no_look_has_decided(self, stage):
        stage.start()

        with pytest.raises(StepMissingError, match="No look has decided"):
            stage.act(Complete(reason="trust me"))


class TestRunCanary:
    def busy(self, stage, **changes) -> Callable[[float], None]:
        """Traffic while it sleeps."""

        def sleep_s(seconds: float) -> None:
            stage.pass_time(seconds)
            stage.serve(canary=1, champion=19, **changes)

        return sleep_s

    def test_passes_a_good_canary(self, stage):
        told: list[str] = []

        record = stage.run(sleep_s=self.busy(stage), on_look=told.append)

        assert record.outcome == "passed"
        assert stage.story() == ["started", "advanced to 0.05", "passed"]
        assert told[0].startswith("hold: the canary has had 0 of 10 requests")
        assert told[-1].startswith("complete: every guardrail kept")

    def test_stops_a_slow_one_and_leaves_the_champion_where_it_was(self, stage):
        record = stage.run(sleep_s=self.busy(stage, latency_ms_total=900.0))

        assert record.outcome == "aborted"
        assert "latency" in record.reason
        assert stage.registry.traffic("helper").champion == "1"
        assert stage.canary is None

    @pytest.mark.parametrize("moment", ["before", "after"])
    @pytest.mark.parametrize("write", range(1, 8))
    @pytest.mark.parametrize(("changes", "outcome"), [({}, "passed"), ({"error": "arm: timeout"}, "aborted")])
    def test_goes_on_after_a_kill_anywhere(self, stage, moment, write, changes, outcome):
        """Killed beside its n-th write to the registry, and run again: same end, each step told once."""
        writes = 0

        def dies(when: str) -> bool:
            nonlocal writes
            writes += when == "before"
            return when == moment and writes == write

        stage.registry.dies = dies
        try:
            record = stage.run(sleep_s=self.busy(stage, **changes))
        except Killed:
            record = stage.run(sleep_s=self.busy(stage, **changes))

        assert record.outcome == outcome
        assert stage.story() == [*(["started", "advanced to 0.05"] if outcome == "passed" else ["started"]), outcome]
        assert (stage.canary is not None) == (outcome == "passed")

    def test_of_a_release_that_has_ended_returns_how(self, stage):
        first = stage.run(sleep_s=self.busy(stage))

        assert stage.run(sleep_s=self.busy(stage)) == first
        assert stage.look_and_act()[1] == first
        assert stage.story() == ["started", "advanced to 0.05", "passed"]
