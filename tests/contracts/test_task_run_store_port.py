"""Every store of TaskRuns records them whole, gives each to one owner at a time, and lets no other write."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from goldgate.adapters.file_task_runs import FileTaskRunStore
from goldgate.adapters.process_owners import is_known_dead, is_known_dead_here, this_process
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import TaskRun, TaskRunSpec
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.events import Word
from goldgate.entrypoints.settings import CHECKOUT
from goldgate.ports.task_runs import Lease, LeaseLostError, RunHeldError, RunWord, TaskRunStore
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_task_runs import InMemoryTaskRunStore
from tests.fakes.sync_witness import SyncWitness

AT = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass
class Bench:
    """A store, and what a test does to the world around it."""

    store: TaskRunStore
    clock: FrozenClock
    dead: set[str]
    root: Path | None = None

    def damage(self, name: str) -> None:
        if isinstance(self.store, InMemoryTaskRunStore):
            self.store.damage(name)
        elif self.root is not None:
            (self.root / f"{name}.json").write_bytes(b'{"half')


@pytest.fixture(params=["memory", "file"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    clock = FrozenClock()
    if request.param == "memory":
        memory = InMemoryTaskRunStore(clock=clock)
        return Bench(memory, clock, memory.dead)
    dead: set[str] = set()
    store = FileTaskRunStore(tmp_path / "runs", clock=clock, is_dead=dead.__contains__)
    return Bench(store, clock, dead, tmp_path / "runs")


@pytest.fixture
def store(bench: Bench) -> TaskRunStore:
    return bench.store


def run(name: str = "r1", *, message: str = "hello", detail: str = "") -> TaskRun:
    spec = TaskRunSpec(agent_ref="a", user_message=message)
    made = TaskRun(kind="TaskRun", metadata=Metadata(name=name), spec=spec)
    return made.model_copy(update={"status": made.status.model_copy(update={"status_detail": detail})})


def word(name: str, *, key: str = "k-0", at: datetime = AT) -> RunWord:
    return RunWord(id=name, at=at, by="me", call_key=key, word=Word.APPROVE, text="go")


def recorded(store: TaskRunStore, name: str = "r1") -> TaskRun | None:
    """Read a run as it was written. When it was made first, a cluster says and nobody writes."""
    found = store.read(name)
    return None if found is None else undated(found)


def undated(run: TaskRun) -> TaskRun:
    return run.model_copy(update={"metadata": run.metadata.model_copy(update={"creation_timestamp": None})})


def detail_of(store: TaskRunStore, name: str = "r1") -> str:
    found = store.read(name)
    assert found is not None
    return found.status.status_detail


class TestRecords:
    def test_are_read_as_they_were_written(self, store: TaskRunStore):
        store.create(run())
        lease = store.take("r1", owner="o", for_s=30)

        store.save(lease, run(detail="later"))

        assert recorded(store) == run(detail="later")

    def test_of_a_new_run_are_made_once(self, store: TaskRunStore):
        store.create(run(detail="first"))

        again = store.create(run(detail="second"))

        assert again.status.status_detail == "first"

    def test_of_one_name_that_ask_something_else_are_refused(self, store: TaskRunStore):
        store.create(run())

        with pytest.raises(PermanentError, match="another run named `r1`"):
            store.create(run(message="something else"))

        assert recorded(store) == run()

    def test_that_are_not_there_are_none(self, store: TaskRunStore):
        assert store.read("r1") is None
        assert list(store.names()) == []

    def test_are_listed_by_name(self, store: TaskRunStore):
        for name in ("b", "a-1", "a"):
            store.create(run(name))
        store.post("a", word("w"))

        assert list(store.names()) == ["a", "a-1", "b"]

    def test_that_are_damaged_are_told_and_left_alone(self, bench: Bench):
        bench.store.create(run())
        bench.damage("r1")

        for act in (lambda: bench.store.read("r1"), lambda: bench.store.create(run())):
            with pytest.raises(PermanentError, match="record of run `r1` cannot be read"):
                act()

        assert list(bench.store.names()) == ["r1"]

    def test_are_never_seen_half_written(self, store: TaskRunStore):
        store.create(run(detail="0" * 50_000))
        lease = store.take("r1", owner="o", for_s=30)
        seen: set[int] = set()
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                detail = detail_of(store)
                seen.add(len(set(detail)) * 100_000 + len(detail))

        readers = [threading.Thread(target=look) for _ in range(3)]
        for reader in readers:
            reader.start()
        for number in range(40):
            store.save(lease, run(detail=str(number % 10) * 50_000))
        done.set()
        for reader in readers:
            reader.join()

        assert seen == {150_000}


class TestLeases:
    def test_are_given_to_one_owner(self, bench: Bench):
        bench.store.create(run())
        bench.store.take("r1", owner="one", for_s=30)
        bench.clock.advance(timedelta(seconds=10))

        with pytest.raises(RunHeldError, match="worked on by `one`") as refused:
            bench.store.take("r1", owner="two", for_s=30)

        assert refused.value.retry_after == timedelta(seconds=20)

    def test_are_not_given_twice_to_one_process_either(self, store: TaskRunStore):
        store.create(run())
        store.take("r1", owner="one", for_s=30)

        with pytest.raises(RunHeldError):
            store.take("r1", owner="one", for_s=30)

    def test_end_by_their_time(self, bench: Bench):
        bench.store.create(run())
        first = bench.store.take("r1", owner="one", for_s=30)
        bench.clock.advance(timedelta(seconds=30))

        second = bench.store.take("r1", owner="two", for_s=30)

        assert second.epoch == first.epoch + 1

    def test_hold_on_when_they_are_renewed(self, bench: Bench):
        bench.store.create(run())
        lease = bench.store.take("r1", owner="one", for_s=30)
        bench.clock.advance(timedelta(seconds=20))

        bench.store.renew(lease, for_s=30)

        bench.clock.advance(timedelta(seconds=20))
        with pytest.raises(RunHeldError):
            bench.store.take("r1", owner="two", for_s=30)

    def test_tell_whoever_takes_a_run_when_the_owner_before_last_renewed_its_own(self, bench: Bench):
        bench.store.create(run())
        lease = bench.store.take("r1", owner="one", for_s=30)
        bench.clock.advance(timedelta(seconds=20))
        bench.store.renew(lease, for_s=30)
        bench.clock.advance(timedelta(seconds=31))

        second = bench.store.take("r1", owner="two", for_s=30)

        assert lease.last_renewed is None
        assert second.last_renewed == bench.clock.now() - timedelta(seconds=31)

    def test_end_at_once_when_their_owner_is_known_to_be_dead(self, bench: Bench):
        bench.store.create(run())
        bench.store.take("r1", owner="one", for_s=30)
        bench.dead.add("one")

        assert bench.store.take("r1", owner="two", for_s=30).owner == "two"

    def test_can_be_given_back(self, store: TaskRunStore):
        store.create(run())
        lease = store.take("r1", owner="one", for_s=30)

        store.release(lease)
        store.release(lease)

        assert store.take("r1", owner="two", for_s=30).epoch == lease.epoch + 1

    def test_that_were_lost_are_not_given_back(self, bench: Bench):
        bench.store.create(run())
        stale = bench.store.take("r1", owner="one", for_s=1)
        bench.clock.advance(timedelta(seconds=2))
        bench.store.take("r1", owner="two", for_s=30)

        bench.store.release(stale)

        with pytest.raises(RunHeldError):
            bench.store.take("r1", owner="three", for_s=30)

    def test_of_unknown_runs_are_refused(self, store: TaskRunStore):
        with pytest.raises(PermanentError, match="no run named `r1`"):
            store.take("r1", owner="one", for_s=30)

    def test_go_to_one_of_many_who_ask_at_once(self, bench: Bench):
        bench.store.create(run())
        bench.store.take("r1", owner="dead", for_s=30)
        bench.dead.add("dead")
        taken: list[Lease] = []
        gate = threading.Barrier(8)

        def ask(owner: str) -> None:
            gate.wait()
            with contextlib.suppress(RunHeldError):
                taken.append(bench.store.take("r1", owner=owner, for_s=30))

        threads = [threading.Thread(target=ask, args=(f"o{number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(taken) == 1


class TestAStaleOwner:
    @pytest.fixture
    def stale(self, bench: Bench) -> Lease:
        bench.store.create(run(detail="as it was"))
        lease = bench.store.take("r1", owner="one", for_s=30)
        bench.clock.advance(timedelta(seconds=31))
        return lease

    def test_may_write_until_somebody_takes_over(self, bench: Bench, stale: Lease):
        bench.store.save(stale, run(detail="late, and alone"))
        bench.store.renew(stale, for_s=30)

        assert detail_of(bench.store) == "late, and alone"
        with pytest.raises(RunHeldError):
            bench.store.take("r1", owner="two", for_s=30)

    def test_writes_nothing_after(self, bench: Bench, stale: Lease):
        bench.store.post("r1", word("w"))
        fresh = bench.store.take("r1", owner="two", for_s=30)
        bench.store.save(fresh, run(detail="by the new owner"))

        for act in (
            lambda: bench.store.save(stale, run(detail="by the old one")),
            lambda: bench.store.renew(stale, for_s=30),
            lambda: bench.store.drop(stale, word("w")),
            lambda: bench.store.remove(stale),
        ):
            with pytest.raises(LeaseLostError):
                act()

        assert detail_of(bench.store) == "by the new owner"
        assert list(bench.store.words("r1")) == [word("w")]

    def test_cannot_write_with_a_lease_that_it_gave_back(self, bench: Bench, stale: Lease):
        bench.store.release(stale)

        with pytest.raises(LeaseLostError):
            bench.store.save(stale, run(detail="after the end"))

        assert detail_of(bench.store) == "as it was"

    def test_cannot_write_another_run(self, bench: Bench, stale: Lease):
        bench.store.create(run("r2"))

        with pytest.raises(PermanentError, match="a lease of run `r1`"):
            bench.store.save(stale, run("r2", detail="by the way"))


class TestWords:
    def test_are_read_oldest_first_by_whoever_asks(self, store: TaskRunStore):
        store.create(run())
        second, first = word("w1", key="k-1", at=AT + timedelta(seconds=1)), word("w2", key="k-0")

        store.post("r1", second)
        store.post("r1", first)

        assert list(store.words("r1")) == [first, second]

    def test_can_be_left_while_somebody_works_on_the_run(self, store: TaskRunStore):
        store.create(run())
        lease = store.take("r1", owner="one", for_s=30)

        store.post("r1", word("w"))
        store.save(lease, run(detail="on and on"))

        assert list(store.words("r1")) == [word("w")]

    def test_are_forgotten_once_they_are_dropped(self, store: TaskRunStore):
        store.create(run())
        store.post("r1", word("w"))
        store.post("r1", word("v"))
        lease = store.take("r1", owner="one", for_s=30)

        store.drop(lease, word("w"))
        store.drop(lease, word("w"))

        assert list(store.words("r1")) == [word("v")]

    def test_for_unknown_runs_are_refused(self, store: TaskRunStore):
        with pytest.raises(PermanentError, match="no run named `r1`"):
            store.post("r1", word("w"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def file_store(root: Path, **options: Any) -> FileTaskRunStore:
    return FileTaskRunStore(root, clock=FrozenClock(), **{"is_dead": is_known_dead, **options})


class TestFiles:
    def test_are_on_disk_before_they_have_their_name(self, root: Path):
        witness = SyncWitness(root / "r1.json")
        store = file_store(root, sync=witness)
        store.create(run())
        before = (root / "r1.json").read_bytes()
        lease = store.take("r1", owner="o", for_s=30)
        witness.seen.clear()

        store.save(lease, run(detail="new"))

        after = (root / "r1.json").read_bytes()
        assert witness.seen == [(f"file of {len(after)} bytes", before), ("folder", after)]
        assert after != before

    def test_left_half_written_by_a_killed_owner_are_cleaned_up_by_the_next(self, root: Path):
        store = file_store(root, is_dead=lambda _: True)
        store.create(run())
        lease = store.take("r1", owner="one", for_s=30)
        (root / f".r1.json.{lease.epoch}").write_bytes(b'{"half')

        store.take("r1", owner="two", for_s=30)

        assert sorted(path.name for path in root.iterdir()) == ["r1.json", "r1.lease"]

    def test_of_a_writer_that_lost_its_lease_do_not_stay(self, root: Path):
        store = file_store(root, is_dead=lambda _: True)
        store.create(run())
        stale = store.take("r1", owner="one", for_s=30)
        store.take("r1", owner="two", for_s=30)

        with pytest.raises(LeaseLostError):
            store.save(stale, run())

        assert sorted(path.name for path in root.iterdir()) == ["r1.json", "r1.lease"]

    def test_that_are_damaged_are_named_and_kept(self, root: Path):
        store = file_store(root)
        store.create(run())
        (root / "r1.json").write_bytes(b'{"kind": "TaskRun"')

        with pytest.raises(PermanentError, match=r"runs/r1\.json.*Restore"):
            store.read("r1")

        assert (root / "r1.json").read_bytes() == b'{"kind": "TaskRun"'

    def test_with_unknown_fields_are_damaged(self, root: Path):
        store = file_store(root)
        store.create(run())
        text = (root / "r1.json").read_text()
        (root / "r1.json").write_text(text.replace('"status":{', '"status":{"more":1,', 1))

        with pytest.raises(PermanentError, match="unknown field"):
            store.read("r1")

    def test_of_another_run_are_damaged(self, root: Path):
        store = file_store(root)
        store.create(run())
        (root / "r1.json").rename(root / "r2.json")

        with pytest.raises(PermanentError, match="Found run `r1`"):
            store.read("r2")

    def test_with_a_damaged_lease_are_given_to_nobody(self, root: Path):
        store = file_store(root)
        store.create(run())
        (root / "r1.lease").write_bytes(b"garbage")

        with pytest.raises(PermanentError, match=r"r1\.lease"):
            store.take("r1", owner="o", for_s=30)

    @pytest.mark.parametrize("name", ["", "A", "../r1", "a/b", "-a", "a" * 64, ".r1"])
    def test_lie_nowhere_else(self, root: Path, name: str):
        with pytest.raises(PermanentError, match="Found the run name"):
            file_store(root).read(name)

    @pytest.mark.parametrize("name", ["", "../w", "a/b", "a" * 65])
    def test_of_words_lie_nowhere_else(self, root: Path, name: str):
        store = file_store(root)
        store.create(run())

        with pytest.raises(PermanentError, match=r"id `.*` of a word"):
            store.post("r1", word(name))


@pytest.fixture
def neighbour() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A real process, and the name of a piece of its work."""
    program = "from goldgate.adapters.process_owners import this_process; print(this_process(), flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "include")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


class TestOwners:
    def test_are_dead_when_their_process_was_killed_be_it_buried_or_not(self, neighbour, root: Path):
        process, owner = neighbour
        store = file_store(root)
        store.create(run())
        store.take("r1", owner=owner, for_s=30)
        with pytest.raises(RunHeldError):
            store.take("r1", owner="next", for_s=30)

        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert is_known_dead(owner)
        assert store.take("r1", owner="next", for_s=30).epoch == 2
        process.wait()
        assert is_known_dead(owner)

    def test_live_while_they_are_only_stopped(self, neighbour):
        process, owner = neighbour

        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)

        assert not is_known_dead(owner)

    def test_are_told_apart_within_one_process(self):
        assert this_process() != this_process()
        assert not is_known_dead(this_process())

    def test_are_dead_when_their_id_is_used_by_another_process(self):
        host, boot, namespace, pid, start, rest = this_process().split("/")

        assert is_known_dead("/".join((host, boot, namespace, pid, str(int(start) - 1), rest)))

    def test_of_an_earlier_boot_of_this_machine_are_dead(self):
        host, _, namespace, pid, start, rest = this_process().split("/")

        assert is_known_dead(f"{host}/another/{namespace}/{pid}/{start}/{rest}")

    @pytest.mark.parametrize("place", [0, 2])
    def test_of_another_machine_or_container_are_not_known_to_be_dead(self, place: int):
        parts = this_process().split("/")
        parts[place] = "elsewhere"
        parts[3] = "4194304"

        assert not is_known_dead("/".join(parts))

    def test_of_no_known_form_are_not_known_to_be_dead(self):
        assert not is_known_dead("somebody")

    @pytest.mark.parametrize(("place", "is_dead"), [(None, True), (0, False), (1, False), (2, False)])
    def test_are_believed_dead_by_several_machines_on_the_same_boot_only(self, place: int | None, is_dead: bool):
        """Two machines may have one host name; to each the boot of the other looks like an earlier one of its own."""
        parts = this_process().split("/")
        parts[3] = "4194304"
        if place is not None:
            parts[place] = "elsewhere"

        assert is_known_dead_here("/".join(parts)) is is_dead
