"""What runs on this machine: who holds a port, and which processes belong to us."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)


@dataclass(frozen=True, kw_only=True)
class PortHolder:
    """The process that listens on a port. `pid` is None if this user may not know it."""

    pid: int | None
    command: str


def holder_of_port(port: int) -> PortHolder | None:
    """Find who listens on a TCP port of this machine; None if nobody does, or nobody may know."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return None
    for one in connections:
        if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port:
            return PortHolder(pid=one.pid, command=_command(one.pid))
    return None


def processes_with(wanted: Mapping[str, str]) -> list[int]:
    """Name the processes of this user whose environment holds all of these variables with these values."""
    found = []
    for process in psutil.process_iter():
        with suppress(*_GONE):
            if process.status() != psutil.STATUS_ZOMBIE and wanted.items() <= process.environ().items():
                found.append(process.pid)
    return found


def unmarked_processes_in(folder: Path) -> list[int]:
    """Name the processes that work in this very folder and show no environment at all.

    Airflow writes each process's title over its environment (setproctitle), so `processes_with` cannot find it. A shell
    that a person opened in the folder shows its environment, and is not named.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(*_GONE):
            if process.status() != psutil.STATUS_ZOMBIE and not process.environ() and Path(process.cwd()) == folder:
                found.append(process.pid)
    return found


def processes_below(pid: int) -> set[int]:
    """Name the children of a process, their children, and so on; empty if it is gone."""
    try:
        return {child.pid for child in psutil.Process(pid).children(recursive=True)}
    except _GONE:
        return set()


def end_processes(pids: list[int], *, within_s: float) -> list[int]:
    """Ask processes to end, then force them. Returns those that were still there at the end."""
    processes = []
    for pid in pids:
        with suppress(*_GONE):
            processes.append(psutil.Process(pid))
    for process in processes:
        with suppress(*_GONE):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    for process in alive:
        with suppress(*_GONE):
            process.kill()
    _, left = psutil.wait_procs(alive, timeout=within_s)
    return [process.pid for process in left]


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that ended and waits for its parent does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def read_pid(path: Path) -> int | None:
    """Read a pid file; None if there is none, or it holds no number."""
    try:
        return int(path.read_text(encoding="utf-8").strip())
    except (FileNotFoundError, ValueError):
        return None


def _command(pid: int | None) -> str:
    if pid is None:
        return "a process of another user"
    try:
        return " ".join(psutil.Process(pid).cmdline())[:120] or f"process {pid}"
    except _GONE:
        return "a process that this user may not look at"
