"""How large a status may be. `tests/cluster` has what becomes of those that may."""

import json

import httpx2
import pytest

from goldgate.adapters.cluster.failures import Patience
from goldgate.adapters.cluster.large_statuses import MOST_STATUS_BYTES, LargeStatuses
from goldgate.adapters.cluster.parts import DIGEST_LABEL, USE_LABEL
from goldgate.adapters.cluster.statuses import DamagedTaskRunError
from goldgate.contracts.cluster import StoredText
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import ContextMessage, TaskRun, TaskRunSpec
from goldgate.domain.runs.state import Phase
from goldgate.ports.task_runs import Lease, LeaseLostError, RecordTooLargeError
from tests.fakes.scripted_api_server import as_json, cluster_that

LEASE = Lease(run="run", owner="pod/run-1", epoch=1)
ETCD_BYTES = 2 * 1024**3
"""What it takes by default, with all that it has not compacted yet."""


class Server:
    """Takes every part."""

    def __init__(self) -> None:
        self.stored_bytes = 0
        self.statuses = LargeStatuses(cluster_that(self.answer), patience=Patience(within_s=1))

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            self.stored_bytes += len(json.loads(request.content)["spec"]["text"].encode())
        return as_json({"metadata": {"name": "made", "uid": "u"}})


def grown(size_bytes: int, *, phase: Phase = Phase.READY_FOR_LLM) -> TaskRun:
    spec = TaskRunSpec(agent_ref="a", user_message="go")
    run = TaskRun(kind="TaskRun", metadata=Metadata(name="run"), spec=spec)
    window = [ContextMessage(role="tool", content="x" * size_bytes)]
    return run.model_copy(update={"status": run.status.model_copy(update={"context_window": window, "phase": phase})})


class TestWritten:
    def test_takes_what_is_below_the_bound(self):
        server = Server()

        _, stored = server.statuses.written(LEASE, grown(MOST_STATUS_BYTES - 10_000), check=lambda: None)

        assert stored is not None
        assert server.stored_bytes == stored.size_bytes < MOST_STATUS_BYTES

    def test_refuses_what_is_above_it_before_anything_is_stored(self):
        server = Server()

        with pytest.raises(RecordTooLargeError, match=f"expected at most {MOST_STATUS_BYTES}"):
            server.statuses.written(LEASE, grown(MOST_STATUS_BYTES), check=lambda: None)

        assert server.stored_bytes == 0

    def test_stores_nothing_for_whoever_lost_the_run(self):
        server = Server()

        def lost() -> None:
            raise LeaseLostError("Run `run` is held by somebody else.")

        with pytest.raises(LeaseLostError):
            server.statuses.written(LEASE, grown(MOST_STATUS_BYTES // 2), check=lost)

        assert server.stored_bytes == 0

    def test_leaves_a_run_that_came_to_the_bound_room_to_say_so(self):
        server = Server()

        server.statuses.written(LEASE, grown(MOST_STATUS_BYTES + 100_000, phase=Phase.FAILED), check=lambda: None)

        assert server.stored_bytes > MOST_STATUS_BYTES

    def test_takes_less_than_half_of_what_etcd_takes_until_it_compacts(self):
        """A record every three seconds, five minutes long."""
        assert MOST_STATUS_BYTES * 5 * 60 / 3 < ETCD_BYTES / 2


class TestRead:
    def test_asks_for_no_text_that_no_run_can_have_written(self):
        server = Server()
        claimed = StoredText(digest="a" * 64, size_bytes=10 * MOST_STATUS_BYTES, parts=100)

        with pytest.raises(DamagedTaskRunError, match="kubectl delete taskrun run"):
            server.statuses.read(claimed, name="run")


class Kept:
    """A server with parts of a run, which notes what is removed."""

    def __init__(self, *parts: tuple[str, str]) -> None:
        """Keep parts by what each is for, and the digest that it is of."""
        self.removed: list[str] = []
        self._items = [
            {
                "metadata": {
                    "name": f"{use}/{digest[0]}",
                    "uid": "u",
                    "labels": {USE_LABEL: use, DIGEST_LABEL: digest[:63]},
                }
            }
            for use, digest in parts
        ]
        self.statuses = LargeStatuses(cluster_that(self.answer), patience=Patience(within_s=1))

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "DELETE":
            self.removed.append(request.url.path.partition("/parts/")[2])
        return as_json({"metadata": {}, "items": self._items})


class TestSweep:
    def test_removes_what_older_statuses_left_and_nothing_else(self):
        """A later owner has stored its own already: it is not the one who lost the lease that may remove it."""
        stands = StoredText(digest="a" * 64, size_bytes=1, parts=1)
        server = Kept(
            ("status-1", "a" * 64),
            ("status-1", "b" * 64),
            ("status-0", "c" * 64),
            ("status-2", "d" * 64),
            ("x", "e" * 64),
        )

        server.statuses.sweep(LEASE, stands=stands)

        assert server.removed == ["status-1/b", "status-0/c"]
