"""The step `judge`: every gate of the policy on the evidence, and the records of what it said.

Deciding is pure. A results table that is not valid, or that stands on another basis than the policy or the champion's,
decides nothing: UNDECIDED, which blocks, with the reason.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from goldgate.contracts.evaluation import ResultRow
from goldgate.contracts.gold import GoldRow
from goldgate.contracts.policy import ReleasePolicy
from goldgate.contracts.release import Candidate, Evaluation, Judgement, ReleaseOrder
from goldgate.domain.verdict import worst
from goldgate.ports.delivery import ResultsValidator, Validation
from goldgate.ports.records import Ledger, ReleaseStore
from goldgate.ports.tracking import Tracking
from goldgate.release.evaluate import FOLDER
from goldgate.release.gating import ask_absolute, ask_against_champion, broken_rows, why_incomparable, why_unfit
from goldgate.release.records import failure_noted, needed, note_once
from goldgate.release.trial import CANDIDATE, CHAMPION, ReadResults, results_path


class RenderReport(Protocol):
    """Writes the page for the person who decides: `goldgate.evals.report.render_report`."""

    def __call__(
        self,
        *,
        candidate: Candidate,
        evaluation: Evaluation,
        judgement: Judgement,
        candidate_rows: Sequence[ResultRow],
        champion_rows: Sequence[ResultRow],
        gold: Sequence[GoldRow],
        links: Mapping[str, str],
    ) -> str:
        """Return one self-contained HTML page."""


def judge_release(
    release_id: str,
    *,
    policy: ReleasePolicy,
    evaluation: Evaluation,
    candidate_rows: Sequence[ResultRow],
    champion_rows: Sequence[ResultRow],
    validation: Validation,
    report_url: str,
) -> Judgement:
    """Ask every gate. All of them pass, or nothing moves.

    Args:
        release_id: Named in the reasons.
        policy: The gates. Those against the champion are asked only if a version serves already.
        evaluation: The Scorecards.
        candidate_rows: The results that the candidate's Scorecard sums up.
        champion_rows: Likewise of the champion; empty if there is none.
        validation: What the validator says of both tables.
        report_url: The page a person opens.
    """
    unfit = why_unfit(release_id, policy=policy, evaluation=evaluation, rows=candidate_rows, validation=validation)
    gates = [
        ask_absolute(gate, policy=policy, evaluation=evaluation, rows=candidate_rows, unfit=unfit)
        for gate in policy.gates
    ]
    if evaluation.champion is not None or evaluation.champion_version is not None:
        unfit = unfit or why_incomparable(evaluation, champion_rows)
        gates += [
            ask_against_champion(
                gate,
                policy=policy,
                evaluation=evaluation,
                candidate_rows=candidate_rows,
                champion_rows=champion_rows,
                unfit=unfit,
            )
            for gate in policy.champion_gates
        ]
    return Judgement(
        verdict=worst([gate.verdict for gate in gates]),
        gates=gates,
        broken_rows=broken_rows(candidate_rows, champion_rows),
        results_valid=validation.is_valid,
        report_url=report_url,
    )


def judge_step(
    release_id: str,
    *,
    policy: ReleasePolicy,
    gold: Sequence[GoldRow],
    read_results: ReadResults,
    render: RenderReport,
    store: ReleaseStore,
    validator: ResultsValidator,
    tracking: Tracking,
    ledger: Ledger,
) -> Judgement:
    """Judge a release on what `evaluate` recorded, write its report, and record the judgement, once.

    Raises:
        PermanentError: It was not evaluated, or a results table is missing or was altered.
        TransientError: The tracker cannot be reached.
    """
    order = needed(store, release_id, ReleaseOrder)
    judgement = store.read(release_id, Judgement)
    if judgement is None:
        with failure_noted(ledger, order, step="judge"):
            judgement = _judge(
                release_id,
                policy=policy,
                gold=gold,
                read_results=read_results,
                render=render,
                store=store,
                validator=validator,
                tracking=tracking,
            )
        store.write(release_id, judgement)
    note_once(ledger, order, step="judge", outcome=judgement.verdict.value, evidence=_evidence(judgement))
    return judgement


def _judge(
    release_id: str,
    *,
    policy: ReleasePolicy,
    gold: Sequence[GoldRow],
    read_results: ReadResults,
    render: RenderReport,
    store: ReleaseStore,
    validator: ResultsValidator,
    tracking: Tracking,
) -> Judgement:
    evaluation = needed(store, release_id, Evaluation)
    folder = store.folder(release_id) / FOLDER
    tables = {
        who: read_results(results_path(folder, who), digest=evaluation.results_digests.get(who))
        for who in (CANDIDATE, *((CHAMPION,) if evaluation.champion else ()))
    }
    validations = _validate(tables, evaluation, validator=validator, folder=store.folder(release_id) / "validation")
    judged = judge_release(
        release_id,
        policy=policy,
        evaluation=evaluation,
        candidate_rows=tables[CANDIDATE],
        champion_rows=tables.get(CHAMPION, []),
        validation=_together(validations),
        report_url="",
    )
    page = store.folder(release_id) / "report.html"
    page.write_text(
        render(
            candidate=needed(store, release_id, Candidate),
            evaluation=evaluation,
            judgement=judged,
            candidate_rows=tables[CANDIDATE],
            champion_rows=tables.get(CHAMPION, []),
            gold=gold,
            links={
                "MLflow run": evaluation.run_url,
                **{f"Validation of the {who}": f"{found.report.name}/index.html" for who, found in validations.items()},
            },
        ),
        encoding="utf-8",
    )
    reports = [found.report for found in validations.values()]
    url = tracking.attach(evaluation.run_id, [page, *reports], folder="report")
    return judged.model_copy(update={"report_url": f"{url}/{page.name}"})


def _validate(
    tables: Mapping[str, Sequence[ResultRow]], evaluation: Evaluation, *, validator: ResultsValidator, folder: Path
) -> dict[str, Validation]:
    basis = evaluation.candidate.basis
    return {
        who: validator.validate(
            rows, expected_rows=basis.rows, repeats=basis.repeats, report=folder / f"validation-{who}"
        )
        for who, rows in tables.items()
    }


def _together(validations: Mapping[str, Validation]) -> Validation:
    """Both tables must be fit: the champion's decides as much as the candidate's."""
    return Validation(
        is_valid=all(validation.is_valid for validation in validations.values()),
        failures=[f"{who}: {failure}" for who, validation in validations.items() for failure in validation.failures],
        report=validations[CANDIDATE].report,
    )


def _evidence(judgement: Judgement) -> dict[str, JsonValue]:
    return {
        "gates": {gate.gate: gate.verdict.value for gate in judgement.gates},
        "broken_rows": [row.row_id for row in judgement.broken_rows],
        "results_valid": judgement.results_valid,
        "report_url": judgement.report_url,
        "reason": " ".join(f"{gate.gate}: {gate.reason}" for gate in judgement.stopping) or "every gate passed",
    }
