"""Who works: one piece of work of one process of one machine, named so that others can tell when it is dead.

A process id alone is not enough: ids are used again, and a container has ids of its own. So the name holds the host,
its boot, the namespace of process ids, the id, and when the process began, in the kernel's own ticks since boot, which
no setting of the clock moves.
"""

import os
import secrets
import socket
from pathlib import Path
from typing import Final

import psutil

_PROC: Final = Path("/proc")
_STATE: Final = 0
_START: Final = 19
"""Fields of `/proc/<pid>/stat` after the name in parentheses: state is the 3rd, start the 22nd. See proc(5)."""

_PARTS: Final = 6


def this_process() -> str:
    """Name one piece of work of this process; another one of the same process has another name."""
    pid = os.getpid()
    return "/".join((*_place(), str(pid), _start(pid) or "?", secrets.token_hex(4)))


def is_known_dead(owner: str) -> bool:
    """Tell whether a process ended. False also if nobody here can know: it works, or worked, on another machine."""
    parts = owner.split("/")
    if len(parts) != _PARTS:
        return False
    host, boot, namespace, pid, start, _ = parts
    here = _place()
    if host != here[0]:
        return False
    if boot != here[1]:
        return True  # what runs now began after the machine did
    return namespace == here[2] and start != "?" and pid.isdecimal() and _start(int(pid)) != start


def is_known_dead_here(owner: str) -> bool:
    """Tell whether a process of this very boot of this machine ended.

    For records that several machines share: another one may have the same host name, and another boot of that name is
    then no earlier one of this machine.
    """
    return owner.split("/")[:2] == [*_place()[:2]] and is_known_dead(owner)


def _place() -> tuple[str, str, str]:
    host = socket.gethostname().replace("/", "-")
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = str((_PROC / "self/ns/pid").readlink()).removeprefix("pid:").strip("[]")
    except OSError:
        return host, f"{psutil.boot_time():.0f}", ""
    return host, boot, namespace


def _start(pid: int) -> str | None:
    """Tell when a process began, in units that only this machine knows; None if it ended, be it not yet buried."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return _start_by_psutil(pid)
    return None if fields[_STATE] in "ZX" else fields[_START]


def _start_by_psutil(pid: int) -> str | None:
    """Do the same where there is no `/proc`."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None
