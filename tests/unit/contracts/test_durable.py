"""A file is there whole, or not at all."""

from pathlib import Path

from goldgate.contracts.durable import create_durably, write_durably


class TestWriteDurably:
    def test_makes_the_folder_and_replaces(self, tmp_path: Path):
        path = tmp_path / "a" / "b.json"

        write_durably(path, b"one")
        write_durably(path, b"two")

        assert path.read_bytes() == b"two"
        assert [found.name for found in path.parent.iterdir()] == ["b.json"]


class TestCreateDurably:
    def test_never_replaces(self, tmp_path: Path):
        path = tmp_path / "a.json"

        assert [create_durably(path, b"one"), create_durably(path, b"two")] == [True, False]
        assert path.read_bytes() == b"one"
        assert [found.name for found in tmp_path.iterdir()] == ["a.json"]
