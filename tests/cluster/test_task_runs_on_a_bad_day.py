"""Requests and answers are lost, owners come too late, the API server is killed: nothing is lost, or done twice."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import httpx2
import pytest
from lightkube.core.exceptions import ApiError

from goldgate.adapters.cluster.connection import Cluster
from goldgate.adapters.cluster.failures import Patience
from goldgate.adapters.cluster.task_runs import ClusterTaskRunStore
from goldgate.adapters.system_clock import SystemClock
from goldgate.agent.driver import TaskRunDriver
from goldgate.contracts.task_runs import TaskSpec
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.events import ModelReplied, ToolReturned
from goldgate.domain.runs.state import Call, Phase
from goldgate.ports.agents import Agent
from goldgate.ports.task_runs import Lease, LeaseLostError, RunHeldError
from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.stores import TASK_RUN, CutWire, emptied, object_of, opened, over_a_wire, prepared
from tests.contracts.test_task_run_store_port import detail_of, recorded, run, undated, word
from tests.fakes.driven_runs import OfWork
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.scripted_work import ScriptedWork, wants


@dataclass
class Wired:
    """A store over a wire that can be cut, and one over a wire that cannot."""

    store: ClusterTaskRunStore
    wire: CutWire
    other: ClusterTaskRunStore
    clock: FrozenClock
    cluster: Cluster


@pytest.fixture
def wired(reached: Cluster) -> Iterator[Wired]:
    emptied(reached)
    clock = FrozenClock()
    with (
        over_a_wire(reached) as (cut, wire),
        opened(cut, clock=clock) as store,
        opened(reached, clock=clock, is_dead=lambda owner: owner == "dead") as other,
    ):
        yield Wired(store, wire, other, clock, reached)


@pytest.fixture(params=["requests", "answers"])
def cut(request: pytest.FixtureRequest, wired: Wired) -> Iterator[Callable[[], None]]:
    """Has the next three requests, or their answers, be lost."""
    wire = wired.wire
    yield lambda: setattr(wire, f"lost_{request.param}", 3)
    assert (wire.lost_requests, wire.lost_answers) == (0, 0), "less was sent than was to be lost"


class TestWhatIsLostOnTheWay:
    def test_of_a_new_run_makes_it_once(self, wired: Wired, cut: Callable[[], None]):
        cut()

        made = wired.store.create(run())

        assert undated(made) == run() == recorded(wired.other)

    def test_of_a_taking_gives_the_lease_once(self, wired: Wired, cut: Callable[[], None]):
        wired.store.create(run())
        cut()

        lease = wired.store.take("r1", owner="o", for_s=30)

        assert lease == Lease(run="r1", owner="o", epoch=1)
        assert object_of(wired.cluster)["status"]["held"]["epoch"] == 1
        wired.store.save(lease, run(detail="mine"))

    def test_of_a_record_leaves_it_as_it_is(self, wired: Wired, cut: Callable[[], None]):
        wired.store.create(run())
        lease = wired.store.take("r1", owner="o", for_s=30)
        cut()

        wired.store.save(lease, run(detail="recorded"))

        assert detail_of(wired.other) == "recorded"

    def test_of_a_renewal_keeps_the_lease(self, wired: Wired, cut: Callable[[], None]):
        wired.store.create(run())
        lease = wired.store.take("r1", owner="o", for_s=30)
        wired.clock.advance(timedelta(seconds=20))
        cut()

        wired.store.renew(lease, for_s=30)

        wired.clock.advance(timedelta(seconds=20))
        with pytest.raises(RunHeldError):
            wired.other.take("r1", owner="p", for_s=30)

    def test_of_giving_back_frees_the_run_and_nobody_elses(self, wired: Wired, cut: Callable[[], None]):
        wired.store.create(run())
        lease = wired.store.take("r1", owner="o", for_s=30)
        cut()

        wired.store.release(lease)

        assert wired.other.take("r1", owner="p", for_s=30).epoch == 2

    def test_of_a_word_leaves_it_once(self, wired: Wired, cut: Callable[[], None]):
        wired.store.create(run())
        cut()

        wired.store.post("r1", word("w"))

        assert list(wired.other.words("r1")) == [word("w")]

    def test_of_dropping_a_word_forgets_that_one(self, wired: Wired, cut: Callable[[], None]):
        wired.store.create(run())
        wired.store.post("r1", word("w"))
        wired.store.post("r1", word("v"))
        lease = wired.store.take("r1", owner="o", for_s=30)
        cut()

        wired.store.drop(lease, word("w"))

        assert list(wired.other.words("r1")) == [word("v")]

    def test_of_a_removal_forgets_the_run(self, wired: Wired, cut: Callable[[], None]):
        wired.store.create(run())
        lease = wired.store.take("r1", owner="o", for_s=30)
        cut()

        wired.store.remove(lease)

        assert wired.other.read("r1") is None


class TestAnApiServerThatStaysAway:
    @pytest.fixture
    def lost(self, reached: Cluster) -> Iterator[tuple[ClusterTaskRunStore, Lease, CutWire]]:
        emptied(reached)
        waited_s = [0.0]
        patience = Patience(
            monotonic_s=lambda: sum(waited_s),
            sleep_s=waited_s.append,
            within_s=60,
            first_pause_s=0.1,
            longest_pause_s=2,
        )
        with over_a_wire(reached) as (cut, wire), opened(cut, clock=FrozenClock(), patience=patience) as store:
            store.create(run())
            lease = store.take("r1", owner="o", for_s=30)
            wire.lost_requests = 1_000
            yield store, lease, wire

    def test_is_waited_for_within_bounds(self, lost):
        store, lease, wire = lost

        with pytest.raises(TransientError, match="could not write TaskRun `r1`"):
            store.save(lease, run(detail="x"))

        assert 30 < 1_000 - wire.lost_requests < 60

    def test_keeps_nobody_from_ending(self, lost):
        """A run that lets go, and cannot say so, is free when its lease ends."""
        store, lease, _ = lost

        with pytest.raises(TransientError):
            store.release(lease)


def forbid_writes(request: httpx2.Request) -> None:
    if request.method == "PATCH":
        status = {"kind": "Status", "message": "forbidden here", "code": 403, "reason": "Forbidden"}
        raise ApiError(request=request, response=httpx2.Response(403, json=status, request=request))


class TestARunThatIsWorkedOn:
    def test_goes_on_when_the_api_server_was_away_while_it_called_a_tool(self, reached: Cluster):
        emptied(reached)
        pauses: list[float] = []

        def wait(seconds: float) -> None:
            pauses.append(seconds)
            wire.is_down = len(pauses) < 20

        def act(call: Call) -> ToolReturned:
            wire.is_down = True
            return ToolReturned(call_id=call.id, content="done")

        work = ScriptedWork(wants("pay"), ModelReplied(content="paid"), tool=act)
        patience = Patience(monotonic_s=lambda: sum(pauses), sleep_s=wait)
        with over_a_wire(reached) as (cut, wire), opened(cut, clock=SystemClock(), patience=patience) as store:
            driver = TaskRunDriver(
                store=store,
                open_agent=lambda *_: cast("Agent", OfWork(work)),
                find_task=lambda name: TaskSpec(agent_ref="a", user_message=name),
                clock=SystemClock(),
                owner="o",
                renew_every_s=0.05,
                listen_every_s=1.0,
            )

            done = driver.run(run())

            assert (done.status.output, done.status.phase) == ("paid", Phase.FINAL_ANSWER)
            assert [call.name for call in work.made] == ["pay"]
            assert recorded(store) == undated(done)
            assert len(pauses) >= 20


class TestTheFence:
    def test_is_in_the_api_server(self, wired: Wired):
        """A stale owner sends its record all the same, and it is the server that does not take it."""
        wired.store.create(run(detail="as it was"))
        stale = wired.store.take("r1", owner="dead", for_s=30)
        wired.other.take("r1", owner="next", for_s=30)
        before = object_of(wired.cluster)["metadata"]["resourceVersion"]
        wired.wire.seen.clear()

        with pytest.raises(LeaseLostError, match="held by `next` in epoch 2"):
            wired.store.save(stale, run(detail="too late"))

        assert [line.split()[0] for line in wired.wire.asked] == ["PATCH", "GET"]
        assert object_of(wired.cluster)["metadata"]["resourceVersion"] == before

    def test_lets_nobody_remove_a_run_that_was_taken_while_it_looked(self, wired: Wired):
        wired.store.create(run())
        lease = wired.store.take("r1", owner="dead", for_s=30)

        def taken(request: httpx2.Request) -> None:
            if request.method == "DELETE":
                wired.wire.before = lambda _: None
                wired.other.take("r1", owner="next", for_s=30)

        wired.wire.before = taken
        with pytest.raises(LeaseLostError, match="held by `next`"):
            wired.store.remove(lease)

        assert wired.other.read("r1") is not None

    def test_holds_between_runs_of_one_name(self, wired: Wired):
        """Its owner and epoch may be the same when a run was deleted and made anew: it is another run."""
        wired.store.create(run())
        stale = wired.store.take("r1", owner="pod/r1-1", for_s=30)
        wired.cluster.client.delete(TASK_RUN, "r1")
        wired.other.create(run(detail="made anew"))
        fresh = wired.other.take("r1", owner="pod/r1-1", for_s=30)
        assert (stale.owner, stale.epoch) == (fresh.owner, fresh.epoch)

        for act in (
            lambda: wired.store.save(stale, run(detail="by a ghost")),
            lambda: wired.store.renew(stale, for_s=30),
            lambda: wired.store.drop(stale, word("w")),
            lambda: wired.store.remove(stale),
        ):
            with pytest.raises(LeaseLostError):
                act()

        assert detail_of(wired.other) == "made anew"

    def test_tells_an_owner_whose_run_was_deleted(self, wired: Wired):
        wired.store.create(run())
        lease = wired.store.take("r1", owner="o", for_s=30)
        wired.cluster.client.delete(TASK_RUN, "r1")

        with pytest.raises(LeaseLostError, match="was deleted"):
            wired.store.save(lease, run())

        wired.store.release(lease)

    @pytest.mark.parametrize("is_lost", [True, False])
    def test_is_told_from_a_policy_that_forbids_to_write(self, wired: Wired, is_lost: bool):
        """A pod that another one follows may be refused by a policy before anybody looks at its lease."""
        wired.store.create(run())
        lease = wired.store.take("r1", owner="dead", for_s=30)
        if is_lost:
            wired.other.take("r1", owner="next", for_s=30)
        wired.wire.before = forbid_writes
        expected = (LeaseLostError, "held by `next`") if is_lost else (PermanentError, "forbidden here")

        for act in (
            lambda: wired.store.save(lease, run()),
            lambda: wired.store.renew(lease, for_s=30),
            lambda: wired.store.drop(lease, word("w")),
        ):
            with pytest.raises(PermanentError, match=expected[1]) as refused:
                act()
            assert type(refused.value) is expected[0]

        wired.wire.before = lambda _: None

    def test_is_not_blamed_for_a_record_that_the_schema_refuses(self, wired: Wired):
        wired.store.create(run())
        lease = wired.store.take("r1", owner="o", for_s=30)
        made = run()
        status = made.status.model_copy(update={"events_dropped": -1})

        with pytest.raises(PermanentError, match="eventsDropped") as refused:
            wired.store.save(lease, made.model_copy(update={"status": status}))

        assert not isinstance(refused.value, LeaseLostError)

    def test_lets_no_record_follow_that_of_a_later_owner(self, reached: Cluster):
        """Owners take a run from each other while all of them write: what is recorded never goes back."""
        emptied(reached)
        seen: list[int] = []
        with opened(reached, clock=SystemClock(), is_dead=lambda _: True) as store:
            store.create(run())
            began = threading.Event()

            def watch() -> None:
                for _, found in reached.client.watch(TASK_RUN, resource_version="0"):
                    began.set()
                    detail = (found.get("status") or {}).get("statusDetail", "")
                    if detail == "end":
                        return
                    if detail.isdecimal():
                        seen.append(int(detail))

            def work(owner: str) -> None:
                for _ in range(5):
                    lease = store.take("r1", owner=owner, for_s=30)
                    with contextlib.suppress(LeaseLostError):
                        for _ in range(5):
                            store.save(lease, run(detail=str(lease.epoch)))

            watcher = threading.Thread(target=watch)
            watcher.start()
            assert began.wait(60)
            owners = [threading.Thread(target=work, args=(f"o{number}",)) for number in range(4)]
            for owner in owners:
                owner.start()
            for owner in owners:
                owner.join()
            store.save(store.take("r1", owner="last", for_s=30), run(detail="end"))
            watcher.join()

        assert len(set(seen)) > 1
        assert seen == sorted(seen)


@pytest.mark.disruptive
class TestARestartOfTheApiServer:
    def test_is_outlived_by_a_run_that_is_recorded_all_the_time(self, cluster: ClusterUnderTest):
        node = cluster.one_node
        with prepared(cluster) as reached, opened(reached, clock=SystemClock(), patience=Patience()) as store:
            store.create(run())
            lease = store.take("r1", owner="o", for_s=60)
            recorded, done = 0, threading.Event()
            failed: list[Exception] = []

            def work() -> None:
                nonlocal recorded
                while not done.is_set() and not failed:
                    try:
                        store.save(lease, run(detail=str(recorded + 1)))
                        assert detail_of(store) == str(recorded + 1)
                        recorded += 1
                    except Exception as error:  # noqa: BLE001 - told by the test
                        failed.append(error)

            worker = threading.Thread(target=work)
            worker.start()
            try:
                node.kill("apiserver")
                stood = recorded
                node.start("apiserver")
                node.await_ready()
                while recorded <= stood + 3 and not failed:
                    done.wait(0.05)
            finally:
                done.set()
                worker.join()

            assert failed == []
            assert detail_of(store) == str(recorded)
