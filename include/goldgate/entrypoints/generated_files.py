"""Files of the repository that are made from code: which are out of date, and bringing them up to date."""

from collections.abc import Mapping
from pathlib import Path


def stale_in(folder: Path, wanted: Mapping[str, str], *, ending: str) -> list[str]:
    """Name the files of an ending in a folder that are missing, outdated, or not wanted any more.

    Args:
        folder: Where they are.
        wanted: Name to text.
        ending: Such as `.json`; other files are left alone.
    """
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob(f"*{ending}")}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def write_to(folder: Path, wanted: Mapping[str, str], *, ending: str) -> list[str]:
    """Bring a folder up to date, and name the files that changed; see `stale_in`."""
    changed = stale_in(folder, wanted, ending=ending)
    folder.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in wanted:
            (folder / name).write_text(wanted[name], encoding="utf-8")
        else:
            (folder / name).unlink()
    return changed
