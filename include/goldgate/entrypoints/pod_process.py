"""What is different for a process of a TaskRun when it is all that a pod runs: its name, its lines, its last word."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from goldgate.contracts.request_log import RunLog
from goldgate.entrypoints.settings import RUN_LOG, Settings
from goldgate.ports.records import RunLogWriter

POD: Final = "GOLDGATE_POD"
"""Variable with the name of the pod that a process runs in. Unset: it is one of many processes of a machine."""
LAST_WORD: Final = "GOLDGATE_TERMINATION_LOG"

_TERMINATION_LOG: Final = "/dev/termination-log"
_MOST_BYTES: Final = 4096
"""Of a termination message: Kubernetes cuts the rest."""

_log = logging.getLogger(__name__)


def owner_in(env: Mapping[str, str]) -> str:
    """Name whoever works on a run: this pod, of whose name there is one; else this piece of work of this process."""
    if pod := env.get(POD):
        return f"pod/{pod}"
    # 0.05 s of psutil, which a pod does without.
    from goldgate.adapters.process_owners import this_process  # noqa: PLC0415

    return this_process()


def gone_before(env: Mapping[str, str]) -> Callable[[str], bool] | None:
    """Tell which owners are gone because this pod is there: earlier pods of its run. None outside a pod.

    A pod is launched when the one before it has ended, and is named by its run and a number that goes up.
    """
    stem, _, number = env.get(POD, "").rpartition("-")
    if not stem or not number.isdecimal():
        return None

    def is_gone(owner: str) -> bool:
        before, _, other = owner.removeprefix("pod/").rpartition("-")
        return owner.startswith("pod/") and before == stem and other.isdecimal() and int(other) < int(number)

    return is_gone


def open_run_log(settings: Settings, *, env: Mapping[str, str]) -> RunLogWriter:
    """Open the log of runs that are over: a file of the home folder, or the log of a pod, whose folder ends with it."""
    if env.get(POD):
        return PodRunLog()
    from goldgate.adapters.jsonl_request_log import JsonlRequestLog  # noqa: PLC0415 - a pod does without

    return JsonlRequestLog(settings.home / RUN_LOG)


class PodRunLog:
    """Writes the line of a run into the log of its pod. Implements `goldgate.ports.records.RunLogWriter`."""

    def add(self, entry: RunLog) -> None:
        """Write one line."""
        _log.info("task_run.over", extra={"entry": entry.model_dump(mode="json")})

    def close(self) -> None:
        """Leave nothing: every line is written already."""


def leave_last_word(reason: str, *, env: Mapping[str, str]) -> None:
    """Tell Kubernetes why the process ends, so that whoever looks at the pod need not read its log.

    Outside a pod, and where the file cannot be written, nothing happens: the log says the same.
    """
    path = Path(env.get(LAST_WORD) or _TERMINATION_LOG)
    with suppress(OSError), path.open("r+b") as file:
        file.truncate()
        file.write(reason.encode()[:_MOST_BYTES].decode(errors="ignore").encode())
