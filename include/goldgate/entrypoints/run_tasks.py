"""What the tasks of the DAG `agent_task_run` call: TaskRuns with values that JSON carries in and out.

All state is in the run's record. A task returns what people look at, and what tells it whether to wait.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue

from goldgate.adapters.system_clock import SystemClock
from goldgate.agent.run_work import has_work
from goldgate.contracts.documents import parse
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import CallStatus, TaskRun, TaskRunSpec
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.events import Word
from goldgate.domain.runs.state import Phase
from goldgate.entrypoints.run_store import open_store
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.task_desk import FITTING, TaskDesk, waits_for_a_person
from goldgate.entrypoints.task_log import run_logged
from goldgate.ports.task_runs import LeaseLostError, RunHeldError

if TYPE_CHECKING:
    from goldgate.adapters.cluster.connection import Access

Told = dict[str, JsonValue]

OPTIONS: Final = {Word.APPROVE: "Approve", Word.ANSWER: "Answer", Word.DENY: "Deny"}
"""What a person chooses from in the Airflow UI."""

_FIELDS: Final = {
    "agent": "agentRef",
    "user_message": "userMessage",
    "task": "taskRef",
    "deadline_s": "deadlineSeconds",
}
_LIMITS: Final = {
    "max_steps": "maxSteps",
    "timeout_s": "timeoutSeconds",
    "max_tokens": "maxTokens",
    "max_cost_usd": "maxCostUsd",
}


def run_task(task_run: str, spec: dict[str, JsonValue], stop: threading.Event) -> Told:
    """Work on the TaskRun of that name as far as it goes now; a retry goes on with the same one.

    Args:
        task_run: Name of the run.
        spec: What is asked, and with which limits.
        stop: Set by whoever wants the process to let go of the run, which it does within a second.

    Raises:
        ContractError: Neither a task, nor an agent and a message.
    """
    run = task_run_of(task_run, spec)
    settings = Settings.from_env(os.environ)
    with _desk(settings) as desk:
        try:
            done = run_logged(run, settings=settings, env=os.environ, stop=stop)
        except (RunHeldError, LeaseLostError):
            # Somebody works on it by hand, or the lease of a worker that vanished has not ended yet.
            return told(desk.find(task_run), desk, waits_for="process")
        return told(done, desk)


def task_run_of(task_run: str, spec: dict[str, JsonValue], *, labels: Mapping[str, str] | None = None) -> TaskRun:
    """Write down a run as it is asked for.

    Args:
        task_run: Name of the run.
        spec: What is asked, and with which limits.
        labels: Of the resource.

    Raises:
        ContractError: Neither a task, nor an agent and a message.
    """
    asked: dict[str, JsonValue] = {_FIELDS[key]: value for key, value in spec.items() if key in _FIELDS}
    if limits := {_LIMITS[key]: value for key, value in spec.items() if key in _LIMITS}:
        asked["limits"] = limits
    if unknown := sorted(set(spec) - set(_FIELDS) - set(_LIMITS)):
        raise PermanentError(f"Found {', '.join(unknown)} in the task run; expected {', '.join((*_FIELDS, *_LIMITS))}.")
    checked = parse(asked, TaskRunSpec, where="the task run")
    return TaskRun(kind="TaskRun", metadata=Metadata(name=task_run, labels=dict(labels or {})), spec=checked)


def look_at_task(task_run: str, asked: list[str], *, access: "Access | None" = None) -> Told:
    """Say whether a run that waited can go on.

    Args:
        task_run: Name of the run.
        asked: Keys of the calls that it waited for a person with.
        access: The cluster that the run is in. None: what the settings say.
    """
    with _desk(Settings.from_env(os.environ), access=access) as desk:
        if access is not None and desk.store.read(task_run) is None:
            # Whoever goes on finds that it is gone, and does not make it anew.
            return {"decision": "go_on", "reason": "The run was deleted.", "is_over": True}
        run = desk.find(task_run)
        if run.status.phase.is_terminal:
            return {"decision": "go_on", "reason": f"The run is over: {run.status.phase.value}.", "is_over": True}
        if has_work(run, store=desk.store, clock=desk.clock):
            return {"decision": "go_on", "reason": "Somebody answered, or its deadline is past."}
        if {call.key for _, call in desk.questions(run)} != set(asked):
            return {"decision": "go_on", "reason": "It asks something else now."}
        return {"decision": "hold", "reason": run.status.status_detail}


def answer_task(task_run: str, key: str, option: str, text: str, by: str, *, access: "Access | None" = None) -> Told:
    """Leave a person's answer for a run.

    Returns:
        `outcome`: "answered"; "again" if the choice does not fit what is asked; "elsewhere" if somebody else was first.
    """
    with _desk(Settings.from_env(os.environ), access=access) as desk:
        call = _awaited(desk, task_run, key)
        if call is None:
            return {"outcome": "elsewhere", "reason": "It was answered elsewhere, or its run is over."}
        word = next((word for word, label in OPTIONS.items() if label == option), None)
        if word is None or word not in FITTING[call.need] or (word is Word.ANSWER and not text.strip()):
            return {"outcome": "again", "reason": f"`{option}` needs a text here, or does not fit what is asked."}
        desk.answer(task_run, call=key, word=word, text=text, by=by)
        return {"outcome": "answered", "reason": f"{by}: {word.value}"}


def look_at_question(task_run: str, key: str, *, access: "Access | None" = None) -> Told:
    """Say whether a question still waits for a person."""
    with _desk(Settings.from_env(os.environ), access=access) as desk:
        call = _awaited(desk, task_run, key)
    if call is None:
        return {"decision": "over", "reason": "It was answered elsewhere, or its run is over."}
    return {"decision": "hold", "reason": call.question}


def cancel_task(task_run: str, reason: str, by: str) -> Told:
    """End a run, whoever works on it. One that is over stays as it is."""
    settings = Settings.from_env(os.environ)
    with _desk(settings) as desk:
        run = desk.find(task_run)
        if run.status.phase.is_terminal:
            return told(run, desk)
        desk.cancel(task_run, reason=reason, by=by)
        try:
            run = run_logged(run, settings=settings, env=os.environ)
        except RunHeldError:
            run = desk.find(task_run)
        return told(run, desk)


@contextmanager
def _desk(settings: Settings, *, access: "Access | None" = None) -> Iterator[TaskDesk]:
    with closing(open_store(settings, access=access)) as store:
        yield TaskDesk(store=store, clock=SystemClock())


def _awaited(desk: TaskDesk, name: str, key: str) -> CallStatus | None:
    run = desk.find(name)
    return next((call for call in desk.unanswered(run) if call.key == key), None)


def told(run: TaskRun, desk: TaskDesk, *, waits_for: str | None = None) -> Told:
    """Write down what people look at of a run, and what tells a task whether to wait.

    Args:
        run: As it was read.
        desk: Where the questions of the agents that it asked are found.
        waits_for: For whom it waits, if its record does not say that.
    """
    status = run.status
    usage = status.usage
    return {
        "name": run.metadata.name,
        "phase": status.phase.value,
        "status": status.status.value,
        "reason": status.error or status.status_detail,
        "output": status.output,
        "refused": status.refused,
        "waits_for": _waits_for(run) if waits_for is None else waits_for,
        "questions": [_question(asking, call) for asking, call in desk.questions(run)],
        "trace_id": status.trace_id,
        "span_id": status.span_id,
        "run_id": status.progress.run_id,
        "bundle": status.progress.bundle,
        "usage": usage.model_dump(mode="json", by_alias=False),
        "started_at": _iso(status.start_time),
        "completed_at": _iso(status.completion_time),
    }


def _waits_for(run: TaskRun) -> str:
    if run.status.phase.is_terminal:
        return ""
    if waits_for_a_person(run):
        return "person"
    return "agent" if run.status.phase is Phase.PENDING else "process"


def _question(run: TaskRun, call: CallStatus) -> Told:
    fitting = [label for word, label in OPTIONS.items() if word in FITTING[call.need]]
    return {
        "run": run.metadata.name,
        "agent": run.spec.agent_ref or f"task/{run.spec.task_ref}",
        "key": call.key,
        "tool": call.name,
        "need": call.need.value,
        "question": call.question,
        "arguments": call.arguments,
        "options": list(fitting),
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds")
