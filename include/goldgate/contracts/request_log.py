"""The minimal log: a line for every served request and for every TaskRun that is over. Ids, figures and hashes only."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from goldgate.contracts.base import Contract

Arm = Literal["champion", "canary"]


class MinimalLog(Contract):
    """What both kinds of line tell. Field names on the wire are those of the release playbook."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )

    at: datetime
    agent: str
    trace_id: str
    """The caller's, if the request came with a `traceparent`: then several requests may share it."""
    span_id: str = ""
    """Of the request's span at the router, or of the run's root span: with the trace id, one for each. Empty in old
    lines.
    """
    model: str = Field(alias="model_id@version")
    """The registered model and its version: `airflow-helper@7`. Of a TaskRun, the first 12 digits of its bundle."""
    prompt: str = Field(alias="prompt_id@version")
    latency_ms_total: float = Field(ge=0)
    tokens_in: int = Field(ge=0)
    tokens_out: int = Field(ge=0)
    tokens_cached: int = Field(ge=0)
    """Part of `tokens_in`; `cost_usd` counts them at the price of cached tokens."""
    cost_usd: float = Field(ge=0)
    is_metered: bool = False
    """Every call of the model said what it used. Otherwise, or where a line does not tell, the cost is unknown."""
    retriever_k: int | None = Field(ge=0)
    """This and the next three: see `goldgate.domain.retrieval`. None is unmeasured: no answer, or none that tells."""
    hit_at_k: bool | None = Field(alias="hit@k")
    """Always None on live traffic: the truth is not known there."""
    context_precision: float | None
    """Always None on live traffic, as above."""
    context_use_rate: float | None = Field(ge=0, le=1)
    safety_flags: list[str]
    error: str | None


class RequestLog(MinimalLog):
    """One question to one arm. A request that a canary failed and the champion answered has two."""

    arm: Arm
    release_id: str | None
    """The release that made this version."""
    caller_hash: str
    """Keyed hash of the caller: the same caller has the same hash, and no one can be found from it."""
    latency_ms_llm: float = Field(ge=0)


class RunLog(MinimalLog):
    """One TaskRun that is over. Its `latency_ms_total` is time worked, over all processes, without waiting."""

    task_run: str
    phase: Literal["FinalAnswer", "Failed"]
    latency_ms_llm: float | None = Field(ge=0)
    """None for a run that several processes worked on: none of them saw it all."""
    llm_calls: int = Field(ge=0)
    tool_calls: int = Field(ge=0)
    take_ups: int = Field(ge=0)
