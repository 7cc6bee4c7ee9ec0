import os
import shutil
import threading
from pathlib import Path

import pytest

from goldgate.adapters.index_folders import KEPT, BaseIndex, IndexFolders

PASSAGES = {f"p{n}": f"digest-{n}" for n in range(4)}
LONG_AGO = (1_000_000_000.0, 1_000_000_000.0)


class Writer:
    """Writes the passages' count into a file, and remembers what it was given."""

    def __init__(self) -> None:
        self.bases: list[BaseIndex | None] = []

    def __call__(self, staging: Path, base: BaseIndex | None) -> None:
        self.bases.append(base)
        (staging / "inner").mkdir()
        (staging / "inner" / "content").write_text("content", encoding="utf-8")


def folders(root: Path, *, embedder: str = "e") -> IndexFolders:
    return IndexFolders(root, made_by={"embedder": embedder})


def left(root: Path) -> list[str]:
    return sorted(each.name for each in root.iterdir() if not each.name.startswith(".lock-"))


class TestObtain:
    def test_builds_once_what_was_made_of_the_same(self, tmp_path):
        write = Writer()

        first = folders(tmp_path).obtain(PASSAGES, write=write)
        second = folders(tmp_path).obtain(dict(PASSAGES), write=write)

        assert first == second
        assert write.bases == [None]
        assert (first / "inner" / "content").read_text() == "content"

    @pytest.mark.parametrize(
        ("passages", "embedder"),
        [({**PASSAGES, "p0": "other"}, "e"), (dict(reversed(PASSAGES.items())), "e"), (PASSAGES, "another")],
    )
    def test_names_it_by_passages_their_order_and_what_made_it(self, tmp_path, passages, embedder):
        first = folders(tmp_path).obtain(PASSAGES, write=Writer())

        assert folders(tmp_path, embedder=embedder).obtain(passages, write=Writer()) != first

    @pytest.mark.parametrize("damage", ["changed", "missing", "added", "manifest"])
    def test_builds_a_damaged_one_anew(self, tmp_path, damage):
        folder = folders(tmp_path).obtain(PASSAGES, write=Writer())
        match damage:
            case "changed":
                (folder / "inner" / "content").write_text("c0ntent")
            case "missing":
                (folder / "inner" / "content").unlink()
            case "added":
                (folder / "more").touch()
            case _:
                (folder / "index.json").write_text("[1]")
        write = Writer()

        again = folders(tmp_path).obtain(PASSAGES, write=write)

        assert len(write.bases) == 1
        assert again == folder
        assert (again / "inner" / "content").read_text() == "content"
        assert left(tmp_path) == [folder.name]

    def test_begins_from_the_one_that_shares_most_passages(self, tmp_path):
        near = folders(tmp_path).obtain({**PASSAGES, "p0": "other"}, write=Writer())
        folders(tmp_path).obtain({**PASSAGES, "p0": "other", "p1": "other too"}, write=Writer())
        write = Writer()

        folders(tmp_path).obtain(PASSAGES, write=write)

        assert write.bases == [BaseIndex(folder=near, passages={**PASSAGES, "p0": "other"})]

    def test_begins_from_nothing_where_the_others_are_far_or_damaged_or_made_otherwise(self, tmp_path):
        folders(tmp_path).obtain({"p0": "digest-0", "x": "y"}, write=Writer())
        folders(tmp_path, embedder="another").obtain({**PASSAGES, "p0": "other"}, write=Writer())
        damaged = folders(tmp_path).obtain({**PASSAGES, "p1": "other"}, write=Writer())
        (damaged / "inner" / "content").write_text("damaged")
        write = Writer()

        folders(tmp_path).obtain(PASSAGES, write=write)

        assert write.bases == [None]

    def test_leaves_nothing_of_a_build_that_failed(self, tmp_path):
        def write(staging: Path, base: BaseIndex | None) -> None:  # noqa: ARG001 - as it is called
            (staging / "half").touch()
            raise RuntimeError

        with pytest.raises(RuntimeError):
            folders(tmp_path).obtain(PASSAGES, write=write)

        assert left(tmp_path) == []

    def test_takes_the_one_that_another_process_finished_meanwhile(self, tmp_path):
        other = folders(tmp_path / "other").obtain(PASSAGES, write=Writer())

        def write(staging: Path, base: BaseIndex | None) -> None:
            Writer()(staging, base)
            shutil.copytree(other, tmp_path / other.name)

        found = folders(tmp_path).obtain(PASSAGES, write=write)

        assert found == tmp_path / other.name
        assert left(tmp_path) == sorted(["other", other.name])

    def test_is_built_once_by_many_at_the_same_time(self, tmp_path):
        write, found = Writer(), []
        threads = [
            threading.Thread(target=lambda: found.append(folders(tmp_path).obtain(PASSAGES, write=write)))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(write.bases) == 1
        assert len(set(found)) == 1

    def test_syncs_every_file_and_folder_before_and_after_the_rename(self, tmp_path):
        synced: list[Path] = []

        def sync(descriptor: int) -> None:
            synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
            os.fsync(descriptor)

        IndexFolders(tmp_path, made_by={}, sync=sync).obtain(PASSAGES, write=Writer())

        assert {"content", "inner", "index.json", "passages.json"} <= {path.name for path in synced}
        assert synced[-2].name.startswith(".staging-")
        assert synced[-1] == tmp_path


class TestRemoval:
    def test_removes_what_nobody_used_for_long_when_another_is_built(self, tmp_path):
        old = folders(tmp_path).obtain({"a": "1"}, write=Writer())
        kept = folders(tmp_path).obtain({"b": "2"}, write=Writer())
        os.utime(old, LONG_AGO)

        new = folders(tmp_path).obtain(PASSAGES, write=Writer())

        assert left(tmp_path) == sorted([kept.name, new.name])

    def test_keeps_one_that_was_built_long_ago_and_is_used(self, tmp_path):
        old = folders(tmp_path).obtain({"a": "1"}, write=Writer())
        os.utime(old, LONG_AGO)
        folders(tmp_path).obtain({"a": "1"}, write=Writer())

        folders(tmp_path).obtain(PASSAGES, write=Writer())

        assert old.exists()

    def test_keeps_no_more_than_its_number(self, tmp_path):
        for number in range(KEPT + 3):
            folders(tmp_path).obtain({"a": str(number)}, write=Writer())

        assert len(left(tmp_path)) == KEPT

    def test_clears_up_after_builders_that_were_killed(self, tmp_path):
        killed = tmp_path / ".staging-killed"
        killed.mkdir()
        os.utime(killed, LONG_AGO)
        (tmp_path / ".staging-running").mkdir()

        new = folders(tmp_path).obtain(PASSAGES, write=Writer())

        assert left(tmp_path) == sorted([".staging-running", new.name])
