"""`goldgate release ...`: the playbook without Airflow."""

import getpass
import time
from datetime import UTC, datetime

import click
from rich.table import Table

from goldgate.contracts.documents import parse
from goldgate.contracts.release import (
    Build,
    CanaryRecord,
    Candidate,
    Closing,
    Evaluation,
    ImageBuilt,
    Judgement,
    Promotion,
    Registration,
    ReleaseOrder,
)
from goldgate.domain.digest import short
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.commands.common import ExitCode, command, exit_code_of, known_order, new_id
from goldgate.entrypoints.display import Screen, gates_table, progress_of_rows, table
from goldgate.entrypoints.playbook import Playbook
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.wiring import Wiring

RECORDS = (Candidate, Evaluation, Build, Judgement, Registration, CanaryRecord, Promotion, Closing)


@click.group()
def release() -> None:
    """Release an agent, and look at releases."""


@release.command()
@click.argument("agent")
@click.option("--reason", required=True, help="Why this release: it stands in the ledger.")
@click.option("--source", default="", help="A folder, or git:REF. Default: the agents folder as it lies.")
@click.option("--release-id", default=None, help="Go on with this release instead of a new one.")
@command
def run(
    agent: str, reason: str, source: str, release_id: str | None, *, screen: Screen, settings: Settings
) -> ExitCode:
    """Carry AGENT through the whole playbook, and wait for its end.

    Ends with 0 promoted, 1 failed a gate, 3 undecided, 4 aborted in the canary, 5 impossible, 75 try again.
    """
    playbook = Playbook(Wiring(settings))
    asked = {
        "release_id": release_id or new_id(agent),
        "agent": agent,
        "source": source,
        "reason": reason,
        "by": getpass.getuser(),
        "opened_at": datetime.now(UTC),
    }
    order = parse(asked, ReleaseOrder, where="the command line")
    order = playbook.open(order)
    screen.progress(f"release {order.release_id}")
    try:
        failed_step = _walk(playbook, order.release_id, screen)
    except TransientError:
        screen.progress(
            f"The release stays open. Go on with `--release-id {order.release_id}`, "
            f"or end it with `goldgate release close {order.release_id}`."
        )
        raise
    except PermanentError:
        screen.result(playbook.close(order.release_id))
        raise
    closing = playbook.close(order.release_id, failed_step=failed_step)
    _show(playbook, order.release_id, screen)
    return _exit_code(playbook, order.release_id, closing)


def _walk(playbook: Playbook, release_id: str, screen: Screen) -> str | None:
    """Take the steps in order; returns the step that said no, or None at the end of the road."""
    started = time.monotonic()

    def told(step: str, text: str) -> None:
        screen.progress(f"{time.monotonic() - started:6.1f} s  {step:<9} {text}")

    candidate = playbook.check(release_id)
    told("check", f"bundle {short(candidate.bundle_digest)}, {candidate.rows} gold rows")
    evaluation = playbook.evaluate(release_id, on_row=progress_of_rows(screen))
    quality = evaluation.candidate.figures.get("quality")
    told("evaluate", f"quality {quality.value:.3f}" if quality else "quality unmeasured")
    image = playbook.build(release_id).image
    told(
        "build",
        f"image {short(image.digest.removeprefix('sha256:'))}" if isinstance(image, ImageBuilt) else image.reason,
    )
    judgement = playbook.judge(release_id)
    told("judge", judgement.verdict.name)
    if not judgement.verdict.lets_through:
        return "judge"
    told("register", f"version {playbook.register(release_id).version}")
    canary = playbook.run_canary(release_id, on_look=lambda text: told("canary", text))
    told("canary", f"{canary.outcome}: {canary.reason}")
    if canary.outcome not in {"passed", "skipped"}:
        return "canary"
    promotion = playbook.promote(release_id)
    told("promote", f"{promotion.outcome}: {promotion.reason}")
    return None if promotion.outcome == "promoted" else "promote"


def _exit_code(playbook: Playbook, release_id: str, closing: Closing) -> ExitCode:
    match closing.outcome:
        case "promoted":
            return ExitCode.DONE
        case "blocked":
            judgement = playbook.wiring.store.read(release_id, Judgement)
            return exit_code_of(judgement.verdict) if judgement else ExitCode.FAILED_GATE
        case "aborted":
            canary = playbook.wiring.store.read(release_id, CanaryRecord)
            return ExitCode.UNDECIDED if canary and canary.outcome == "undecided" else ExitCode.ABORTED
        case "failed":
            return ExitCode.IMPOSSIBLE


@release.command("list")
@command
def list_releases(*, screen: Screen, settings: Settings) -> None:
    """Show all releases, newest first. What `goldgate ci` and the nightly evaluation rehearsed is left out."""
    store = Wiring(settings).store
    rows = []
    for release_id in store.release_ids():
        try:
            order, closing = store.read(release_id, ReleaseOrder), store.read(release_id, Closing)
        except PermanentError as error:
            rows.append(_listed(release_id, None, outcome="damaged", reason=str(error)))
            continue
        if order is None or order.kind != "rehearsal":
            reason = closing.reason if closing else (order.reason if order else "?")
            rows.append(_listed(release_id, order, outcome=closing.outcome if closing else "open", reason=reason))
    columns = ("release", "agent", "opened", "outcome", "reason")
    shown = table("", columns, [list(row.values()) for row in rows], whole={"release"})
    screen.result(rows, shown if rows else "No release yet.")


def _listed(release_id: str, order: ReleaseOrder | None, *, outcome: str, reason: str) -> dict[str, str]:
    return {
        "release_id": release_id,
        "agent": order.agent if order else "?",
        "opened_at": order.opened_at.isoformat(timespec="seconds") if order else "?",
        "outcome": outcome,
        "reason": reason,
    }


@release.command()
@click.argument("release_id")
@command
def show(release_id: str, *, screen: Screen, settings: Settings) -> None:
    """Show all records of one release."""
    playbook = Playbook(Wiring(settings))
    known_order(playbook.wiring.store, release_id)
    _show(playbook, release_id, screen)


@release.command()
@click.argument("release_id")
@command
def close(release_id: str, *, screen: Screen, settings: Settings) -> None:
    """End a release that was left open: its canary ends, and its agent may be released again."""
    closing = Playbook(Wiring(settings)).close(release_id, failed_step=None)
    screen.result(closing, f"{closing.outcome} at {closing.step}: {closing.reason}")


def _show(playbook: Playbook, release_id: str, screen: Screen) -> None:
    store = playbook.wiring.store
    records = {kind.__name__.lower(): store.read(release_id, kind) for kind in (ReleaseOrder, *RECORDS)}
    shown: list[Table | str] = []
    judgement = records["judgement"]
    if isinstance(judgement, Judgement):
        shown.append(gates_table(judgement.gates))
        if judgement.broken_rows:
            broken = [(row.row_id, row.question, "; ".join(row.failures)) for row in judgement.broken_rows[:10]]
            shown.append(table(f"Broken rows ({len(judgement.broken_rows)})", ("row", "question", "why"), broken))
        shown.append(f"report: {judgement.report_url}")
    closing = records["closing"]
    if isinstance(closing, Closing):
        shown.append(f"{closing.outcome} at {closing.step}: {closing.reason} (champion: {closing.champion or 'none'})")
    else:
        shown.append(_unclosed(records["releaseorder"]))
    screen.result(records, *shown)


def _unclosed(order: object) -> str:
    if isinstance(order, ReleaseOrder) and order.kind == "rehearsal":
        return "a rehearsal: judged as a release is, and nothing moves"
    return "still open"
