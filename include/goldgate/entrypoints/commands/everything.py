"""`goldgate`: the playbook and its parts, without Airflow."""

import click

from goldgate.entrypoints.commands.agents import agent, rollback, traffic
from goldgate.entrypoints.commands.image import image
from goldgate.entrypoints.commands.judging import ci, evaluate, judge
from goldgate.entrypoints.commands.ledger import ledger
from goldgate.entrypoints.commands.release import release
from goldgate.entrypoints.commands.serve import serve
from goldgate.entrypoints.commands.stack import demo, down, logs, status, up
from goldgate.entrypoints.commands.task import task


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="goldgate")
def goldgate() -> None:
    """Eval-gated releases for LLM agents.

    \b
    goldgate up                                  start everything on this machine
    goldgate agent validate airflow-helper       check an agent's contracts
    goldgate ci airflow-helper                   check, evaluate, build, judge; moves nothing
    goldgate release run airflow-helper --reason "better prompt"
    goldgate traffic airflow-helper              who serves now
    goldgate task run airflow-helper "How many task instances can run at once per scheduler?"
    goldgate agent apply airflow-helper          bring it into the cluster that GOLDGATE_CLUSTER names
    goldgate rollback airflow-helper --reason "..."
    goldgate ledger verify                       check the history

    Exit codes: 0 done, 1 a gate said FAIL, 2 wrong usage, 3 UNDECIDED, 4 aborted in the canary or superseded,
    5 impossible as it is, 6 a TaskRun waits for a person, 70 a defect, 75 try again later, 130 interrupted. Addresses
    and folders come from GOLDGATE_* variables: see include/docs/architecture.md.
    """  # noqa: D301 - a real backspace, by which click keeps the lines below it as they are


for part in (
    agent,
    ci,
    demo,
    down,
    evaluate,
    image,
    judge,
    ledger,
    logs,
    release,
    rollback,
    serve,
    status,
    task,
    traffic,
    up,
):
    goldgate.add_command(part)
