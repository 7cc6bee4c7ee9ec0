"""Steps of the playbook that answer from a script: what an operator finds behind its `playbook` argument.

A test registers a script under a release id; each call takes the next answer of its step: an exception is raised, and
a function is called.
"""

from collections import defaultdict
from typing import Any

MODULE = __name__

_scripts: dict[str, dict[str, list[Any]]] = {}
_calls: defaultdict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)


def script(release_id: str, **answers: list[Any]) -> None:
    """Say what each step of a release answers, call by call."""
    _scripts[release_id] = {step: list(given) for step, given in answers.items()}
    _calls[release_id].clear()


def calls(release_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Every call so far: step and its other arguments."""
    return _calls[release_id]


def _answer(step: str, release_id: str, **arguments: Any) -> Any:
    _calls[release_id].append((step, arguments))
    answer = _scripts[release_id][step].pop(0)
    if isinstance(answer, Exception):
        raise answer
    return answer() if callable(answer) else answer


def judge(release_id: str, **arguments: Any) -> Any:
    return _answer("judge", release_id, **arguments)


def forget_evaluation(release_id: str, **arguments: Any) -> Any:
    return _answer("forget_evaluation", release_id, **arguments)


def start_canary(release_id: str) -> Any:
    return _answer("start_canary", release_id)


def look_at_canary(release_id: str) -> Any:
    return _answer("look_at_canary", release_id)


def act_on_canary(release_id: str, decision: dict[str, Any]) -> Any:
    return _answer("act_on_canary", release_id, decision=decision)


def close(release_id: str, failed_step: str | None) -> Any:
    return _answer("close", release_id, failed_step=failed_step)


def rollback(release_id: str, **arguments: Any) -> Any:
    return _answer("rollback", release_id, **arguments)
