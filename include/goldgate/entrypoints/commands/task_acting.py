"""`goldgate task answer|cancel|resume|prune`: what people do with runs that are there."""

import getpass
import os
from datetime import timedelta

import click

from goldgate.adapters.system_clock import SystemClock
from goldgate.contracts.task_runs import TaskRun
from goldgate.domain.runs.events import Word
from goldgate.entrypoints.commands.common import ExitCode, command, command_with
from goldgate.entrypoints.commands.namespaces import task_program
from goldgate.entrypoints.commands.task_common import Duration, RunName, desk_of, tell_run
from goldgate.entrypoints.commands.task_pods import cancel_in_pods, run_in_pods, tended_here, works_in_pods
from goldgate.entrypoints.commands.task_reading import await_rest
from goldgate.entrypoints.display import Screen
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.task_desk import TaskDesk, refuse_if_over
from goldgate.entrypoints.task_log import log_path, run_logged
from goldgate.ports.task_runs import RunHeldError

_CANCEL_WITHIN_S = 10.0
"""How long to look whether the process that works on a run ends it: it looks for words many times a second."""


@click.command()
@click.argument("name", type=RunName())
@click.argument("call", required=False)
@click.option("--approve", is_flag=True, help="The call may be made; of a lost call: made again.")
@click.option("--deny", is_flag=True, help="The call is not made.")
@click.option("--text", default=None, help="The answer to a question; of a lost call: what it returned.")
@click.option("--reason", default="", help="Why it is refused: the model reads it.")
@click.option("--no-resume", is_flag=True, help="Leave the answer only; somebody else goes on with the run.")
@command_with("table", "wide", "json", "yaml", "name")
def answer(
    name: str,
    call: str | None,
    *,
    approve: bool,
    deny: bool,
    text: str | None,
    reason: str,
    no_resume: bool,
    screen: Screen,
    settings: Settings,
) -> ExitCode:
    """Answer what the run NAME asks, and go on with it. CALL is needed if it asks several things."""
    if approve + deny + (text is not None) != 1:
        raise click.UsageError("Give exactly one of --approve, --deny and --text.")
    if reason and not deny:
        raise click.UsageError("--reason goes with --deny.")
    word = Word.APPROVE if approve else Word.DENY if deny else Word.ANSWER
    desk = desk_of(settings)
    said = desk.answer(name, call=call, word=word, text=text or reason, by=getpass.getuser())
    screen.progress(f"{said.by}: {said.word.value} {said.call_key}")
    if no_resume:
        screen.result(desk.find(name), f"Goes on with: {task_program()} resume {name}")
        return ExitCode.DONE
    try:
        run = go_on(desk.find(name), settings=settings, screen=screen)
        while run.status.phase.is_terminal and (caller := desk.above(run)) is not None:
            screen.progress(f"{run.metadata.name}  {run.status.phase.value}; {caller.metadata.name} goes on")
            run = go_on(caller, settings=settings, screen=screen)
        return tell_run(screen, run)
    except RunHeldError as error:
        screen.progress(f"The process that works on it takes the answer: {error}")
        return ExitCode.DONE


@click.command()
@click.argument("name", type=RunName())
@click.option("--reason", default="", help="Why: it stands in the record.")
@command_with("table", "wide", "json", "yaml", "name")
def cancel(name: str, reason: str, *, screen: Screen, settings: Settings) -> ExitCode:
    """End the run NAME, whether or not a process works on it."""
    run = _cancelled(desk_of(settings), name, reason=reason, screen=screen, settings=settings)
    code = tell_run(screen, run)
    if run.status.phase.is_terminal:
        return ExitCode.DONE
    screen.progress("The order is left for the process that works on it, which has not taken it yet.")
    return ExitCode.TRY_AGAIN if code is not ExitCode.WAITING else code


@click.command()
@click.argument("name", type=RunName())
@click.option(
    "--wait-for-agent", type=Duration(), default="0s", show_default=True, help="How long for a missing agent."
)
@command_with("table", "wide", "json", "yaml", "name")
def resume(name: str, wait_for_agent: float, *, screen: Screen, settings: Settings) -> ExitCode:
    """Go on with the run NAME, wherever it was left. One that is over is shown."""
    run = desk_of(settings).find(name)
    if run.status.phase.is_terminal:
        return tell_run(screen, run)
    return tell_run(screen, go_on(run, settings=settings, screen=screen, wait_for_agent_s=wait_for_agent))


@click.command()
@click.option("--older-than", type=Duration(), required=True, help="Since their end, such as 30d.")
@click.option("--dry-run", is_flag=True, help="Only say which.")
@command
def prune(older_than: float, *, dry_run: bool, screen: Screen, settings: Settings) -> ExitCode:
    """Remove runs that are over, with all that was recorded of them and their logs."""
    desk = desk_of(settings)
    found = desk.find_all()
    before = SystemClock().now() - timedelta(seconds=older_than)
    old = [run.metadata.name for run in found.runs if (at := run.status.completion_time) is not None and at < before]
    for name in old if not dry_run else ():
        desk.remove(name)
        log_path(settings, name).unlink(missing_ok=True)
    for problem in found.problems:
        screen.progress(f"error: {problem}")
    verb = "would be removed" if dry_run else "removed"
    screen.result({"removed": old, "dry_run": dry_run}, "\n".join([*old, f"{len(old)} TaskRuns {verb}."]))
    return ExitCode.IMPOSSIBLE if found.problems else ExitCode.DONE


def _cancelled(desk: TaskDesk, name: str, *, reason: str, screen: Screen, settings: Settings) -> TaskRun:
    if works_in_pods(settings):
        refuse_if_over(desk.find(name), wanted="cancelled")
        return cancel_in_pods(name, reason=reason, by=getpass.getuser(), settings=settings)
    desk.cancel(name, reason=reason, by=getpass.getuser())
    try:
        return go_on(desk.find(name), settings=settings, screen=screen)
    except RunHeldError:
        return await_rest(desk, name, within_s=_CANCEL_WITHIN_S, rests=lambda run: run.status.phase.is_terminal)


def go_on(run: TaskRun, *, settings: Settings, screen: Screen, wait_for_agent_s: float = 0.0) -> TaskRun:
    """Have a run worked on as far as it goes now: by pods where there are settings for them, else by this process."""
    if works_in_pods(settings):
        return run_in_pods(run, settings=settings, screen=screen, wait_for_agent_s=wait_for_agent_s)
    marked = tended_here(run, settings=settings)
    return run_logged(marked, settings=settings, env=os.environ, wait_for_agent_s=wait_for_agent_s)
