"""What happens to a run is seen with `kubectl describe`, and never on the way of a record."""

import threading
import time

import httpx2
import pytest
from lightkube.resources.core_v1 import Event

from goldgate.adapters.cluster.connection import Cluster
from goldgate.adapters.cluster.events import Line, RunEvents
from goldgate.adapters.cluster.failures import Patience
from goldgate.contracts.task_runs import RunEvent, TaskRun
from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.stores import emptied, object_of, opened, over_a_wire
from tests.contracts.test_task_run_store_port import AT, recorded, run
from tests.fakes.frozen_clock import FrozenClock


@pytest.fixture
def empty(reached: Cluster) -> Cluster:
    emptied(reached)
    reached.client.deletecollection(Event)
    return reached


def with_events(*reasons: str, dropped: int = 0, message: str = "what happened") -> TaskRun:
    made = run()
    events = [RunEvent(at=AT, reason=reason, message=message) for reason in reasons]
    fields = {"events": events, "events_dropped": dropped}
    return made.model_copy(update={"status": made.status.model_copy(update=fields)})


def told(cluster: Cluster) -> list[str]:
    """The reasons of all Events of our runs."""
    return sorted(event.reason or "" for event in cluster.client.list(Event))


class TestEventsOfARun:
    def test_are_shown_by_kubectl_describe(self, empty: Cluster, shared_cluster: ClusterUnderTest):
        with opened(empty, clock=FrozenClock()) as store:
            store.create(run())
            lease = store.take("r1", owner="o", for_s=30)

            store.save(lease, with_events("TakenUp", "RunFailed", message="the reason is ü"))

        described = shared_cluster.kubectl("describe", "taskrun", "r1")
        lines = [line.split() for line in described.partition("Events:")[2].splitlines()]
        assert ["Normal", "TakenUp"] in [line[:2] for line in lines]
        assert ["Warning", "RunFailed"] in [line[:2] for line in lines]
        assert "goldgate-task-run" in described
        assert "the reason is ü" in described

    def test_are_told_once_each(self, empty: Cluster):
        with opened(empty, clock=FrozenClock(), is_dead=lambda _: True) as store:
            store.create(run())
            first = store.take("r1", owner="one", for_s=30)
            store.save(first, with_events("A"))
            store.save(first, with_events("A"))
            store.save(first, with_events("A", "B"))
            second = store.take("r1", owner="two", for_s=30)

            store.save(second, with_events("B", "C", dropped=1))

        assert told(empty) == ["A", "B", "C"]

    def test_are_told_once_when_answers_are_lost(self, empty: Cluster):
        with over_a_wire(empty) as (cut, wire), opened(cut, clock=FrozenClock()) as store:
            store.create(run())
            lease = store.take("r1", owner="o", for_s=30)
            wire.before = lambda request: _lose_the_first(wire, request)

            store.save(lease, with_events("A", "B"))

        assert told(empty) == ["A", "B"]
        assert sum(line.endswith("/events") for line in wire.asked) == 3

    def test_that_say_too_much_are_cut_to_what_the_server_takes(self, empty: Cluster):
        with opened(empty, clock=FrozenClock()) as store:
            store.create(run())
            lease = store.take("r1", owner="o", for_s=30)

            store.save(lease, with_events("Long", message="ü" * 5_000))

        (event,) = empty.client.list(Event)
        assert event.message == "ü" * 510 + "…"

    def test_do_not_hold_up_a_record(self, empty: Cluster):
        """They cannot be posted at all, and the run is recorded all the same."""
        stuck = threading.Event()
        with over_a_wire(empty) as (cut, wire), opened(cut, clock=FrozenClock()) as store:
            store.create(run())
            lease = store.take("r1", owner="o", for_s=30)
            wire.before = lambda request: None if "/events" not in request.url.path else bool(stuck.wait(60)) and None

            store.save(lease, with_events("A"))
            store.save(lease, with_events("A", "B"))

            assert recorded(store) == with_events("A", "B")
            stuck.set()


class TestEventsThatCannotBePosted:
    def line(self, cluster: Cluster, number: int = 0) -> Line:
        uid = object_of(cluster)["metadata"]["uid"]
        return Line(run="r1", uid=uid, number=number, event=RunEvent(at=AT, reason="A", message="m"))

    def test_are_counted(self, empty: Cluster):
        with over_a_wire(empty) as (cut, wire), opened(empty, clock=FrozenClock()) as store:
            store.create(run())
            wire.lost_requests = 1_000
            events = RunEvents(cut, patience=Patience(within_s=0))

            events.tell([self.line(empty, number) for number in range(3)])
            events.close(within_s=60)

        assert (events.dropped, told(empty)) == (3, [])

    def test_are_dropped_when_too_many_wait(self, empty: Cluster):
        stuck = threading.Event()
        with over_a_wire(empty) as (cut, wire), opened(empty, clock=FrozenClock()) as store:
            store.create(run())
            wire.before = lambda _: bool(stuck.wait(60)) and None
            events = RunEvents(cut, most_waiting=5)

            events.tell([self.line(empty, number) for number in range(100)])

            assert 94 <= events.dropped <= 95
            stuck.set()
            events.close(within_s=60)

    def test_do_not_keep_a_process_from_ending(self, empty: Cluster):
        stuck = threading.Event()
        with over_a_wire(empty) as (cut, wire), opened(empty, clock=FrozenClock()) as store:
            store.create(run())
            wire.before = lambda _: bool(stuck.wait(60)) and None
            events = RunEvents(cut)
            events.tell([self.line(empty, number) for number in range(10)])
            began_s = time.monotonic()

            events.close(within_s=0.2)

            assert time.monotonic() - began_s < 30
            assert events.dropped >= 9
            stuck.set()

    def test_are_not_tried_for_ever_by_an_account_that_may_not(self, empty: Cluster):
        asked: list[str] = []

        def refuse(request: httpx2.Request) -> None:
            asked.append(request.url.path)
            answer = httpx2.Response(
                403,
                json={"kind": "Status", "message": "forbidden", "code": 403, "reason": "Forbidden"},
                request=request,
            )
            answer.raise_for_status()

        with over_a_wire(empty) as (cut, wire), opened(empty, clock=FrozenClock()) as store:
            store.create(run())
            wire.before = refuse
            events = RunEvents(cut, patience=Patience(within_s=0))

            events.tell([self.line(empty, number) for number in range(10)])
            events.close(within_s=60)

        assert (events.dropped, len(asked)) == (10, 1)


def _lose_the_first(wire, request: httpx2.Request) -> None:
    if request.url.path.endswith("/events") and sum(line.endswith("/events") for line in wire.asked) == 1:
        wire.beneath.handle_request(request).read()
        raise httpx2.ReadError("cut on the way back")
