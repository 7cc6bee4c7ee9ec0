"""What is evaluated in one run, and how it is measured and kept: the candidate, and the champion beside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from goldgate.contracts.documents import read_json
from goldgate.contracts.evaluation import JUDGE_VERSION, Basis, GoldSetPlan, Progress, ResultRow, Scorecard
from goldgate.contracts.gold import GoldRow
from goldgate.contracts.policy import ReleasePolicy
from goldgate.contracts.release import Candidate
from goldgate.domain.digest import Digest, short
from goldgate.domain.errors import PermanentError
from goldgate.ports.delivery import Clock

OnRow = Callable[[Progress], None]
"""Told after every answer, or now and then."""

CANDIDATE = "candidate"
CHAMPION = "champion"


class BasisError(PermanentError):
    """What should be evaluated is not what was checked."""


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A bundle that is asked. Whoever opens it makes sure that it is the one of this digest."""

    bundle: Path
    bundle_digest: str


class RunGoldSet(Protocol):
    """Asks every contestant every question, in this process or elsewhere: `goldgate.evals.run.run_gold_set`."""

    def __call__(
        self,
        rows: Sequence[GoldRow],
        *,
        contestants: Mapping[str, Contestant],
        plan: GoldSetPlan,
        on_row: OnRow,
    ) -> dict[str, list[ResultRow]]:
        """Return every result under its contestant.

        Raises:
            PermanentError: A bundle is not the one of its digest, or the budget ran out.
        """


class MakeScorecard(Protocol):
    """Sums up one agent's results: `goldgate.evals.scorecard.make_scorecard`."""

    def __call__(
        self,
        results: Sequence[ResultRow],
        *,
        agent: str,
        bundle_digest: str,
        basis: Basis,
        started_at: datetime,
        seconds: float,
        confidence_ratio: float,
        seed: int,
    ) -> Scorecard:
        """Return the Scorecard."""


class ReadResults(Protocol):
    """Reads a results table whole: `goldgate.evals.results.read_results`."""

    def __call__(self, path: Path, *, digest: str | None = None) -> list[ResultRow]:
        """Return the table, or refuse it: one that was cut off or altered, or is not the one with that digest."""


@dataclass(frozen=True, kw_only=True)
class EvaluationKit:
    """What this step needs of `goldgate.evals`, handed in where both are known."""

    run: RunGoldSet
    scorecard: MakeScorecard
    write_results: Callable[[Sequence[ResultRow], Path], Digest]
    read_results: ReadResults


@dataclass(frozen=True, kw_only=True)
class Champion(Contestant):
    """Who serves now, to be asked beside the candidate."""

    version: str


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A candidate, the champion, and what both are asked."""

    candidate: Candidate
    policy: ReleasePolicy
    rows: Sequence[GoldRow]
    bundle: Path
    bundle_digest: str
    """Which bundle answers: as verified on disk, not as the record of the candidate has it."""
    champion: Champion | None
    """None if no version serves yet."""

    @property
    def basis(self) -> Basis:
        """What the scores will stand on."""
        return Basis(
            gold_digest=self.candidate.gold_digest,
            rows=self.candidate.rows,
            repeats=self.policy.evaluation.repeats,
            judge_version=JUDGE_VERSION,
            seed=self.policy.evaluation.seed,
        )

    @property
    def plan(self) -> GoldSetPlan:
        """How they are asked."""
        how = self.policy.evaluation
        return GoldSetPlan(repeats=how.repeats, concurrency=how.concurrency, seed=how.seed, budget=self.policy.budgets)

    @property
    def contestants(self) -> dict[str, Contestant]:
        """Who is asked."""
        ours = {CANDIDATE: Contestant(bundle=self.bundle, bundle_digest=self.bundle_digest)}
        return ours | ({CHAMPION: self.champion} if self.champion else {})

    @property
    def digests(self) -> dict[str, str]:
        """Which bundles answer."""
        return {who: contestant.bundle_digest for who, contestant in self.contestants.items()}


def results_path(folder: Path, who: str) -> Path:
    """Tell where a results table lies. `who` is `candidate` or `champion`."""
    return folder / f"results-{who}.jsonl"


def scorecard_path(folder: Path, who: str) -> Path:
    """Tell where a Scorecard lies. `who` is `candidate` or `champion`."""
    return folder / f"scorecard-{who}.json"


def measure_trial(
    trial: Trial, *, kit: EvaluationKit, clock: Clock, folder: Path, on_row: OnRow
) -> dict[str, Scorecard]:
    """Run a trial, and keep its tables and Scorecards in a folder. One that is kept there already is not run again.

    Returns:
        The Scorecard of `candidate`, and of `champion` if there is one.

    Raises:
        BasisError: The gold set is not the one that the policy pins, or not the one that was checked.
        PermanentError: The budget ran out, results were lost, or a kept table was altered.
    """
    _check_basis(trial)
    if (kept := _kept(trial, kit=kit, folder=folder)) is not None:
        return kept
    plan = trial.policy.evaluation
    started_at = clock.now()
    results = kit.run(
        trial.rows,
        contestants=trial.contestants,
        plan=trial.plan,
        on_row=on_row,
    )
    seconds = max((clock.now() - started_at).total_seconds(), 0)
    cards = {
        who: kit.scorecard(
            results[who],
            agent=trial.candidate.order.agent,
            bundle_digest=digest,
            basis=trial.basis,
            started_at=started_at,
            seconds=seconds,
            confidence_ratio=plan.confidence_ratio,
            seed=plan.seed,
        )
        for who, digest in trial.digests.items()
    }
    _keep(results, cards, kit=kit, folder=folder)
    return cards


def _check_basis(trial: Trial) -> None:
    candidate, pinned = trial.candidate, trial.policy.gold_set.digest
    if candidate.gold_digest != pinned or candidate.rows != len(trial.rows):
        raise BasisError(
            f"Found a gold set with digest {short(candidate.gold_digest)} and {len(trial.rows)} rows; expected "
            f"{short(pinned)}, which `gold_set.digest` in `release.yaml` pins, and {candidate.rows} rows, with which "
            f"release `{candidate.order.release_id}` was checked. Restore the file, or open a new release."
        )


def _kept(trial: Trial, *, kit: EvaluationKit, folder: Path) -> dict[str, Scorecard] | None:
    """Return what an earlier attempt measured, if it is exactly this trial."""
    paths = {who: scorecard_path(folder, who) for who in trial.digests}
    if not all(path.exists() for path in paths.values()):
        return None
    cards = {who: read_json(path, Scorecard) for who, path in paths.items()}
    if any(card.basis != trial.basis or card.bundle_digest != trial.digests[who] for who, card in cards.items()):
        return None
    for who in cards:
        kit.read_results(results_path(folder, who))
    return cards


def _keep(
    results: Mapping[str, Sequence[ResultRow]], cards: Mapping[str, Scorecard], *, kit: EvaluationKit, folder: Path
) -> None:
    """Write the Scorecards last, and whole: they say that the tables beside them are complete."""
    folder.mkdir(parents=True, exist_ok=True)
    for who in (CANDIDATE, CHAMPION):
        scorecard_path(folder, who).unlink(missing_ok=True)
    for who in cards:
        kit.write_results(results[who], results_path(folder, who))
    for who, card in cards.items():
        partial = folder / f".scorecard-{who}.partial"
        partial.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
        partial.replace(scorecard_path(folder, who))
