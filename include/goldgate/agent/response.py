"""What is reported of a run, whatever kind of agent worked on it."""

import json
import math
from collections.abc import Sequence
from typing import get_args

from pydantic import JsonValue

from goldgate.agent.safety_log import SafetyLog
from goldgate.agent.trace import Waterfall
from goldgate.agent.trace_names import error_kind, run_attributes, run_name
from goldgate.contracts.prediction import PredictResponse, Reported, SafetyFlag, ToolCall, Usage
from goldgate.domain.runs.state import RunState


def respond(
    state: RunState,
    *,
    agent: str,
    model: str,
    prompt: str,
    waterfall: Waterfall,
    safety: SafetyLog,
    latency_ms_llm: float,
    unmeasured: Sequence[Reported] = (),
) -> PredictResponse:
    """Report on a run; of one that is over, the root span ends."""
    error = state.error if state.phase.is_terminal else f"waiting: {state.detail}"
    if state.phase.is_terminal:
        attributes = run_attributes(state, agent=agent, bundle=state.bundle)
        waterfall.end(run_name(agent), attributes=attributes, error=error_kind(error))
    spent = state.spent
    return PredictResponse(
        answer=state.output or "",
        refused=state.refused,
        citations=list(state.citations),
        retrieved=list(state.given),
        tool_calls=tool_calls(state),
        usage=Usage(
            tokens_in=spent.tokens_in,
            tokens_out=spent.tokens_out,
            tokens_cached=spent.tokens_cached,
            cost_usd=spent.cost_usd,
            llm_calls=spent.steps,
            is_metered=spent.is_metered,
        ),
        latency_ms_total=waterfall.elapsed_s * 1000,
        latency_ms_llm=latency_ms_llm,
        safety_flags=[flag for flag in get_args(SafetyFlag) if flag in state.flags],
        safety_blocks=safety.blocks,
        error=error,
        trace_id=waterfall.trace_id,
        model=model,
        prompt=prompt,
        spans=sorted(waterfall.spans, key=lambda span: span.start_ms),
        unmeasured=list(unmeasured),
    )


def tool_calls(state: RunState) -> list[ToolCall]:
    """List the calls of a run that have their result, in order."""
    failed = {m.tool_call_id: m.is_error for m in state.messages if m.role == "tool"}
    asked = (request for message in state.messages for request in message.tool_requests)
    return [
        ToolCall(name=request.name, arguments=_arguments(request.arguments), is_error=failed[request.id])
        for request in asked
        if request.id in failed
    ]


def _arguments(raw: str) -> dict[str, JsonValue]:
    try:
        # JSON has neither NaN nor infinities; Python reads them, and what is not called may hold them.
        value = json.loads(raw or "{}", parse_constant=_not_json, parse_float=_finite)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _not_json(constant: str) -> float:
    raise ValueError(constant)


def _finite(number: str) -> float:
    found = float(number)
    if not math.isfinite(found):
        raise ValueError(number)
    return found
