"""The store of TaskRuns on a real API server does what every store does; see `tests/contracts`."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from lightkube.types import PatchType

from goldgate.adapters.cluster.connection import Cluster
from goldgate.contracts.cluster import PARENT_ANNOTATION
from goldgate.contracts.resource_parts import Metadata
from goldgate.ports.task_runs import TaskRunStore
from tests.cluster.stores import TASK_RUN, emptied, opened
from tests.contracts.test_task_run_store_port import (
    Bench,
    TestAStaleOwner,
    TestLeases,
    TestRecords,
    TestWords,
    run,
)
from tests.fakes.frozen_clock import FrozenClock
from tests.waiting import until

__all__ = ["TestAStaleOwner", "TestLeases", "TestRecords", "TestWords"]


@dataclass
class ClusterBench(Bench):
    """A store in a cluster, and what a test does to it."""

    cluster: Cluster | None = None

    def damage(self, name: str) -> None:
        assert self.cluster is not None
        lost = {"digest": "0" * 64, "sizeBytes": 1, "parts": 1}
        self.cluster.client.patch(TASK_RUN.Status, name, {"status": {"whole": lost}}, patch_type=PatchType.MERGE)


@pytest.fixture
def bench(reached: Cluster) -> Iterator[Bench]:
    emptied(reached)
    clock, dead = FrozenClock(), set[str]()
    with opened(reached, clock=clock, is_dead=dead.__contains__) as store:
        yield ClusterBench(store, clock, dead, cluster=reached)


@pytest.fixture
def store(bench: Bench) -> TaskRunStore:
    return bench.store


class TestARunInACluster:
    def test_says_since_when_it_is_there(self, store: TaskRunStore):
        """Nobody has begun it yet, and people want to see how long it waits."""
        made = store.create(run())

        read = store.read("r1")

        assert made.metadata.creation_timestamp is not None
        assert read is not None
        assert read.metadata.creation_timestamp == made.metadata.creation_timestamp


class TestARunThatAnotherAskedFor:
    def test_goes_with_it(self, store: TaskRunStore):
        store.create(run())
        lease = store.take("r1", owner="o", for_s=30)
        asked = run("below")
        annotations = {PARENT_ANNOTATION: "r1"}
        store.create(asked.model_copy(update={"metadata": Metadata(name="below", annotations=annotations)}))

        store.remove(lease)

        until(lambda: store.read("below") is None)
