"""A file is there whole, or not at all."""

from pathlib import Path

from goldgate.contracts.durable import create_durably, write_durably
from tests.fakes.sync_witness import SyncWitness


class TestWriteDurably:
    def test_makes_the_folder_and_replaces(self, tmp_path: Path):
        path = tmp_path / "a" / "b.json"

        write_durably(path, b"one")
        write_durably(path, b"two")

        assert path.read_bytes() == b"two"
        assert [found.name for found in path.parent.iterdir()] == ["b.json"]

    def test_leaves_a_reader_the_file_that_it_opened(self, tmp_path: Path):
        """Renamed, not written in place: nobody ever reads half of the one and half of the other."""
        path = tmp_path / "a.json"
        write_durably(path, b"one")

        with path.open("rb") as reader:
            write_durably(path, b"two")

            assert reader.read() == b"one"
        assert path.read_bytes() == b"two"

    def test_syncs_the_whole_file_before_it_has_its_name_and_the_folder_after(self, tmp_path: Path):
        path = tmp_path / "a.json"
        path.write_bytes(b"old")
        synced = SyncWitness(path)

        write_durably(path, b"newer", sync=synced)

        assert synced.seen == [("file of 5 bytes", b"old"), ("folder", b"newer")]


class TestCreateDurably:
    def test_never_replaces(self, tmp_path: Path):
        path = tmp_path / "a.json"

        assert [create_durably(path, b"one"), create_durably(path, b"two")] == [True, False]
        assert path.read_bytes() == b"one"
        assert [found.name for found in tmp_path.iterdir()] == ["a.json"]

    def test_syncs_the_whole_file_before_it_has_its_name_and_the_folder_after(self, tmp_path: Path):
        path = tmp_path / "a.json"
        synced = SyncWitness(path)

        create_durably(path, b"newer", sync=synced)

        assert synced.seen == [("file of 5 bytes", None), ("folder", b"newer")]
