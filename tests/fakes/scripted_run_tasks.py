"""Steps of TaskRuns that answer from a script: what an operator finds behind its `run_tasks` argument.

A test registers a script under a run's name; each call takes the next answer of its step, and an exception is raised.
"""

from collections import defaultdict
from typing import Any

MODULE = __name__

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
