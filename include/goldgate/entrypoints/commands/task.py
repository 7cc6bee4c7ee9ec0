"""`goldgate task ...`: one TaskRun as a process of this machine."""

import os

import click

from goldgate.contracts.documents import parse
from goldgate.contracts.task_runs import TaskRunSpec
from goldgate.domain.runs.state import Phase
from goldgate.entrypoints.commands.common import ExitCode, command
from goldgate.entrypoints.display import Screen
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.task_run import run_task


@click.group()
def task() -> None:
    """Run an agent on one message."""


@task.command()
@click.argument("agent_name", metavar="[AGENT]", required=False)
@click.argument("message", required=False)
@click.option("--task", "task_ref", default=None, help="A Task that holds agent and message.")
@command
def run(
    agent_name: str | None, message: str | None, task_ref: str | None, *, screen: Screen, settings: Settings
) -> ExitCode:
    """Ask AGENT one MESSAGE, or run a task by its name. Ends with 1 if the run failed."""
    asked = {"taskRef": task_ref, "agentRef": agent_name, "userMessage": message}
    given = {name: value for name, value in asked.items() if value is not None}
    spec = parse(given, TaskRunSpec, where="the command line")
    done = run_task(spec, settings=settings, env=os.environ)
    status = done.status
    text = status.output if status.phase is Phase.FINAL_ANSWER else f"{status.phase.value}: {status.error}"
    screen.progress(f"{done.metadata.name}  {status.phase.value}  trace {status.trace_id}")
    screen.result(done, text or "")
    return ExitCode.DONE if status.phase is Phase.FINAL_ANSWER else ExitCode.FAILED_GATE
