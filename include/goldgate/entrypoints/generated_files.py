"""Files of the repository that are made from code: which are out of date, and bringing them up to date."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
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


def command(
    argv: Sequence[str] | None,
    *,
    described: str | None,
    module: str,
    folder: Path,
    stale_in: Callable[[Path], list[str]],
    write_to: Callable[[Path], list[str]],
) -> int:
    """Write or check the files of one kind, as the command line says.

    Args:
        argv: Flags; those of the process if None.
        described: What `--help` says.
        module: Whose program this is, as `python -m` names it.
        folder: Where they are kept, unless a flag says otherwise.
        stale_in: Names those of a folder that are not current.
        write_to: Brings a folder up to date, and names those that changed.

    Returns:
        1 if a check finds a file that is not current, else 0.
    """
    parser = argparse.ArgumentParser(description=described, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; end with 1 if a file is not current")
    parser.add_argument("--folder", type=Path, default=folder, help="where they are kept; %(default)s")
    arguments = parser.parse_args(argv)
    chosen: Path = arguments.folder
    if not arguments.check:
        print(f"{len(write_to(chosen))} files written to {chosen}")  # noqa: T201 - a command that talks to people
        return 0
    stale = stale_in(chosen)
    for name in stale:
        print(f"{chosen / name} is not current. Run `python -m {module}`.", file=sys.stderr)  # noqa: T201 - as above
    return 1 if stale else 0
