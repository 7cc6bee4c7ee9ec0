"""Every release store of the port writes once, and lets one release hold an agent."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from goldgate.adapters.file_release_store import FileReleaseStore
from goldgate.contracts.release import Registration, ReleaseOrder
from goldgate.domain.errors import PermanentError
from goldgate.ports.records import ReleaseStore
from tests.fakes.in_memory_release_store import InMemoryReleaseStore

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ReleaseStore:
    return InMemoryReleaseStore(tmp_path) if request.param == "memory" else FileReleaseStore(tmp_path / "releases")


def order(release_id: str, *, at: datetime = AT) -> ReleaseOrder:
    return ReleaseOrder(release_id=release_id, agent="a", source="", reason="r", by="me", opened_at=at)


class TestReleaseStore:
    def test_gives_back_what_was_written(self, store: ReleaseStore):
        store.write("r1", order("r1"))

        assert store.read("r1", ReleaseOrder) == order("r1")
        assert store.read("r1", Registration) is None
        assert store.read("r2", ReleaseOrder) is None

    def test_takes_the_same_record_twice(self, store: ReleaseStore):
        store.write("r1", order("r1"))
        store.write("r1", order("r1"))

        assert store.read("r1", ReleaseOrder) == order("r1")

    def test_refuses_another_record_of_the_same_kind(self, store: ReleaseStore):
        store.write("r1", Registration(version="1", model_name="a"))

        with pytest.raises(PermanentError, match="another `Registration` already"):
            store.write("r1", Registration(version="2", model_name="a"))

        assert store.read("r1", Registration) == Registration(version="1", model_name="a")

    def test_lets_one_release_hold_an_agent(self, store: ReleaseStore):
        assert store.open_release("a", "r1", by="me", at=AT) is None
        assert store.open_release("a", "r2", by="me", at=AT) == "r1"
        assert store.open_release("b", "r2", by="me", at=AT) is None

    def test_lets_a_release_open_again_what_it_holds(self, store: ReleaseStore):
        store.open_release("a", "r1", by="me", at=AT)

        assert store.open_release("a", "r1", by="me", at=AT + timedelta(hours=1)) is None

    def test_closes_only_what_the_release_holds(self, store: ReleaseStore):
        store.open_release("a", "r1", by="me", at=AT)

        store.close_release("a", "r2")
        assert store.open_release("a", "r2", by="me", at=AT) == "r1"

        store.close_release("a", "r1")
        store.close_release("a", "r1")
        assert store.open_release("a", "r2", by="me", at=AT) is None

    def test_gives_an_agent_to_one_of_many_who_ask_at_once(self, store: ReleaseStore):
        holders: list[str | None] = []
        gate = threading.Barrier(8)

        def ask(release_id: str) -> None:
            gate.wait()
            holders.append(store.open_release("a", release_id, by="me", at=AT) or release_id)

        threads = [threading.Thread(target=ask, args=(f"r{number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(holders) == 8
        assert len(set(holders)) == 1

    def test_lists_releases_the_newest_first(self, store: ReleaseStore):
        assert store.release_ids() == []
        for number in (1, 3, 2):
            store.write(f"r{number}", order(f"r{number}", at=AT + timedelta(days=number)))

        assert store.release_ids() == ["r3", "r2", "r1"]

    def test_makes_a_folder_for_the_files_of_a_release(self, store: ReleaseStore):
        folder = store.folder("r1")

        assert folder.is_dir()
        assert store.folder("r1") == folder != store.folder("r2")

    @pytest.mark.parametrize("release_id", ["", "../r1", "R1", "a/b", ".hidden", "x" * 129])
    def test_refuses_an_id_that_is_no_name(self, store: ReleaseStore, release_id: str):
        with pytest.raises(PermanentError, match="release id"):
            store.folder(release_id)
