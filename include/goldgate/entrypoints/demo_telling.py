"""One line of progress for a task that changed its state."""

from collections.abc import Callable, Mapping
from typing import Any, Final

Result = Mapping[str, Any]

_LENGTH: Final = 170
"""Characters of a line. The whole text is in the records."""

_LONG: Final[Mapping[str, str]] = {
    "evaluate": "asking the gold set",
    "build": "logging the model, building the image of the runtime (once for each runtime)",
}
"""Tasks that one waits for, and what they do meanwhile."""


def telling(task: str, state: str | None, result: object, *, seconds: float | None) -> str:
    """Say what happened to a task; empty for a state that nobody waits for.

    Args:
        task: Id of the task.
        state: Its new state.
        result: What it returned, if it did.
        seconds: How long it ran, if it ended.
    """
    match state:
        case "success" | "failed":
            told = _TELLERS.get(task, _nothing)(result) if isinstance(result, Mapping) else ""
            return f"{task:<9} {seconds or 0:6.1f} s  {in_short(told or state)}"
        case "skipped":
            return f"{task:<9}           skipped"
        case "up_for_retry":
            return f"{task:<9}           failed, will be tried again"
        case "running" if task in _LONG:
            return f"{task:<9}           {_LONG[task]}"
        case "deferred":
            return f"{task:<9}           waiting for live traffic, without a worker"
        case _:
            return ""


def in_short(text: str) -> str:
    """Bring a text onto one line, and cut it where nobody reads on."""
    line = " ".join(text.split())
    return line if len(line) <= _LENGTH else f"{line[: _LENGTH - 1]}…"


def _nothing(_: Result) -> str:
    return ""


def _evaluate(result: Result) -> str:
    figures = result.get("figures") or {}
    beside = result.get("champion_version")
    told = ", ".join(f"{name} {value:.4g}" for name, value in sorted(figures.items()))
    return f"{told}; {f'beside champion {beside}' if beside else 'no champion yet'}"


def _judge(result: Result) -> str:
    held = [gate for gate, verdict in (result.get("gates") or {}).items() if verdict != "pass"]
    broken = len(result.get("broken_rows") or [])
    rows = f"; {broken} rows broken that the champion gets right" if broken else ""
    return f"{str(result.get('verdict')).upper()}{': ' if held else ''}{', '.join(held)}{rows}"


def _build(result: Result) -> str:
    image = result.get("image") or {}
    return str(image.get("reference") or f"no image: {image.get('reason')}")


def _outcome(result: Result) -> str:
    return f"{result.get('outcome')}: {result.get('reason')}"


_TELLERS: Mapping[str, Callable[[Result], str]] = {
    "check": lambda result: f"{result.get('rows')} gold rows, bundle {str(result.get('bundle_digest'))[:12]}",
    "evaluate": _evaluate,
    "build": _build,
    "judge": _judge,
    "register": lambda result: f"version {result.get('version')}",
    "canary": _outcome,
    "promote": _outcome,
    "close": _outcome,
    "rollback": _outcome,
}
