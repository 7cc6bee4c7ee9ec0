"""The release policy of an agent: what must hold before it may serve."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from goldgate.contracts.base import Contract
from goldgate.contracts.resource_parts import RelativePath

Ratio = Annotated[float, Field(ge=0, le=1)]

Metric = Literal["quality", "safety", "latency_p95_ms", "cost_usd", "error"]
"""What can be gated: `quality`, `safety` and `error` are ratios of rows, latency and cost are per request."""


class GoldSetPin(Contract):
    """The gold set that this policy judges on."""

    path: RelativePath = "gold.jsonl"
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the file. A changed gold set is reviewed, then pinned here."""


class AbsoluteGate(Contract):
    """A bound that the candidate must keep on its own. Judged on the side of the interval that is against it."""

    metric: Metric
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> "AbsoluteGate":
        if (self.at_least is None) == (self.at_most is None):
            msg = "exactly one of `at_least` and `at_most`"
            raise ValueError(msg)
        wants_floor = self.metric in {"quality", "safety"}
        if wants_floor != (self.at_least is not None):
            msg = f"`{'at_least' if wants_floor else 'at_most'}` for metric `{self.metric}`"
            raise ValueError(msg)
        limit = self.at_least if self.at_least is not None else self.at_most
        is_share = self.metric in {"quality", "safety", "error"}
        if limit is None or limit < 0 or (is_share and limit > 1):
            msg = f"a {'share in 0..1' if is_share else 'number above 0'} for metric `{self.metric}`"
            raise ValueError(msg)
        return self


class ChampionGate(Contract):
    """Not worse than the champion by more than a margin, row by row on the same gold set.

    Exactly one margin: `margin` for ratios (0.03: three points), `margin_ratio` for latency and cost
    (0.25: a quarter more).
    """

    metric: Metric
    margin: float | None = Field(default=None, ge=0, le=1)
    margin_ratio: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one_margin(self) -> "ChampionGate":
        is_ratio = self.metric in {"quality", "safety", "error"}
        wanted, other = ("margin", "margin_ratio") if is_ratio else ("margin_ratio", "margin")
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            msg = f"`{wanted}` and not `{other}` for metric `{self.metric}`"
            raise ValueError(msg)
        return self


class EvaluationPlan(Contract):
    """How the gold set is run."""

    repeats: int = Field(default=1, ge=1, le=20)
    concurrency: int = Field(default=8, ge=1, le=256)
    seed: int = 0
    min_rows: int = Field(default=30, ge=1)
    """Fewer rows than this decide nothing: UNDECIDED."""
    confidence_ratio: float = Field(default=0.95, gt=0.5, lt=1)


class Guardrails(Contract):
    """What the canary may not break, judged on its own requests and on the champion's in the same window."""

    max_error_ratio: Ratio = 0.02
    max_latency_p95_ratio: float = Field(default=1.5, ge=1)
    """Canary p95 over champion p95."""
    max_cost_ratio: float = Field(default=1.3, ge=1)
    """Canary mean cost a request over the champion's."""
    max_safety_block_excess_ratio: Ratio = 0.05
    """How much larger a share of requests may be blocked by safety than on the champion."""


class CanaryPlan(Contract):
    """Live traffic for a candidate: how much, how long, and what stops it."""

    ratios: list[Annotated[float, Field(gt=0, le=0.5)]] = Field(default=[0.01, 0.05], min_length=1)
    """Shares of traffic, rising."""
    dwell_s: float = Field(default=300, gt=0)
    """Least time at each share."""
    min_requests: int = Field(default=50, ge=1)
    """Least requests answered by the canary at each share."""
    give_up_after_s: float = Field(default=3600, gt=0)
    """No verdict by then: UNDECIDED, and the canary is taken back. Silence is not success."""
    look_every_s: float = Field(default=5, gt=0)
    guardrails: Guardrails = Guardrails()

    @model_validator(mode="after")
    def _rises(self) -> "CanaryPlan":
        if any(later <= earlier for earlier, later in zip(self.ratios, self.ratios[1:], strict=False)):
            msg = "`ratios` that rise"
            raise ValueError(msg)
        return self


class Budgets(Contract):
    """What one evaluation may use before it is stopped."""

    max_evaluation_cost_usd: float = Field(default=10, gt=0)
    max_evaluation_s: float = Field(default=3600, gt=0)


class ReleasePolicy(Contract):
    """`release.yaml`: everything that must hold before this agent may serve."""

    version: Literal[1]
    gold_set: GoldSetPin
    evaluation: EvaluationPlan = EvaluationPlan()
    gates: list[AbsoluteGate] = Field(min_length=1)
    champion_gates: list[ChampionGate] = Field(min_length=1)
    canary: CanaryPlan = CanaryPlan()
    image: Literal["required", "optional"] = "required"
    """Whether a release may go on when no container image could be built on this machine."""
    budgets: Budgets = Budgets()
