"""`goldgate evaluate`, `goldgate judge`, `goldgate ci`: what would come of a release, moving nothing."""

import getpass

import click
from rich.table import Table

from goldgate.contracts.release import Evaluation, Judgement
from goldgate.entrypoints.commands.common import ExitCode, command, exit_code_of, known_order, new_id
from goldgate.entrypoints.display import Screen, figure_text, gates_table, progress_of_rows, table
from goldgate.entrypoints.playbook import Playbook
from goldgate.entrypoints.rehearsal import rehearse, rehearse_evaluation
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.wiring import Wiring

SOURCE_HELP = "A folder, or git:REF. Default: the agents folder as it lies."


@click.command()
@click.argument("agent_name", metavar="AGENT")
@click.option("--source", default="", help=SOURCE_HELP)
@command
def evaluate(agent_name: str, source: str, *, screen: Screen, settings: Settings) -> None:
    """Check AGENT and run its gold set, beside the champion if there is one.

    Prints the figures and an id for `goldgate judge`.
    """
    rehearsal_id = new_id(f"rehearsal-{agent_name}")
    evaluation = rehearse_evaluation(
        Playbook(Wiring(settings)),
        agent_name,
        source=source,
        by=getpass.getuser(),
        rehearsal_id=rehearsal_id,
        on_row=progress_of_rows(screen),
    )
    screen.result(
        {"id": rehearsal_id, "evaluation": evaluation},
        _figures(evaluation),
        f"Next: goldgate judge {rehearsal_id}",
    )


@click.command()
@click.argument("evaluation_id", metavar="ID")
@command
def judge(evaluation_id: str, *, screen: Screen, settings: Settings) -> ExitCode:
    """Hold an evaluation to the gates of its policy. ID is that of an evaluation or of a release.

    Ends with 0 PASS, 1 FAIL, 3 UNDECIDED.
    """
    playbook = Playbook(Wiring(settings))
    known_order(playbook.wiring.store, evaluation_id)
    judgement = playbook.judge(evaluation_id)
    return _tell(judgement, screen, {"id": evaluation_id, "judgement": judgement})


@click.command()
@click.argument("agent_name", metavar="AGENT")
@click.option("--source", default="", help=SOURCE_HELP)
@command
def ci(agent_name: str, source: str, *, screen: Screen, settings: Settings) -> ExitCode:
    """Check, evaluate, build and judge AGENT, as CI does on a pull request.

    It moves nothing: no version is made, no alias changes. The ledger notes what was found.

    Ends with 0 PASS, 1 FAIL, 3 UNDECIDED, 5 a contract is broken.
    """
    done = rehearse(
        Playbook(Wiring(settings)),
        agent_name,
        source=source,
        by=getpass.getuser(),
        rehearsal_id=new_id(f"ci-{agent_name}"),
        on_row=progress_of_rows(screen),
    )
    value = {"evaluation": done.evaluation, "build": done.build, "judgement": done.judgement}
    if screen.form == "table":
        screen.result(None, _figures(done.evaluation))
    return _tell(done.judgement, screen, value)


def _tell(judgement: Judgement, screen: Screen, value: object) -> ExitCode:
    screen.result(value, gates_table(judgement.gates), f"{judgement.verdict.name}  report: {judgement.report_url}")
    return exit_code_of(judgement.verdict)


def _figures(evaluation: Evaluation) -> Table:
    champion = evaluation.champion.figures if evaluation.champion else {}
    rows = [
        (metric, figure_text(metric, figure), figure_text(metric, champion[metric]) if metric in champion else "none")
        for metric, figure in sorted(evaluation.candidate.figures.items())
    ]
    return table("Figures", ("metric", "candidate", "champion"), rows)
