"""A candidate with its evaluation, made from results that a test chooses."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from goldgate.contracts.evaluation import ResultRow, Scorecard
from goldgate.contracts.policy import AbsoluteGate, ChampionGate, EvaluationPlan, GoldSetPin, ReleasePolicy
from goldgate.contracts.release import Candidate, Evaluation, ReleaseOrder
from goldgate.evals.scorecard import make_scorecard
from goldgate.ports.delivery import Validation
from tests.fakes.evaluations import GOLD_DIGEST, basis

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CANDIDATE_DIGEST, CHAMPION_DIGEST = "b" * 64, "c" * 64
VALID = Validation(is_valid=True, failures=[], report=Path("validation"))


def order(release_id: str = "rel-1") -> ReleaseOrder:
    return ReleaseOrder(release_id=release_id, agent="a", source="", reason="better", by="ada", opened_at=AT)


def candidate(*, rows: int, **fields: Any) -> Candidate:
    shown = {
        "order": order(),
        "bundle_digest": CANDIDATE_DIGEST,
        "gold_digest": GOLD_DIGEST,
        "policy_digest": "d" * 64,
        "prompt": "a@1",
        "model": "m",
        "tools": [],
        "source_revision": None,
    }
    return Candidate(**{"rows": rows, **shown, **fields})


def policy(**fields: Any) -> ReleasePolicy:
    shown = {
        "version": 1,
        "gold_set": GoldSetPin(digest=GOLD_DIGEST),
        "evaluation": EvaluationPlan(min_rows=30),
        "gates": [AbsoluteGate(metric="quality", at_least=0.65)],
        "champion_gates": [ChampionGate(metric="quality", margin=0.05)],
    }
    return ReleasePolicy(**{**shown, **fields})


def scorecard(results: Sequence[ResultRow], *, bundle_digest: str = CANDIDATE_DIGEST, **fields: Any) -> Scorecard:
    rows = len({result.row_id for result in results})
    return make_scorecard(
        results,
        agent="a",
        bundle_digest=bundle_digest,
        basis=basis(rows=rows, repeats=len(results) // rows, **fields),
        started_at=AT,
        seconds=3,
        confidence_ratio=0.95,
        seed=0,
    )


def evaluation(ours: Sequence[ResultRow], theirs: Sequence[ResultRow] | None = None, **fields: Any) -> Evaluation:
    champion = None if theirs is None else scorecard(theirs, bundle_digest=CHAMPION_DIGEST)
    shown = {
        "run_id": "run-1",
        "run_url": "https://mlflow.example/run-1",
        "candidate": scorecard(ours),
        "champion": champion,
        "champion_version": None if theirs is None else "7",
    }
    return Evaluation(**{**shown, **fields})
