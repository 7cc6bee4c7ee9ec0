"""What becomes of a run whose lease goes to another process."""

import threading
import time
from datetime import datetime, timedelta

import pytest

from goldgate.agent.driver import named
from goldgate.agent.lease_keeper import LeaseKeeper
from goldgate.agent.run_interruptions import GuardedWork, Interruptions, RunInterruptedError
from goldgate.agent.run_record import RunRecord
from goldgate.contracts.task_runs import RunLimits, TaskRun
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.events import ModelReplied, ToolReturned
from goldgate.domain.runs.state import Call, Nature, Phase, RunState
from goldgate.ports.task_runs import LeaseLostError, RunHeldError
from tests.fakes.driven_runs import Desk, OfWork, driver_of, reasons, task_run
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_task_runs import InMemoryTaskRunStore
from tests.fakes.scripted_work import ScriptedWork, wants


def at_work(desk: Desk) -> TaskRun:
    """A run that was begun, and recorded, just now."""
    begun, now = named(task_run()), desk.clock.now()
    status = begun.status.model_copy(update={"phase": Phase.READY_FOR_LLM, "start_time": now, "update_time": now})
    return begun.model_copy(update={"status": status})


class TestALeaseThatIsLost:
    def test_stops_the_run_and_nothing_more_is_written(self):
        desk = Desk()

        def stolen(call: Call) -> ToolReturned:
            desk.clock.advance(timedelta(seconds=31))
            desk.store.take("run", owner="thief", for_s=300)
            return ToolReturned(call_id=call.id, content="late")

        agent = OfWork(ScriptedWork(wants("slow"), ModelReplied(content="x"), tool=stolen))
        desk.driver = driver_of(desk, open_agent=lambda *_: agent)

        with pytest.raises(LeaseLostError):
            desk.driver.run(task_run())

        found = desk.store.read("run")
        assert found is not None
        assert reasons(found)[-1] == "ToolCallCreated"
        with pytest.raises(RunHeldError):
            desk.store.take("run", owner="next", for_s=1)

    def test_is_seen_before_the_next_call_is_made(self):
        """A process that slept past its lease makes no call, be its own thread of renewals not awake yet."""
        desk = Desk()

        work = ScriptedWork(wants("first", nature=Nature.PURE), wants("second"), ModelReplied(content="x"))
        desk.driver = driver_of(desk, open_agent=lambda *_: OfWork(work))
        original = desk.store.save

        def save(lease, run):
            original(lease, run)
            if run.status.calls and run.status.calls[0].name == "second":
                desk.clock.advance(timedelta(seconds=31))
                desk.store.take("run", owner="thief", for_s=300)

        desk.store.save = save  # type: ignore[method-assign]

        with pytest.raises(LeaseLostError):
            desk.driver.run(task_run())

        assert [call.name for call in work.made] == ["first"]

    def test_is_noticed_by_the_thread_that_renews_it(self):
        clock = FrozenClock()
        store = InMemoryTaskRunStore(clock=clock)
        store.create(task_run())
        lease = store.take("run", owner="one", for_s=30)
        clock.advance(timedelta(seconds=31))
        keeper = LeaseKeeper(store, lease, for_s=30, clock=clock, every_s=0.001)
        store.take("run", owner="two", for_s=30)

        with keeper:
            keeper._thread.join(10)

            with pytest.raises(LeaseLostError):
                keeper.check()

    @pytest.mark.parametrize("failure", [OSError("disk"), PermanentError("refused"), TransientError("away")])
    def test_is_kept_through_renewals_that_fail(self, failure: Exception):
        renewed = threading.Event()
        failures = [failure] * 3

        class Failing(InMemoryTaskRunStore):
            def renew(self, lease, *, for_s):
                if failures:
                    raise failures.pop()
                super().renew(lease, for_s=for_s)
                renewed.set()

        clock = FrozenClock()
        store = Failing(clock=clock)
        store.create(task_run())
        lease = store.take("run", owner="one", for_s=30)

        with LeaseKeeper(store, lease, for_s=30, clock=clock, every_s=0.001) as keeper:
            assert renewed.wait(10)

            keeper.check()

    @pytest.mark.parametrize(("took_s", "least_s"), [(0.0, 0.0), (0.01, 0.2), (100.0, 1.0)])
    def test_is_renewed_less_often_while_the_store_answers_slowly(self, took_s: float, least_s: float):
        """Up to a third of the time that it holds."""
        clock, now, renewed = FrozenClock(), [0.0], []
        enough = threading.Event()

        class Slow(InMemoryTaskRunStore):
            def renew(self, lease, *, for_s):
                renewed.append(time.monotonic())
                now[0] += took_s
                super().renew(lease, for_s=for_s)
                if len(renewed) == 3:
                    enough.set()

        store = Slow(clock=clock)
        store.create(task_run())
        lease = store.take("run", owner="one", for_s=3)

        with LeaseKeeper(store, lease, for_s=3, clock=clock, every_s=0.001, stopwatch=lambda: now[0]):
            assert enough.wait(30)

        assert renewed[2] - renewed[1] >= least_s

    def test_is_not_lost_while_it_is_renewed(self):
        clock = FrozenClock()
        store = InMemoryTaskRunStore(clock=clock)
        store.create(task_run())
        renewed = threading.Event()

        class Renewing(InMemoryTaskRunStore):
            def renew(self, lease, *, for_s):
                super().renew(lease, for_s=for_s)
                renewed.set()

        store = Renewing(clock=clock)
        store.create(task_run())
        lease = store.take("run", owner="one", for_s=30)

        with LeaseKeeper(store, lease, for_s=30, clock=clock, every_s=0.001) as keeper:
            clock.advance(timedelta(seconds=20))
            renewed.clear()
            assert renewed.wait(10)
            clock.advance(timedelta(seconds=20))

            keeper.check()
            with pytest.raises(RunHeldError):
                store.take("run", owner="two", for_s=30)


class TestTimeThatWasLost:
    def test_counts_as_work_up_to_the_last_renewal(self):
        desk = Desk()
        desk.store.create(task_run())
        lease = desk.store.take("run", owner="dead", for_s=30)
        desk.store.save(lease, at_work(desk))
        desk.clock.advance(timedelta(seconds=20))
        desk.store.renew(lease, for_s=30)
        desk.clock.advance(timedelta(seconds=500))

        done = desk.driver.run(task_run())

        assert done.status.usage.active_seconds == pytest.approx(20, abs=2)
        assert done.status.usage.take_ups == 1

    def test_is_none_where_the_last_record_is_younger_than_the_last_renewal(self):
        """A store need not renew a lease with each record."""
        desk = Desk()
        desk.store.create(task_run())
        lease = desk.store.take("run", owner="dead", for_s=30)
        desk.clock.advance(timedelta(seconds=20))
        desk.store.save(lease, at_work(desk))
        desk.clock.advance(timedelta(seconds=500))

        done = desk.driver.run(task_run())

        assert 0 <= done.status.usage.active_seconds < 2

    def test_is_not_what_it_took_to_open_the_agent(self):
        """A run that is killed again and again has its time for work, and not for being begun anew."""
        work = ScriptedWork(wants("look", nature=Nature.PURE), ModelReplied(content="x"))
        desk, stop = Desk(), threading.Event()
        desk.driver = driver_of(desk, open_agent=lambda *_: OfWork(work), stop=stop)
        work.ask = lambda _state: stop.set() or ModelReplied(content="", calls=())  # type: ignore[method-assign]
        desk.driver.run(task_run())
        seen: list[datetime | None] = []

        def opens(*_: str) -> OfWork:
            desk.clock.advance(timedelta(seconds=20))
            return OfWork(looks)

        def looked(_state: RunState) -> ModelReplied:
            run = desk.store.read("run")
            seen.append(run.status.update_time if run else None)
            return ModelReplied(content="x")

        looks = ScriptedWork(ModelReplied(content="x"))
        looks.ask = looked  # type: ignore[method-assign]
        desk.driver = driver_of(desk, open_agent=opens, stop=threading.Event())
        desk.driver.run(task_run())

        assert seen == [desk.clock.now()]

    def test_is_known_to_half_a_second_however_long_the_lease(self):
        renewed = threading.Event()

        class Renewing(InMemoryTaskRunStore):
            def renew(self, lease, *, for_s):
                super().renew(lease, for_s=for_s)
                renewed.set()

        clock = FrozenClock()
        store = Renewing(clock=clock)
        store.create(task_run())

        with LeaseKeeper(store, store.take("run", owner="one", for_s=3600), for_s=3600, clock=clock):
            assert renewed.wait(30)

    def test_counts_by_a_clock_that_nobody_sets_when_a_process_is_asked_to_end(self):
        desk, stop = Desk(), threading.Event()

        def asked(_state: RunState) -> ModelReplied:
            desk.clock.advance(timedelta(hours=1))
            stop.set()
            threading.Event().wait(30)
            return ModelReplied(content="late")

        work = ScriptedWork(ModelReplied(content="x"))
        work.ask = asked  # type: ignore[method-assign]
        desk.driver = driver_of(desk, open_agent=lambda *_: OfWork(work), stop=stop, lease_s=7200.0)

        left = desk.driver.run(task_run())

        assert reasons(left)[-1] == "Interrupted"
        assert left.status.usage.active_seconds < 600


class TestGuardedWork:
    def test_begins_nothing_more_once_its_process_is_to_end(self):
        clock = FrozenClock()
        store = InMemoryTaskRunStore(clock=clock)
        run = store.create(task_run())
        lease = store.take("run", owner="o", for_s=30)
        stop = threading.Event()
        interruptions = Interruptions(
            record=RunRecord(run, store=store, lease=lease, clock=clock),
            store=store,
            keeper=LeaseKeeper(store, lease, for_s=30, clock=clock),
            clock=clock,
            stop=stop,
        )
        work = ScriptedWork(ModelReplied(content="x"))
        guarded = GuardedWork(work, interruptions=interruptions, limits=RunLimits())
        stop.set()

        for act in (
            guarded.begin,
            lambda: guarded.ask(RunState()),
            lambda: guarded.call(RunState(), Call(id="c", name="pay", arguments="{}")),
        ):
            with pytest.raises(RunInterruptedError):
                act()

        assert (work.asked, work.made, interruptions.calls_under_way) == ([], [], 0)
