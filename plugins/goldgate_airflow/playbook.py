"""The one door from Airflow to the playbook, and the one place where its errors become Airflow's."""

import hashlib
import logging
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from airflow.sdk.exceptions import AirflowFailException

from goldgate.domain.errors import PermanentError

PLAYBOOK: Final = "goldgate.entrypoints.release_tasks"
"""The module whose functions are the steps."""

RUN_TASKS: Final = "goldgate.entrypoints.run_tasks"
"""The module whose functions are what is done with TaskRuns."""

_SAFE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_UNSAFE = re.compile(r"[^a-z0-9]+")
CHATTY: Final = ("great_expectations", "faiss", "alembic", "httpx", "httpx2", "openai", "mlflow.store")
"""Loggers that say hundreds of lines of INFO. `httpx2` is what the openai client sends its requests with."""


def step_of(playbook: str, name: str) -> Callable[..., Any]:
    """Load one step. Slow the first time: it brings the whole product stack."""
    for chatty in CHATTY:
        # Airflow sends every logger's INFO to the task log; theirs would hide ours.
        logging.getLogger(chatty).setLevel(logging.WARNING)
    step: Callable[..., Any] = getattr(import_module(playbook), name)
    return step


def run_step(playbook: str, name: str, **arguments: Any) -> Any:
    """Run one step.

    Raises:
        AirflowFailException: The step says that trying again cannot help. A `TransientError` passes through:
            Airflow's retries own it.
    """
    try:
        return step_of(playbook, name)(**arguments)
    except PermanentError as error:
        raise AirflowFailException(str(error)) from error


def release_id_of(run_id: str) -> str:
    """Name a release by its DAG run, so that a retried or cleared task goes on with the same release.

    A run id that is a DNS label (so it can name a folder, a resource and a pod) stays as it is; any other is cleaned,
    with eight digits of its SHA-256 behind it, because two run ids may look the same once cleaned.
    """
    if _SAFE.fullmatch(run_id):
        return run_id
    clean = _UNSAFE.sub("-", run_id.lower())[:54].strip("-") or "run"
    return f"{clean}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"
