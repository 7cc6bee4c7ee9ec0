"""What the commands on TaskRuns share: how a run and a duration are named, what is told of a run, how it ends."""

import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import click

from goldgate.adapters.system_clock import SystemClock
from goldgate.contracts.base import API_VERSION
from goldgate.contracts.task_runs import TaskRun
from goldgate.domain.runs.state import Phase
from goldgate.entrypoints.commands.common import ExitCode
from goldgate.entrypoints.commands.namespaces import task_program
from goldgate.entrypoints.display import Screen, printable
from goldgate.entrypoints.run_store import open_store
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.task_desk import TaskDesk, waits_for_a_person
from goldgate.entrypoints.task_run import exit_code_of
from goldgate.entrypoints.task_tables import awaited_lines, runs_table

Plain: TypeAlias = dict[str, Any]

PEOPLE_WAIT_S: Final = 5.0
"""For an API server that does not answer: whoever sits before the screen wants to know, and may ask again."""

_UNITS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")


class Duration(click.ParamType[float, Any]):
    """A time as people write it: `90`, `90s`, `1m30s`, `2h`, `7d`. In seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        if isinstance(value, float | int):
            return float(value)
        text = str(value).strip()
        parts = _DURATION.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            self.fail(f"found `{value}`; expected a time such as 90s, 1m30s, 2h or 7d", param, ctx)
        return sum(float(number) * _UNITS[unit] for number, unit in parts)


class RunName(click.ParamType[str, Any]):
    """The name of a run, also as `-o name` writes it."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002 - click's signature
        """Leave the kind away."""
        kind, _, name = str(value).rpartition("/")
        return name if kind in {"", "taskrun", "taskruns", f"taskrun.{_GROUP}"} else str(value)


_GROUP: Final = API_VERSION.partition("/")[0]


def desk_of(settings: Settings, *, goes_on_looking: bool = False) -> TaskDesk:
    """Open the desk at which recorded runs are read and spoken to.

    Args:
        settings: Where the runs are.
        goes_on_looking: It is asked again and again, and outlives a restart of the API server.
    """
    store = open_store(settings, within_s=patience_s(goes_on_looking=goes_on_looking))
    return TaskDesk(store=store, clock=SystemClock(), where=where_runs_are(settings))


def patience_s(*, goes_on_looking: bool) -> float | None:
    """Tell how long an API server that does not answer is asked again; None: long enough for it to restart."""
    return None if goes_on_looking else PEOPLE_WAIT_S


def where_runs_are(settings: Settings) -> str:
    """Say where runs are looked for."""
    return f"namespace {settings.namespace}" if settings.cluster else str(settings.home / "taskruns")


def code_of(run: TaskRun) -> ExitCode:
    """Say how a run stands, as an exit code."""
    return ExitCode(exit_code_of(run))


def tell_run(screen: Screen, run: TaskRun, *, said_name: bool = False) -> ExitCode:
    """Show what became of a run, and give the exit code that says the same."""
    status, name = run.status, run.metadata.name
    if screen.form == "name":
        screen.result(run, name_line(run))
        return code_of(run)
    if screen.form == "wide":
        screen.result(run, runs_table([run], now=SystemClock().now(), wide=True))
        return code_of(run)
    if not said_name or not status.phase.is_terminal:
        screen.progress(f"{name}  {status.phase.value}  trace {status.trace_id or 'none'}")
    if status.phase is Phase.FINAL_ANSWER:
        screen.result(run, printable(status.output or ""))
    elif status.phase is Phase.FAILED:
        screen.result(run, f"{status.phase.value}: {printable(status.error or '')}")
    elif waits_for_a_person(run):
        screen.result(run, "\n".join(["Waiting for a person:", *awaited_lines(run, program=task_program())]))
    else:
        screen.result(
            run, f"{status.phase.value}: {printable(status.status_detail)}\nGo on: {task_program()} resume {name}"
        )
    return code_of(run)


def tell_runs(screen: Screen, runs: Sequence[TaskRun], *, as_list: bool, empty: str) -> None:
    """Show several runs, or the one that was asked for by name."""
    if screen.form == "name":
        screen.result(None, "\n".join(name_line(run) for run in runs)) if runs else screen.progress(empty)
        return
    if screen.form in {"json", "yaml"}:
        listed: Plain = {"apiVersion": API_VERSION, "kind": "TaskRunList", "items": list(runs)}
        screen.result(listed if as_list else runs[0])
        return
    if not runs:
        screen.progress(empty)
        return
    screen.result(None, runs_table(runs, now=SystemClock().now(), wide=screen.form == "wide"))


def name_line(run: TaskRun) -> str:
    """Name a run as `kubectl -o name` does."""
    return f"taskrun.{_GROUP}/{run.metadata.name}"
