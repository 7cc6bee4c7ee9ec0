"""`goldgate task ...`: TaskRuns as processes of this machine or as pods of a cluster, in the manner of `kubectl`."""

import os
import secrets
import subprocess
import sys
from contextlib import closing
from typing import Any

import click

from goldgate.adapters.system_clock import SystemClock
from goldgate.contracts.documents import parse
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import TaskRun, TaskRunSpec
from goldgate.entrypoints.commands.common import ExitCode, command_with
from goldgate.entrypoints.commands.namespaces import InNamespace, task_program
from goldgate.entrypoints.commands.task_acting import answer, cancel, go_on, prune, resume
from goldgate.entrypoints.commands.task_common import (
    Duration,
    RunName,
    code_of,
    tell_run,
    tell_runs,
)
from goldgate.entrypoints.commands.task_files import read_runs
from goldgate.entrypoints.commands.task_pods import begin_in_pod, tended_here, works_in_pods
from goldgate.entrypoints.commands.task_reading import describe, events, get, logs, wait
from goldgate.entrypoints.display import Screen
from goldgate.entrypoints.run_store import open_store
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.task_log import log_path

_RESUME = (sys.executable, "-m", "goldgate.entrypoints.cli", "task", "resume")
_LONGEST_NAME = 63
_WHERE = "the command line"
_BACKGROUND_WAITS_S = 86_400.0
"""Nobody sits before a run in the background: it goes on by itself when its agent is ready."""
_ASKED = {
    "task_ref": "taskRef",
    "agent_name": "agentRef",
    "message": "userMessage",
    "deadline": "deadlineSeconds",
}
_LIMITS = {
    "max_steps": "maxSteps",
    "timeout": "timeoutSeconds",
    "max_tokens": "maxTokens",
    "max_cost_usd": "maxCostUsd",
}


@click.group(cls=InNamespace)
def task() -> None:
    """Run agents on one message, and look after the runs.

    \b
    goldgate task run airflow-helper "How many task instances can run at once per scheduler?"
    goldgate task get                              all runs; -o wide, json, yaml, name
    goldgate task describe NAME                    all that is known of one
    goldgate task answer NAME --approve            say what a run waits for
    goldgate task cancel NAME --reason "not needed"

    Exit codes: 0 answered, 1 failed, 2 wrong usage, 5 impossible as it is, 6 waits for a person, 70 a defect,
    75 not now (another process works on the run, or its agent is not ready), 130 interrupted.
    """  # noqa: D301 - a real backspace, by which click keeps the lines below it as they are


@task.command()
@click.argument("agent_name", metavar="[AGENT]", required=False)
@click.argument("message", required=False)
@click.option("--task", "task_ref", default=None, help="A Task that holds agent and message.")
@click.option("-f", "--filename", default=None, help="A file of TaskRuns in YAML; `-` for standard input.")
@click.option("--name", type=RunName(), default=None, help="Name of the run. The same name and spec: the same run.")
@click.option("--deadline", type=Duration(), default=None, help="It must be over by then, waiting included.")
@click.option("--max-steps", type=int, default=None, help="Replies of the model.")
@click.option("--max-tokens", type=int, default=None, help="Tokens read and written.")
@click.option("--max-cost-usd", type=float, default=None, help="Money.")
@click.option("--timeout", type=Duration(), default=None, help="Time worked, over all processes.")
@click.option(
    "--wait-for-agent",
    type=Duration(),
    default=None,
    help="How long to wait for an agent that is not ready: not at all if not given, a day with --no-wait.",
)
@click.option("--no-wait", is_flag=True, help="Work on it in the background; say its name at once.")
@command_with("table", "wide", "json", "yaml", "name")
def run(
    filename: str | None,
    name: str | None,
    wait_for_agent: float | None,
    *,
    no_wait: bool,
    screen: Screen,
    settings: Settings,
    **asked: Any,
) -> ExitCode:
    """Ask AGENT one MESSAGE, or run a Task by its name, or the TaskRuns of a file one after the other."""
    given = {option: value for option, value in asked.items() if value is not None}
    if filename is not None:
        if given or name is not None:
            raise click.UsageError("With -f everything stands in the file; leave the other arguments away.")
        runs = read_runs(filename, namespace=settings.namespace if settings.cluster else None)
    else:
        runs = [_asked(given, name=name)]
    runs = [_dated(one) for one in runs]
    if no_wait:
        for one in runs:
            if works_in_pods(settings):
                tell_runs(screen, [begin_in_pod(one, settings=settings, screen=screen)], as_list=False, empty="")
                continue
            waits_s = _BACKGROUND_WAITS_S if wait_for_agent is None else wait_for_agent
            _begin_in_background(one, settings=settings, wait_for_agent_s=waits_s, screen=screen)
        return ExitCode.DONE
    done = []
    for one in runs:
        screen.progress(f"taskrun {one.metadata.name}")
        done.append(go_on(one, settings=settings, screen=screen, wait_for_agent_s=wait_for_agent or 0.0))
    return _tell(screen, done)


def _asked(given: dict[str, Any], *, name: str | None) -> TaskRun:
    spec: dict[str, Any] = {_ASKED[option]: value for option, value in given.items() if option in _ASKED}
    if limits := {_LIMITS[option]: value for option, value in given.items() if option in _LIMITS}:
        spec["limits"] = limits
    of = str(spec.get("agentRef") or spec.get("taskRef") or "")
    suffix = secrets.token_hex(4)
    label = name or f"{of[: _LONGEST_NAME - len(suffix) - 1].rstrip('-')}-{suffix}"
    checked = parse(spec, TaskRunSpec, where=_WHERE)
    metadata = parse({"name": label}, Metadata, where=_WHERE)
    return TaskRun(kind="TaskRun", metadata=metadata, spec=checked)


def _dated(run: TaskRun) -> TaskRun:
    """Say when a run was made. Where a cluster keeps it, its server says so instead."""
    born = run.metadata.model_copy(update={"creation_timestamp": SystemClock().now()})
    return run.model_copy(update={"metadata": born})


def _begin_in_background(run: TaskRun, *, settings: Settings, wait_for_agent_s: float, screen: Screen) -> None:
    name = run.metadata.name
    with closing(open_store(settings)) as store:
        created = store.create(tended_here(run, settings=settings))
    if not created.status.phase.is_terminal:
        path = log_path(settings, name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("ab") as log:
            # A session of its own: it outlives this shell, and its Ctrl-C.
            subprocess.Popen(  # noqa: S603 - our own program, and a name that its contract has checked
                [*_RESUME, name, "--wait-for-agent", f"{wait_for_agent_s:g}s"],
                env={**os.environ, **settings.as_env()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    screen.progress(f"Works in the background: {task_program()} wait {name}")
    tell_runs(screen, [created], as_list=False, empty="")


def _tell(screen: Screen, done: list[TaskRun]) -> ExitCode:
    if len(done) == 1:
        return tell_run(screen, done[0])
    if screen.form in {"json", "yaml", "wide", "name"}:
        tell_runs(screen, done, as_list=True, empty="")
        codes = [code_of(one) for one in done]
    else:
        codes = [tell_run(screen, one) for one in done]
    return next((code for code in codes if code is not ExitCode.DONE), ExitCode.DONE)


for part in (get, describe, events, logs, wait, answer, cancel, resume, prune):
    task.add_command(part)
