"""A status that is too large for one object lies whole beside it, and is never cut in silence."""

import json
import re
import threading
from collections.abc import Iterator

import httpx2
import pytest

from goldgate.adapters.cluster.connection import Cluster
from goldgate.adapters.cluster.failures import Patience
from goldgate.adapters.cluster.large_statuses import LargeStatuses
from goldgate.adapters.cluster.task_runs import ClusterTaskRunStore
from goldgate.contracts.task_runs import ContextMessage, RunEvent, TaskRun
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.task_runs import Lease, LeaseLostError
from tests.cluster.stores import BRIEF, PART, object_of, opened, over_a_wire, parts_in
from tests.contracts.test_task_run_store_port import AT, detail_of, recorded, run
from tests.fakes.frozen_clock import FrozenClock

ETCD_BYTES = 1_500_000


@pytest.fixture
def store(empty: Cluster) -> Iterator[ClusterTaskRunStore]:
    with opened(empty, clock=FrozenClock(), is_dead=lambda owner: owner == "dead") as store:
        yield store


def large(detail: str = "large", *, messages: int = 12, sign: str = "é-") -> TaskRun:
    """A run whose context window takes more than a megabyte: messages of 70,000 letters, half of them of two bytes."""
    made = run(detail=detail)
    window = [ContextMessage(role="user", content=f"{number} {sign * 35_000}") for number in range(messages)]
    events = [RunEvent(at=AT, reason="Said", message=f"{number}") for number in range(100)]
    return made.model_copy(
        update={"status": made.status.model_copy(update={"context_window": window, "events": events})}
    )


def taken(store: ClusterTaskRunStore, *, owner: str = "dead") -> Lease:
    store.create(run())
    return store.take("r1", owner=owner, for_s=30)


def digests_in(cluster: Cluster) -> set[str]:
    return {part["spec"]["digest"] for part in parts_in(cluster)}


class TestALargeStatus:
    def test_of_three_megabytes_is_read_as_it_was_written(self, empty: Cluster, store: ClusterTaskRunStore):
        lease, whole = taken(store), large(messages=30, sign="é<")
        assert len(whole.status.model_dump_json().encode()) > 2_000_000

        store.save(lease, whole)

        assert recorded(store) == whole
        assert all(len(json.dumps(part, ensure_ascii=False).encode()) < ETCD_BYTES for part in parts_in(empty))

    def test_shows_its_beginning_and_says_that_it_is_cut(self, empty: Cluster, store: ClusterTaskRunStore):
        store.save(taken(store), large("almost there"))

        shown = object_of(empty)["status"]
        assert shown["statusDetail"] == "almost there"
        assert len(json.dumps(shown)) < 200_000
        last = shown["contextWindow"][-1]["content"]
        assert re.search(r"^11 é-é-.*… \[\d+ more characters, in \d+ Parts of [0-9a-f]{16}\]$", last)
        assert shown["whole"]["parts"] == len(parts_in(empty))
        assert shown["eventsDropped"] + len(shown["events"]) == 100

    def test_belongs_to_its_run(self, empty: Cluster, store: ClusterTaskRunStore):
        store.save(taken(store), large())

        uid = object_of(empty)["metadata"]["uid"]
        assert {part["metadata"]["ownerReferences"][0]["uid"] for part in parts_in(empty)} == {uid}

    def test_leaves_nothing_of_the_one_before(self, empty: Cluster, store: ClusterTaskRunStore):
        lease = taken(store)
        store.save(lease, large("first"))

        store.save(lease, large("second"))

        assert digests_in(empty) == {object_of(empty)["status"]["whole"]["digest"]}
        assert detail_of(store) == "second"

    def test_leaves_nothing_when_it_is_small_again(self, empty: Cluster, store: ClusterTaskRunStore):
        lease = taken(store)
        store.save(lease, large())

        store.save(lease, run(detail="small"))

        assert parts_in(empty) == []
        assert recorded(store) == run(detail="small")

    def test_of_which_a_part_is_gone_is_damaged(self, empty: Cluster, store: ClusterTaskRunStore):
        store.save(taken(store), large())
        empty.client.delete(PART, parts_in(empty)[0]["metadata"]["name"])

        with pytest.raises(PermanentError, match=r"record of run `r1` cannot be read.*missing"):
            store.read("r1")

    def test_is_looked_for_again_if_it_was_replaced_between_two_requests(
        self, empty: Cluster, store: ClusterTaskRunStore
    ):
        lease = taken(store)
        store.save(lease, large("first"))

        with over_a_wire(empty) as (reached, wire), opened(reached, clock=FrozenClock()) as reader:

            def replaced(request: httpx2.Request) -> None:
                if request.url.path.endswith("/parts"):
                    wire.before = lambda _: None
                    store.save(lease, large("second"))

            wire.before = replaced
            found = recorded(reader)

        assert found == large("second")

    def test_is_read_whole_while_it_is_replaced(self, store: ClusterTaskRunStore):
        lease = taken(store)
        store.save(lease, large("0"))
        done, seen, wrong = threading.Event(), set[str](), list[object]()

        def look() -> None:
            while not done.is_set():
                found = recorded(store)
                if found is None or found != large(found.status.status_detail):
                    wrong.append(found)
                else:
                    seen.add(found.status.status_detail)

        reader = threading.Thread(target=look)
        reader.start()
        for number in range(1, 5):
            store.save(lease, large(str(number)))
        done.set()
        reader.join()

        assert wrong == []
        assert seen


class TestAnOwnerThatIsKilled:
    def test_between_the_parts_and_the_status_leaves_the_old_one(self, empty: Cluster, store: ClusterTaskRunStore):
        """What it put is nobody's, and the next owner's first record removes it."""
        lease = taken(store)
        store.save(lease, large("before"))
        with (
            over_a_wire(empty) as (cut, wire),
            opened(cut, clock=FrozenClock(), is_dead=lambda _: True, patience=Patience(within_s=0)) as dying,
        ):
            own = dying.take("r1", owner="dead", for_s=30)
            wire.before = _cut_status
            with pytest.raises(TransientError):
                dying.save(own, large("never"))
        assert len(digests_in(empty)) == 2
        assert detail_of(store) == "before"
        next_lease = store.take("r1", owner="next", for_s=30)

        store.save(next_lease, large("after"))

        assert digests_in(empty) == {object_of(empty)["status"]["whole"]["digest"]}
        assert detail_of(store) == "after"

    def test_leaves_nothing_to_a_successor_that_records_something_small(
        self, empty: Cluster, store: ClusterTaskRunStore
    ):
        store.save(taken(store), large("before"))
        next_lease = store.take("r1", owner="next", for_s=30)

        store.save(next_lease, run(detail="small"))

        assert parts_in(empty) == []

    def test_removes_nothing_of_its_successor_should_it_live_on(self, empty: Cluster, store: ClusterTaskRunStore):
        """It was stopped after a record, before it cleaned up: what came since is not its to remove."""
        late = taken(store)
        store.save(late, large("first"))
        fresh = store.take("r1", owner="next", for_s=30)
        store.save(fresh, large("second"))

        LargeStatuses(empty, patience=BRIEF).sweep(late, stands=None)
        with pytest.raises(LeaseLostError):
            store.save(late, large("third"))

        assert detail_of(store) == "second"
        assert digests_in(empty) == {object_of(empty)["status"]["whole"]["digest"]}


def _cut_status(request: httpx2.Request) -> None:
    if request.url.path.endswith("/status"):
        raise httpx2.ConnectError("killed")


class TestAQuestionOfAMegabyte:
    def test_leaves_less_room_for_the_status(self, empty: Cluster, store: ClusterTaskRunStore):
        message = "m" * 900_000
        store.create(run(message=message))
        lease = store.take("r1", owner="o", for_s=30)
        status = large(messages=4, sign="ab").status
        asked = run(message=message).model_copy(update={"status": status})

        store.save(lease, asked)

        assert recorded(store) == asked
        assert "whole" in object_of(empty)["status"]
