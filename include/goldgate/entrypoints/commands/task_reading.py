"""`goldgate task get|describe|events|logs|wait`: what is known of runs. Nothing is changed."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import click

from goldgate.adapters.system_clock import SystemClock
from goldgate.contracts.cluster import RUN_LABEL
from goldgate.contracts.task_runs import TaskRun
from goldgate.domain.errors import TransientError
from goldgate.domain.runs.state import Phase
from goldgate.entrypoints.commands.common import ExitCode, command_with
from goldgate.entrypoints.commands.namespaces import task_program
from goldgate.entrypoints.commands.task_common import (
    Duration,
    RunName,
    desk_of,
    tell_run,
    tell_runs,
    where_runs_are,
)
from goldgate.entrypoints.commands.task_pods import pods_of, tell_pod_logs
from goldgate.entrypoints.display import Screen, printable
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.task_desk import Found, TaskDesk, waits_for_a_person
from goldgate.entrypoints.task_log import log_path
from goldgate.entrypoints.task_tables import born, events_table, run_text, runs_table

_LOOK_EVERY_S: Final = 0.5
_PHASES: Final = {phase.value.lower(): phase for phase in Phase}


@click.command()
@click.argument("names", nargs=-1, type=RunName())
@click.option(
    "--phase",
    "phases",
    multiple=True,
    type=click.Choice([phase.value for phase in Phase], case_sensitive=False),
    help="Only runs in this phase; may be given several times.",
)
@click.option("--agent", default=None, help="Only runs of this agent.")
@click.option("--sort-by", type=click.Choice(["name", "age"]), default="name", show_default=True)
@click.option("-w", "--watch", is_flag=True, help="Go on showing each run that changes, until Ctrl-C.")
@command_with("table", "wide", "json", "yaml", "name")
def get(
    names: tuple[str, ...],
    phases: tuple[str, ...],
    agent: str | None,
    sort_by: str,
    *,
    watch: bool,
    screen: Screen,
    settings: Settings,
) -> ExitCode:
    """Show all runs, or those of the given NAMES."""
    if watch and screen.form not in {"table", "wide"}:
        raise click.UsageError(f"Found `-o {screen.form}` with --watch; expected table or wide, which go line by line.")
    desk = desk_of(settings, goes_on_looking=watch)

    def look() -> Found:
        if names:
            return desk.find_named(names)
        return desk.find_all(phases=[_PHASES[phase.lower()] for phase in phases], agent=agent)

    found = look()
    ordered = sorted(found.runs, key=_born) if sort_by == "age" else found.runs
    if ordered or not names:
        tell_runs(screen, ordered, as_list=len(names) != 1, empty=f"No TaskRuns in {where_runs_are(settings)}.")
    code = _tell_problems(screen, found)
    if watch:
        show_changes(screen, found.runs, lambda: look().runs)
    return code


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True, type=RunName())
@click.option("--full", is_flag=True, help="Show the whole conversation.")
@command_with("table", "json", "yaml")
def describe(names: tuple[str, ...], *, full: bool, screen: Screen, settings: Settings) -> ExitCode:
    """Show all that is known of each run NAME, and what it asks of a person."""
    desk = desk_of(settings)
    found = desk.find_named(names)
    if screen.form in {"json", "yaml"} and found.runs:
        tell_runs(screen, found.runs, as_list=len(names) != 1, empty="")
    elif found.runs:
        now = SystemClock().now()
        texts = (run_text(run, now=now, full=full, below=desk.below(run), program=task_program()) for run in found.runs)
        screen.result(None, "\n\n\n".join(texts))
    return _tell_problems(screen, found)


@click.command()
@click.argument("name", type=RunName())
@command_with("table", "json", "yaml")
def events(name: str, *, screen: Screen, settings: Settings) -> None:
    """Show what happened to the run NAME, oldest first."""
    found = desk_of(settings).find(name).status.events
    screen.result(found, events_table(found, now=SystemClock().now()) if found else f"No events of {name}.")


@click.command()
@click.argument("name", type=RunName())
@click.option("-f", "--follow", is_flag=True, help="Go on until the run is over, or waits for a person.")
@command_with("table")
def logs(name: str, *, follow: bool, screen: Screen, settings: Settings) -> None:
    """Show what the processes, or the pods, of the run NAME said, as JSON lines."""
    desk = desk_of(settings, goes_on_looking=follow)
    run, path = desk.find(name), log_path(settings, name)
    if settings.cluster and tell_pod_logs(run, follow=follow, screen=screen, settings=settings):
        return
    if not path.exists() and not follow:
        screen.progress(f"No log of {name} in {path}: no process of this machine worked on it, or it was removed.")
        if settings.cluster:
            pods = ", ".join(pods_of(run)) or "none so far"
            screen.progress(
                f"Its pods in namespace {settings.namespace}: {pods}. What pods said goes with them, unless the "
                f"cluster collects it; `keep: always` in PodSettings keeps them. By hand: kubectl -n "
                f"{settings.namespace} logs -l {RUN_LABEL}={name}"
            )
        return
    at = _tell_from(path, 0, screen)
    while follow and not _rests(desk.find(name)):
        time.sleep(_LOOK_EVERY_S)
        at = _tell_from(path, at, screen)
    if follow:
        _tell_from(path, at, screen)


@click.command()
@click.argument("name", type=RunName())
@click.option("--timeout", type=Duration(), default="30s", show_default=True, help="How long.")
@command_with("table", "wide", "json", "yaml", "name")
def wait(name: str, timeout: float, *, screen: Screen, settings: Settings) -> ExitCode:
    """Wait until the run NAME is over, or waits for a person. Works on nothing itself."""
    desk = desk_of(settings, goes_on_looking=True)
    run = await_rest(desk, name, within_s=timeout)
    if not _rests(run):
        stands = f"{run.status.phase.value} ({run.status.status_detail})"
        raise TransientError(f"TaskRun `{name}` is still in phase {stands} after {timeout:g} s.")
    return tell_run(screen, run)


def await_rest(
    desk: TaskDesk, name: str, *, within_s: float, rests: Callable[[TaskRun], bool] | None = None
) -> TaskRun:
    """Look at a run until it rests, at most so long; return it as it was seen last."""
    give_up_at = time.monotonic() + within_s
    while True:
        run = desk.find(name)
        if (rests or _rests)(run) or time.monotonic() >= give_up_at:
            return run
        time.sleep(min(_LOOK_EVERY_S, max(give_up_at - time.monotonic(), 0)))


def changed(before: Sequence[TaskRun], now: Sequence[TaskRun]) -> list[TaskRun]:
    """Name the runs that are new, or recorded anew."""
    known = {run.metadata.name: run.status for run in before}
    return [run for run in now if known.get(run.metadata.name) != run.status]


def _tell_problems(screen: Screen, found: Found) -> ExitCode:
    for problem in found.problems:
        screen.progress(f"error: {problem}")
    return ExitCode.IMPOSSIBLE if found.problems else ExitCode.DONE


def show_changes(screen: Screen, runs: Sequence[TaskRun], look: Callable[[], Sequence[TaskRun]]) -> None:
    """Show each run that changes, until interrupted. Columns are named once, at the top, as kubectl does."""
    are_named = bool(runs)
    while True:
        time.sleep(_LOOK_EVERY_S)
        now = look()
        if rows := changed(runs, now):
            table = runs_table(rows, now=SystemClock().now(), wide=screen.form == "wide")
            screen.result(None, table.partition("\n")[2] if are_named else table)
            are_named = True
        runs = now


def _rests(run: TaskRun) -> bool:
    return run.status.phase.is_terminal or waits_for_a_person(run)


def _born(run: TaskRun) -> tuple[float, str]:
    at = born(run)
    return (0.0 if at is None else at.timestamp(), run.metadata.name)


def _tell_from(path: Path, at: int, screen: Screen) -> int:
    """Show whole lines from a byte on; return where the next one begins."""
    if not path.exists():
        return at
    with path.open("rb") as file:
        file.seek(at)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    if whole:
        screen.result(None, printable(whole.decode(errors="replace")).rstrip("\n"))
    return at + len(whole)
