"""Steps of TaskRuns that answer from a script: what an operator finds behind its `run_tasks` argument.

A test registers a script under a run's name; each call takes the next answer of its step, and an exception is raised.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any

MODULE = __name__
CLUSTER = "the cluster"
"""Under this name stands the script of the steps that are about no single run."""

_scripts: dict[str, dict[str, list[Any]]] = {}
_calls: defaultdict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)


def script(task_run: str, **answers: list[Any]) -> None:
    """Say what each step of a run answers, call by call."""
    _scripts[task_run] = {step: list(given) for step, given in answers.items()}
    _calls[task_run].clear()


def calls(task_run: str) -> list[tuple[str, dict[str, Any]]]:
    """Every call so far: step and its other arguments."""
    return _calls[task_run]


def told(phase: str = "FinalAnswer", **given: Any) -> dict[str, Any]:
    """What `run_task` tells of a run that answered, unless told otherwise."""
    waits = {"waits_for": "", "questions": [], "reason": "Answered", "output": "Yes."}
    return {"name": "run", "phase": phase, **waits, **given}


def _answer(step: str, task_run: str, **arguments: Any) -> Any:
    _calls[task_run].append((step, arguments))
    answer = _scripts[task_run][step].pop(0)
    if callable(answer):
        answer = answer(**arguments)
    if isinstance(answer, Exception):
        raise answer
    return answer


def run_task(task_run: str, **arguments: Any) -> Any:
    return _answer("run_task", task_run, **arguments)


def look_at_task(task_run: str, **arguments: Any) -> Any:
    return _answer("look_at_task", task_run, **arguments)


def answer_task(task_run: str, **arguments: Any) -> Any:
    return _answer("answer_task", task_run, **arguments)


def look_at_question(task_run: str, **arguments: Any) -> Any:
    return _answer("look_at_question", task_run, **arguments)


def cancel_task(task_run: str, **arguments: Any) -> Any:
    return _answer("cancel_task", task_run, **arguments)


def tend_task(task_run: str, *, on_made: Callable[[], None] = lambda: None, **arguments: Any) -> Any:
    """Make the run, if it may; or raise the answer's `then`, though it is made."""
    answer = _answer("tend_task", task_run, **arguments)
    if arguments.get("spec") is not None:
        on_made()
    if "then" in answer:
        raise answer["then"]
    return answer


async def watch_task(task_run: str, *, say: Callable[[str], None], **arguments: Any) -> Any:
    """After it lasted so long, say the lines of the answer's `says`, and give the rest of it; or raise its `then`."""
    answer = dict(_answer("watch_task", task_run, **arguments))
    await asyncio.sleep(answer.pop("lasts_s", 0))
    if "then" in answer:
        raise answer["then"]
    for line in answer.pop("says", ()):
        say(line)
    return answer


def applied_now(**arguments: Any) -> Any:
    return _answer("applied_now", CLUSTER, **arguments)


async def applied_runs(**arguments: Any) -> AsyncIterator[Any]:
    """Yield what the script says, one answer for each watch; an exception in it is raised when it is reached."""
    for found in _answer("applied_runs", CLUSTER, **arguments):
        if isinstance(found, Exception):
            raise found
        yield found
