"""The step `evaluate`: the candidate and the champion on the gold set, in one run, logged and recorded.

What was measured is kept in the release's folder before anything is told to the tracker, so that a tracker that is down
costs a retry and not a second evaluation.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from goldgate.contracts.durable import write_durably
from goldgate.contracts.evaluation import JUDGE_VERSION, Figure, Scorecard
from goldgate.contracts.release import Evaluation
from goldgate.domain.digest import digest_bytes
from goldgate.domain.retrieval import definitions_page
from goldgate.ports.delivery import Clock
from goldgate.ports.records import Ledger, ReleaseStore
from goldgate.ports.tracking import Tracking
from goldgate.release.records import failure_noted, note_once, refuse_closed
from goldgate.release.trial import CANDIDATE, CHAMPION, EvaluationKit, OnRow, Trial, measure_trial, results_path

FOLDER = "evaluation"
"""Of a release's folder: results tables, Scorecards, and what the figures mean."""

DEFINITIONS_FILE = "metrics.md"
"""Logged beside the figures, so that whoever reads them in the tracker finds what each is."""


def evaluate_candidate(
    trial: Trial,
    *,
    params: Mapping[str, str],
    prompts: Path,
    kit: EvaluationKit,
    store: ReleaseStore,
    tracking: Tracking,
    ledger: Ledger,
    clock: Clock,
    on_row: OnRow,
) -> Evaluation:
    """Evaluate a candidate beside the champion, log it, and record it. A recorded evaluation is returned as it is.

    Args:
        trial: Who is asked what.
        params: What the tracker shows beside the figures: llm, retrieval, k.
        prompts: Folder of prompt templates, kept as artifacts.
        kit: The evaluation itself.
        store: Records of releases.
        tracking: Where the run is logged.
        ledger: The history of decisions.
        clock: The time of day.
        on_row: Told of progress.

    Raises:
        PermanentError: See `measure_trial`.
        TransientError: The tracker cannot be reached. Called again, only the logging is repeated.
    """
    order = trial.candidate.order
    evaluation = store.read(order.release_id, Evaluation)
    if evaluation is None:
        refuse_closed(store, order.release_id)
        with failure_noted(ledger, order, step="evaluate"):
            evaluation = _evaluate(
                trial,
                params=params,
                prompts=prompts,
                kit=kit,
                folder=store.folder(order.release_id) / FOLDER,
                tracking=tracking,
                clock=clock,
                on_row=on_row,
            )
        store.write(order.release_id, evaluation)
    note_once(ledger, order, step="evaluate", outcome="evaluated", evidence=_evidence(trial, evaluation))
    return evaluation


def _evaluate(
    trial: Trial,
    *,
    params: Mapping[str, str],
    prompts: Path,
    kit: EvaluationKit,
    folder: Path,
    tracking: Tracking,
    clock: Clock,
    on_row: OnRow,
) -> Evaluation:
    cards = measure_trial(trial, kit=kit, clock=clock, folder=folder, on_row=on_row)
    write_durably(folder / DEFINITIONS_FILE, definitions_page().encode())
    run = tracking.log_evaluation(
        experiment=trial.candidate.order.agent,
        name=trial.candidate.order.release_id,
        tags=_tags(trial),
        params={**params, **_plan_params(trial)},
        metrics=_metrics(cards),
        artifacts=[folder, prompts],
    )
    return Evaluation(
        run_id=run.run_id,
        run_url=run.url,
        candidate=cards[CANDIDATE],
        champion=cards.get(CHAMPION),
        champion_version=trial.champion.version if trial.champion else None,
        results_digests={who: digest_bytes(results_path(folder, who).read_bytes()) for who in cards},
    )


def _evidence(trial: Trial, evaluation: Evaluation) -> dict[str, JsonValue]:
    return {
        "run_id": evaluation.run_id,
        "bundle_digest": trial.candidate.bundle_digest,
        "gold_digest": trial.candidate.gold_digest,
        "champion_version": evaluation.champion_version,
        "results_digests": dict(evaluation.results_digests),
        "figures": {name: figure.value for name, figure in evaluation.candidate.figures.items()},
    }


def _tags(trial: Trial) -> dict[str, str]:
    candidate, champion = trial.candidate, trial.champion
    return {
        "goldgate.agent": candidate.order.agent,
        "goldgate.release_id": candidate.order.release_id,
        "goldgate.bundle_digest": candidate.bundle_digest,
        "goldgate.champion_version": champion.version if champion else "none",
    }


def _plan_params(trial: Trial) -> dict[str, str]:
    candidate, plan = trial.candidate, trial.policy.evaluation
    return {
        "model": candidate.model,
        "prompt": candidate.prompt,
        "gold_digest": candidate.gold_digest,
        "rows": str(candidate.rows),
        "repeats": str(plan.repeats),
        "seed": str(plan.seed),
        "concurrency": str(plan.concurrency),
        "judge_version": JUDGE_VERSION,
    }


def _metrics(cards: Mapping[str, Scorecard]) -> dict[str, float]:
    """Name the candidate's figures plainly, and the champion's with a prefix. What is unmeasured is not there."""
    metrics = _card_metrics(cards[CANDIDATE])
    if champion := cards.get(CHAMPION):
        metrics |= {f"champion_{name}": value for name, value in _card_metrics(champion).items()}
    return metrics


def _card_metrics(card: Scorecard) -> dict[str, float]:
    metrics: dict[str, float] = {
        "latency_p50_ms": card.latency_p50_ms,
        "tokens_in": card.tokens_in,
        "tokens_out": card.tokens_out,
        "tokens_cached": card.tokens_cached,
        "total_cost_usd": card.total_cost_usd,
        "flaky_rows": len(card.flaky_rows),
        "seconds": card.seconds,
    }
    figures: dict[str, Figure | None] = {
        **{str(metric): figure for metric, figure in card.figures.items()},
        "retriever_k": card.retriever_k,
        "hit_at_k": card.hit_at_k,
        "context_precision": card.context_precision,
        "context_use_rate": card.context_use_rate,
    }
    for name, figure in figures.items():
        if figure is not None:
            metrics |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return metrics
