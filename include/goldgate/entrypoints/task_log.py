"""What the process of a TaskRun says while it works: `<home>/taskruns/<name>.log`, beside the record.

The record says what happened to the run; the log says what the process met on its way. It decides nothing, and whoever
loses it loses no state.
"""

import logging
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from goldgate.contracts.task_runs import TaskRun
from goldgate.entrypoints.logs import JsonFormatter
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.task_run import run_task

log = logging.getLogger(__name__)


def log_path(settings: Settings, name: str) -> Path:
    """Say where the log of a run lies."""
    return settings.home / "taskruns" / f"{name}.log"


def run_logged(
    run: TaskRun,
    *,
    settings: Settings,
    env: Mapping[str, str],
    wait_for_agent_s: float = 0.0,
    stop: threading.Event | None = None,
) -> TaskRun:
    """Run a TaskRun as `run_task` does, and keep what the process logs meanwhile."""
    with logging_into(log_path(settings, run.metadata.name)):
        facts = {"run": run.metadata.name, "pid": os.getpid(), "host": socket.gethostname()}
        log.info("taskrun.process.began", extra=facts)
        try:
            done = run_task(run, settings=settings, env=env, wait_for_agent_s=wait_for_agent_s, stop=stop)
        except BaseException as error:
            log.info("taskrun.process.stopped", extra={**facts, "reason": f"{type(error).__name__}: {error}"})
            raise
        log.info("taskrun.process.ended", extra={**facts, "phase": done.status.phase.value})
        return done


@contextmanager
def logging_into(path: Path) -> Iterator[None]:
    """Append our own log lines of this process to a file, as JSON, besides wherever they go already."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    ours = logging.getLogger("goldgate")
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(JsonFormatter())
    level_before = ours.level
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(level_before)
        ours.removeHandler(handler)
        handler.close()
