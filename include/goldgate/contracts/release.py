"""The records of one release: what each step of the playbook found, kept under the release's id.

A step reads the records before it and writes its own, once. A step that finds its own record returns it, so that a
release which was killed goes on where it stopped.
"""

from datetime import datetime
from typing import Literal

from pydantic import Field

from goldgate.contracts.base import Contract
from goldgate.contracts.evaluation import Figure, Scorecard
from goldgate.contracts.policy import Metric
from goldgate.domain.verdict import Verdict


class ReleaseOrder(Contract):
    """What somebody asked for."""

    release_id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,127}$")
    agent: str
    source: str
    """Where the candidate comes from: a folder, or `git:<ref>`; empty for the agents folder as it lies."""
    reason: str = Field(min_length=1)
    by: str
    opened_at: datetime
    kind: Literal["release", "rehearsal"] = "release"
    """A rehearsal is judged as a release is, and moves nothing."""


class Candidate(Contract):
    """A candidate that passed the contract checks, frozen under its digest."""

    order: ReleaseOrder
    bundle_digest: str
    gold_digest: str
    policy_digest: str
    """Of the `release.yaml` that it is judged by."""
    rows: int = Field(ge=1)
    prompt: str
    model: str
    tools: list[str]
    source_revision: str | None
    """Commit the folder was at, if it is known."""


class Evaluation(Contract):
    """The candidate on the gold set, and the champion beside it in the same run."""

    run_id: str
    """MLflow run."""
    run_url: str
    candidate: Scorecard
    champion: Scorecard | None
    champion_version: str | None
    results_digests: dict[str, str] = Field(default_factory=dict)
    """Digest of each results table, `candidate` and `champion`: what is judged later is what was measured."""


class ImageBuilt(Contract):
    """A container image that exists."""

    kind: Literal["built"] = "built"
    builder: str
    reference: str
    digest: str
    reused: bool
    """The same inputs had been built before."""
    pushed: str | None = None
    """`<registry>/<name>@sha256:...`: where whoever deploys it pulls it from. None: it is on this machine only."""


class ImageUnavailable(Contract):
    """Why there is no container image."""

    kind: Literal["unavailable"] = "unavailable"
    reason: str


class Build(Contract):
    """The candidate as a model, and the image that runs it."""

    model_uri: str
    """`models:/m-...`: logged, not yet registered."""
    signature_digest: str
    image: ImageBuilt | ImageUnavailable = Field(discriminator="kind")


class GateResult(Contract):
    """What one gate said, and on what."""

    gate: str
    """`quality >= 0.80`, `cost_usd <= champion + 30 %`: the rule as a person reads it."""
    metric: Metric
    against: Literal["absolute", "champion"]
    verdict: Verdict
    candidate: Figure | None
    champion: Figure | None
    difference: Figure | None
    """Candidate minus champion for ratios, candidate over champion for latency and cost."""
    bound: float
    """What the difference, or the candidate's figure, was held to."""
    reason: str


class BrokenRow(Contract):
    """A row that the champion gets right and the candidate does not."""

    row_id: str
    question: str
    failures: list[str]


class Judgement(Contract):
    """All gates, or nothing moves."""

    verdict: Verdict
    gates: list[GateResult]
    broken_rows: list[BrokenRow]
    results_valid: bool
    """Whether the results table passed validation. A table that did not decides nothing."""
    report_url: str

    @property
    def stopping(self) -> list[GateResult]:
        """The gates that did not pass: those that failed, then those that are undecided."""
        verdicts = (Verdict.FAIL, Verdict.UNDECIDED)
        return [gate for verdict in verdicts for gate in self.gates if gate.verdict is verdict]


class Registration(Contract):
    """The candidate as a version of the registered model."""

    version: str
    model_name: str


class CanaryRecord(Contract):
    """How the canary ended."""

    outcome: Literal["passed", "aborted", "undecided", "skipped"]
    reason: str
    canary: dict[str, float]
    champion: dict[str, float]
    """Figures of the last look: requests, error_ratio, latency_p95_ms, cost_usd, safety_block_ratio."""


class Promotion(Contract):
    """How the alias moved, or why it did not."""

    outcome: Literal["promoted", "superseded", "rolled_back", "refused"]
    version: str
    previous: str | None
    """Champion before the move; for `superseded`, the version that was found instead."""
    reason: str
    at: datetime


class Closing(Contract):
    """The end of a release."""

    outcome: Literal["promoted", "blocked", "aborted", "failed"]
    """`blocked` by a gate, `aborted` in the canary, `failed` because the job could not be done."""
    step: str
    reason: str
    champion: str | None
    at: datetime
