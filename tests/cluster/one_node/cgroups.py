"""A cgroup of its own for the cluster's pods, so that two clusters do not clear away each other's."""

import contextlib
from pathlib import Path
from typing import Final

_V1_INHERITED: Final = ("cpuset.cpus", "cpuset.mems")
"""A new cgroup of version 1 begins with none, and takes no process then."""


def make_cgroup(name: str) -> None:
    """Make the cgroup in every hierarchy."""
    for root in _roots():
        folder = root / name
        folder.mkdir(exist_ok=True)
        for setting in _V1_INHERITED:
            own = folder / setting
            if own.exists() and not own.read_text().strip():
                own.write_text((root / setting).read_text())
        if (root / "cgroup.subtree_control").exists():
            controllers = (root / "cgroup.controllers").read_text().split()
            for place in (root, folder):
                for controller in controllers:
                    with contextlib.suppress(OSError):
                        (place / "cgroup.subtree_control").write_text(f"+{controller}")


def remove_cgroup(name: str) -> None:
    """Remove the cgroup with all below it that hold no process any more."""
    for root in _roots():
        folders = [folder for folder in (root / name).rglob("*") if folder.is_dir()]
        for folder in [*sorted(folders, key=lambda each: len(each.parts), reverse=True), root / name]:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _roots() -> list[Path]:
    mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    return [Path(place) for _, place, kind, *_ in mounts if kind in {"cgroup", "cgroup2"}]
