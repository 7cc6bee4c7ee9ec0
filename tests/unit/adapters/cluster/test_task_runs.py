"""The store of TaskRuns in a cluster, where no API server is needed; `tests/cluster` has the rest."""

import pytest

from goldgate.adapters.cluster.failures import Patience
from goldgate.adapters.cluster.task_runs import ClusterTaskRunStore
from goldgate.domain.errors import TransientError
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.scripted_api_server import cluster_that, cut


class Waiting:
    """A patience of a minute that costs no time."""

    def __init__(self) -> None:
        self.waited_s = 0.0
        self.patience = Patience(within_s=60, sleep_s=self.wait, monotonic_s=lambda: self.waited_s)

    def wait(self, seconds: float) -> None:
        self.waited_s += seconds


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
def store(waiting: Waiting) -> ClusterTaskRunStore:
    return ClusterTaskRunStore(cluster_that(cut), clock=FrozenClock(), patience=waiting.patience)


class TestWhoWorksOnARun:
    def test_does_not_listen_long_to_an_api_server_that_is_away(self, store: ClusterTaskRunStore, waiting: Waiting):
        with pytest.raises(TransientError):
            store.words("run")

        assert waiting.waited_s <= 5

    def test_waits_for_one_that_restarts_with_all_else(self, store: ClusterTaskRunStore, waiting: Waiting):
        with pytest.raises(TransientError):
            store.read("run")

        assert waiting.waited_s > 50
