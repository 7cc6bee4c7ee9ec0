"""The minimal log of every served request: ids, figures and hashes, never the text."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from goldgate.contracts.base import Contract

Arm = Literal["champion", "canary"]


class RequestLog(Contract):
    """One served request. Field names on the wire are those of the release playbook."""

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
    arm: Arm
    release_id: str | None
    """The release that made this version."""
    caller_hash: str
    """Keyed hash of the caller: the same caller has the same hash, and no one can be found from it."""
    trace_id: str
    """The caller's, if the request came with a `traceparent`: then several requests may share it."""
    span_id: str = ""
    """Of the request's span at the router: with the trace id, one for each request. Empty in old lines."""
    model: str = Field(alias="model_id@version")
    """The registered model and its version: `airflow-helper@7`."""
    prompt: str = Field(alias="prompt_id@version")
    latency_ms_total: float = Field(ge=0)
    latency_ms_llm: float = Field(ge=0)
    tokens_in: int = Field(ge=0)
    tokens_out: int = Field(ge=0)
    tokens_cached: int = Field(ge=0)
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
