"""Records on disk: their names, what is damaged, and what a crash leaves."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from goldgate.adapters.file_release_store import DamagedRecordError, FileReleaseStore
from goldgate.contracts.release import CanaryRecord, Registration, ReleaseOrder
from goldgate.domain.errors import PermanentError

AT = datetime(2026, 3, 1, tzinfo=UTC)


class TestFileReleaseStore:
    def test_names_records_by_their_kind(self, tmp_path: Path):
        store = FileReleaseStore(tmp_path)
        store.write("r1", CanaryRecord(outcome="passed", reason="r", canary={}, champion={}))
        store.write("r1", Registration(version="1", model_name="a"))

        assert sorted(path.name for path in (tmp_path / "r1").iterdir()) == ["canary_record.json", "registration.json"]

    def test_says_which_record_is_damaged_and_what_to_do(self, tmp_path: Path):
        store = FileReleaseStore(tmp_path)
        store.write("r1", Registration(version="1", model_name="a"))
        (tmp_path / "r1" / "registration.json").write_text("{")

        with pytest.raises(DamagedRecordError, match=r"release `r1` is damaged.*r1/registration\.json.*backup"):
            store.read("r1", Registration)
        with pytest.raises(DamagedRecordError, match=r"r1/registration\.json"):
            store.write("r1", Registration(version="1", model_name="a"))

    def test_lists_a_release_whose_order_is_damaged_last(self, tmp_path: Path):
        store = FileReleaseStore(tmp_path)
        for name in ("r1", "r2"):
            store.write(name, ReleaseOrder(release_id=name, agent="a", source="", reason="r", by="me", opened_at=AT))
        (tmp_path / "r2" / "release_order.json").write_text("")

        assert store.release_ids() == ["r1", "r2"]

    def test_shows_who_holds_an_agent(self, tmp_path: Path):
        FileReleaseStore(tmp_path).open_release("a", "r1", by="me", at=AT)

        claim = json.loads((tmp_path / "open" / "a.json").read_text())

        assert claim == {"release_id": "r1", "by": "me", "at": "2026-03-01T00:00:00Z"}

    def test_never_takes_a_claim_that_it_cannot_read(self, tmp_path: Path):
        store = FileReleaseStore(tmp_path)
        store.open_release("a", "r1", by="me", at=AT)
        (tmp_path / "open" / "a.json").write_text("")

        with pytest.raises(DamagedRecordError, match=r"agent `a` cannot be read.*open/a\.json.*remove the file"):
            store.open_release("a", "r2", by="me", at=AT)

    def test_leaves_nothing_but_whole_files(self, tmp_path: Path):
        store = FileReleaseStore(tmp_path)
        for _ in range(2):
            store.write("r1", Registration(version="1", model_name="a"))
            store.open_release("a", "r1", by="me", at=AT)

        assert sorted(path.name for path in tmp_path.rglob("*.*") if path.is_file()) == [
            ".lock",
            "a.json",
            "registration.json",
        ]

    def test_does_not_list_its_own_folder_as_a_release(self, tmp_path: Path):
        store = FileReleaseStore(tmp_path)
        store.open_release("a", "r1", by="me", at=AT)
        order = ReleaseOrder(release_id="r1", agent="a", source="", reason="r", by="me", opened_at=AT)
        store.write("r1", order)

        assert store.release_ids() == ["r1"]
        with pytest.raises(PermanentError, match="not `open`"):
            store.folder("open")

    @pytest.mark.parametrize("agent", ["", "../a", "A", "a/b", "-a"])
    def test_refuses_an_agent_that_is_no_name(self, tmp_path: Path, agent: str):
        with pytest.raises(PermanentError, match="agent name"):
            FileReleaseStore(tmp_path).open_release(agent, "r1", by="me", at=AT)
