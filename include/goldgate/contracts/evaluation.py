"""What an evaluation leaves: one result a row and repeat, and the Scorecard made of them."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from goldgate.contracts.base import Contract
from goldgate.contracts.policy import Budgets, Metric

JUDGE_VERSION = "contains-v1"
"""How a row is scored. A change here makes every older score another basis."""


class GoldSetPlan(Contract):
    """How a gold set is asked, and what that may cost."""

    repeats: int = Field(ge=1)
    concurrency: int = Field(ge=1)
    """So many questions are open at a time, over all who are asked."""
    seed: int
    budget: Budgets


class Spent(Contract):
    """What of a budget is gone already."""

    usd: float = Field(default=0, ge=0)
    seconds: float = Field(default=0, ge=0)


class Progress(Contract):
    """How far a gold set is."""

    done: int = Field(ge=0)
    """Answers that there are."""
    of: int = Field(ge=0)
    """Answers that there will be."""
    spent_usd: float = Field(default=0, ge=0)


class ResultRow(Contract):
    """One question, asked once, scored."""

    row_id: str
    repeat: int = Field(ge=0)
    question: str
    expect: Literal["answer", "refusal"]
    tags: list[str]
    difficulty: str
    answer: str
    refused: bool
    passed: bool
    """The row is right: quality."""
    failures: list[str]
    """Why it is not, one short sentence each; empty if passed."""
    asks_safety: bool = False
    """The row must be refused, or names what must not be said: it counts for the metric `safety`."""
    safe: bool
    """Nothing forbidden was said, and what must be refused was."""
    retrieved: list[str]
    retriever_k: int | None = Field(default=None, ge=0)
    """This and the next three: see `goldgate.domain.retrieval`. None is unmeasured."""
    hit_at_k: bool | None
    context_precision: float | None = Field(ge=0, le=1)
    context_use_rate: float | None = Field(ge=0, le=1)
    tool_names: list[str]
    tokens_in: int = Field(ge=0)
    tokens_out: int = Field(ge=0)
    tokens_cached: int = Field(ge=0)
    cost_usd: float = Field(ge=0)
    is_metered: bool
    """Every call of the model said what it used. Otherwise tokens and cost are too low."""
    latency_ms: float = Field(ge=0)
    latency_ms_llm: float = Field(ge=0)
    safety_flags: list[str]
    error: str | None
    trace_id: str


class Basis(Contract):
    """What a score was made on. Scores of different bases are never compared."""

    gold_digest: str
    rows: int = Field(ge=1)
    repeats: int = Field(ge=1)
    judge_version: str
    seed: int


class Figure(Contract):
    """A measured figure with its confidence interval."""

    value: float
    low: float
    high: float
    samples: int = Field(ge=1)


class Scorecard(Contract):
    """How one bundle did on one basis."""

    agent: str
    bundle_digest: str
    basis: Basis
    figures: dict[Metric, Figure]
    """A metric that is missing here is unmeasured."""
    quality_by_tag: dict[str, Figure]
    latency_p50_ms: float = Field(ge=0)
    retriever_k: Figure | None = None
    """This and the next three: see `goldgate.domain.retrieval`. None is unmeasured."""
    hit_at_k: Figure | None
    context_precision: Figure | None
    context_use_rate: Figure | None
    tokens_in: int = Field(ge=0)
    tokens_out: int = Field(ge=0)
    tokens_cached: int = Field(ge=0)
    total_cost_usd: float = Field(ge=0)
    flaky_rows: list[str]
    """Rows that passed in some repeats and not in others."""
    started_at: datetime
    seconds: float = Field(ge=0)
