"""A release with everything in memory, and records of steps that a test does not run."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from goldgate.contracts.evaluation import Basis, Scorecard
from goldgate.contracts.release import (
    Build,
    CanaryRecord,
    Candidate,
    Evaluation,
    ImageBuilt,
    Judgement,
    Registration,
    ReleaseOrder,
)
from goldgate.domain.verdict import Verdict
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_ledger import InMemoryLedger
from tests.fakes.in_memory_locks import InMemoryLocks
from tests.fakes.in_memory_registry import InMemoryRegistry
from tests.fakes.in_memory_release_store import InMemoryReleaseStore

AT = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class ReleaseDesk:
    """All ports of a release, and one agent, `a`."""

    clock: FrozenClock = field(default_factory=FrozenClock)
    store: InMemoryReleaseStore = field(default_factory=InMemoryReleaseStore)
    ledger: InMemoryLedger = field(default_factory=InMemoryLedger)
    locks: InMemoryLocks = field(default_factory=InMemoryLocks)
    registry: InMemoryRegistry = field(default_factory=InMemoryRegistry)

    def order(self, release_id: str = "r1", *, source: str = "") -> ReleaseOrder:
        return ReleaseOrder(release_id=release_id, agent="a", source=source, reason="why", by="me", opened_at=AT)

    def judged(
        self,
        release_id: str = "r1",
        *,
        champion: str | None = None,
        verdict: Verdict = Verdict.PASS,
        results_valid: bool = True,
        answering: str | None = None,
    ) -> None:
        """Write the records of a release up to its judgement. `answering`: the bundle evaluated, if not its own."""
        order, digest = self.order(release_id), release_id.encode().hex().rjust(64, "0")
        self.store.open_release("a", release_id, by="me", at=AT)
        self.store.write(release_id, order)
        self.store.write(release_id, candidate(order, bundle_digest=digest))
        self.store.write(release_id, evaluation(answering or digest, champion=champion))
        image = ImageBuilt(builder="b", reference="r", digest="sha256:1", reused=False)
        self.store.write(release_id, Build(model_uri=f"models:/m-{release_id}", signature_digest="s", image=image))
        self.store.write(
            release_id,
            Judgement(verdict=verdict, gates=[], broken_rows=[], results_valid=results_valid, report_url="u"),
        )

    def ready(
        self,
        release_id: str = "r1",
        *,
        champion: str | None = None,
        verdict: Verdict = Verdict.PASS,
        canary: Literal["passed", "aborted", "undecided", "skipped"] | None = None,
        results_valid: bool = True,
    ) -> str:
        """Write the records of a release up to its canary, and return its version."""
        self.judged(release_id, champion=champion, verdict=verdict, results_valid=results_valid)
        tags = {"release_id": release_id, "bundle_digest": release_id.encode().hex().rjust(64, "0")}
        version = self.registry.register(
            agent="a", model_uri=f"models:/m-{release_id}", run_id="run", tags=tags
        ).version
        self.store.write(release_id, Registration(version=version, model_name="a"))
        outcome = canary or ("skipped" if champion is None else "passed")
        self.store.write(release_id, CanaryRecord(outcome=outcome, reason=f"it {outcome}", canary={}, champion={}))
        return version


def candidate(order: ReleaseOrder, *, bundle_digest: str) -> Candidate:
    return Candidate(
        order=order,
        bundle_digest=bundle_digest,
        gold_digest="g" * 64,
        policy_digest="p" * 64,
        rows=30,
        prompt="a@1",
        model="m",
        tools=[],
        source_revision=None,
    )


def evaluation(bundle_digest: str, *, champion: str | None) -> Evaluation:
    basis = Basis(gold_digest="g" * 64, rows=30, repeats=1, judge_version="v", seed=0)
    card = Scorecard(
        agent="a",
        bundle_digest=bundle_digest,
        basis=basis,
        figures={},
        quality_by_tag={},
        latency_p50_ms=1,
        hit_at_k=None,
        context_precision=None,
        context_use_rate=None,
        tokens_in=0,
        tokens_out=0,
        tokens_cached=0,
        total_cost_usd=0,
        flaky_rows=[],
        started_at=AT,
        seconds=1,
    )
    return Evaluation(
        run_id="run",
        run_url="u",
        candidate=card,
        champion=None if champion is None else card,
        champion_version=champion,
    )
