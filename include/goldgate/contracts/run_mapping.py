"""Between the state of a run, as its machine sees it, and the status that is stored and shown."""

import operator
from collections.abc import Iterator
from typing import Any

from goldgate.contracts.task_runs import (
    AskedCall,
    AskedFunction,
    CallStatus,
    ContextMessage,
    MadeCall,
    RunLimits,
    RunProgress,
    RunUsage,
    TaskRunStatus,
)
from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.domain.runs.limits import narrower
from goldgate.domain.runs.state import Call, Habits, Limits, Made, Phase, RunState, Spent

_READY = frozenset({Phase.READY_FOR_LLM, Phase.TOOL_CALLS_PENDING, Phase.FINAL_ANSWER})


def state_of(status: TaskRunStatus) -> RunState:
    """Read a run's state back from its status."""
    progress, usage = status.progress, status.usage
    return RunState(
        run_id=progress.run_id,
        can_wait=True,
        phase=status.phase,
        status=status.status,
        detail=status.status_detail,
        waits_for_agent=progress.waits_for_agent,
        error=status.error,
        output=status.output,
        refused=status.refused,
        flags=tuple(status.safety_flags),
        bundle=progress.bundle,
        messages=tuple(_message(message) for message in status.context_window),
        given=tuple(status.retrieved),
        citations=tuple(status.citations),
        calls=tuple(Call(**dict(call)) for call in status.calls),
        limits=limits_of(progress.limits),
        habits=Habits(plans=progress.plans, reflects=progress.reflects),
        stage=progress.stage,
        spent=Spent(
            steps=usage.llm_calls,
            tool_calls=usage.tool_calls,
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            tokens_cached=usage.tokens_cached,
            cost_usd=usage.cost_usd,
            is_metered=usage.is_metered,
            active_s=usage.active_seconds,
            take_ups=usage.take_ups,
        ),
        trail=tuple(Made(call=made.call, result=made.result) for made in progress.trail),
        told=tuple(progress.told),
    )


def status_fields(state: RunState, *, recorded: tuple[RunState, TaskRunStatus] | None = None) -> dict[str, Any]:
    """Give the fields of a status that a state decides, for `TaskRunStatus.model_copy(update=...)`.

    Args:
        state: What is to be recorded.
        recorded: The state before it and the status made of that: its messages are not made once more.
    """
    spent = state.spent
    return {
        "phase": state.phase,
        "status": state.status,
        "ready": state.phase in _READY and not state.has_paused,
        "status_detail": state.detail,
        "error": state.error,
        "output": state.output,
        "refused": state.refused,
        "safety_flags": list(state.flags),
        "citations": list(state.citations),
        "retrieved": list(state.given),
        "context_window": _context_window(state.messages, recorded),
        "calls": [CallStatus.model_construct(**vars(call)) for call in state.calls],
        "usage": RunUsage(
            llm_calls=spent.steps,
            tool_calls=spent.tool_calls,
            tokens_in=spent.tokens_in,
            tokens_out=spent.tokens_out,
            tokens_cached=spent.tokens_cached,
            cost_usd=spent.cost_usd,
            is_metered=spent.is_metered,
            active_seconds=spent.active_s,
            take_ups=spent.take_ups,
        ),
        "progress": RunProgress(
            run_id=state.run_id,
            bundle=state.bundle,
            waits_for_agent=state.waits_for_agent,
            limits=run_limits(state.limits),
            plans=state.habits.plans,
            reflects=state.habits.reflects,
            stage=state.stage,
            trail=[MadeCall.model_construct(call=made.call, result=made.result) for made in state.trail],
            told=list(state.told),
        ),
    }


def limits_of(limits: RunLimits) -> Limits:
    """Read limits; what is left out has the default of a run."""
    default = Limits()
    return Limits(
        max_steps=default.max_steps if limits.max_steps is None else limits.max_steps,
        timeout_s=default.timeout_s if limits.timeout_seconds is None else limits.timeout_seconds,
        max_tokens=limits.max_tokens,
        max_cost_usd=limits.max_cost_usd,
    )


def run_limits(limits: Limits) -> RunLimits:
    """Write limits down for another run."""
    return RunLimits(
        max_steps=limits.max_steps,
        timeout_seconds=limits.timeout_s,
        max_tokens=limits.max_tokens,
        max_cost_usd=limits.max_cost_usd,
    )


def narrowed(own: Limits, limits: RunLimits) -> Limits:
    """Hold a run to its agent's limits and to those that were asked for."""
    inherited = Limits(
        max_steps=own.max_steps if limits.max_steps is None else limits.max_steps,
        timeout_s=own.timeout_s if limits.timeout_seconds is None else limits.timeout_seconds,
        max_tokens=limits.max_tokens,
        max_cost_usd=limits.max_cost_usd,
    )
    return narrower(own, inherited)


def _message(message: ContextMessage) -> ChatMessage:
    return ChatMessage(
        role=message.role,
        content=message.content,
        tool_requests=tuple(_requests(message)),
        tool_call_id=message.tool_call_id,
        is_error=message.is_error,
    )


def _requests(message: ContextMessage) -> Iterator[ToolRequest]:
    for asked in message.tool_calls:
        function = asked.function
        yield ToolRequest(id=asked.id, name=function.name, arguments=function.arguments, extra=asked.extra)


def _context_window(
    messages: tuple[ChatMessage, ...], recorded: tuple[RunState, TaskRunStatus] | None
) -> list[ContextMessage]:
    if recorded is not None:
        before, status = recorded
        known = len(before.messages)
        if len(messages) >= known and all(map(operator.is_, before.messages, messages)):
            return [*status.context_window, *map(_context_message, messages[known:])]
    return [_context_message(message) for message in messages]


def _context_message(message: ChatMessage) -> ContextMessage:
    calls = [
        AskedCall.model_construct(
            id=asked.id,
            type="function",
            function=AskedFunction.model_construct(name=asked.name, arguments=asked.arguments),
            extra=asked.extra,
        )
        for asked in message.tool_requests
    ]
    return ContextMessage.model_construct(
        role=message.role,
        content=message.content,
        tool_calls=calls,
        tool_call_id=message.tool_call_id,
        is_error=message.is_error,
    )
