"""The life of a TaskRun: what follows from what happened, and what is to be done next.

Pure: whoever drives a run records the new state first and then does what its step asks for. So a run that was killed
is found in a state that says what may have been done and what has not, and `TakenUp` says how it goes on.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.domain.runs.calls import (
    go_on_with_calls,
    person_spoke,
    take_calls,
    take_up_calls,
    told_apart,
    tool_returned,
    tool_waits,
)
from goldgate.domain.runs.events import (
    Abandoned,
    AgentFound,
    AgentReady,
    AgentUnavailable,
    Answered,
    Broke,
    Cancelled,
    DeadlinePassed,
    Event,
    ModelReplied,
    PersonSpoke,
    TakenUp,
    ToolReturned,
    ToolWaits,
    Validated,
)
from goldgate.domain.runs.state import Phase, RunState, Spent, Stage, Status
from goldgate.domain.runs.steps import (
    REFLECTED,
    Effect,
    Happening,
    IllegalTransitionError,
    Step,
    ask,
    fail,
    final,
    forget,
    run_out,
    step,
    tell_once,
    united,
)
from goldgate.domain.runs.thinking import begin, take_answer, take_plan

MOST_TAKE_UPS = 100
"""A run that kills its process again and again is ended: nothing that is well is taken up so often."""


_OPEN: Final = frozenset(phase for phase in Phase if not phase.is_terminal)


_WORKING: Final = frozenset({Phase.PENDING, Phase.READY_FOR_LLM, Phase.TOOL_CALLS_PENDING})


_ALLOWED: Final[Mapping[type[Event], frozenset[Phase]]] = {
    Validated: frozenset({Phase.INITIALIZING}),
    AgentUnavailable: _WORKING,
    AgentFound: _WORKING,
    AgentReady: frozenset({Phase.PENDING}),
    Answered: frozenset({Phase.PENDING, Phase.READY_FOR_LLM}),
    ModelReplied: frozenset({Phase.READY_FOR_LLM}),
    ToolReturned: frozenset({Phase.TOOL_CALLS_PENDING}),
    ToolWaits: frozenset({Phase.TOOL_CALLS_PENDING}),
    PersonSpoke: frozenset({Phase.TOOL_CALLS_PENDING}),
    TakenUp: _OPEN,
    Cancelled: _OPEN,
    DeadlinePassed: _OPEN,
    Broke: _OPEN,
    Abandoned: _OPEN,
}


_BAD_REPLIES: Final = frozenset({"cut", "empty"})
"""A reply with calls is a good one: after it they are told anew."""


def advance(state: RunState, event: Event) -> Step:
    """Tell what follows from an event.

    Raises:
        IllegalTransitionError: The event cannot happen in the state's phase (in a terminal phase none can), or names
            a call that is not there or is not waiting for it.
    """
    if state.phase not in _ALLOWED[type(event)]:
        raise IllegalTransitionError(
            f"Found `{type(event).__name__}` in phase {state.phase.value}; expected it in "
            f"{', '.join(sorted(phase.value for phase in _ALLOWED[type(event)]))} only."
        )
    return _FOLLOW[type(event)](state, event)


def _validated(state: RunState, _: Validated) -> Step:
    opening = replace(state, phase=Phase.PENDING, status=Status.PENDING, detail="Opening the agent", error=None)
    return step(opening, Effect.OPEN_AGENT, "ValidationSucceeded", "It asks for an agent and a message")


def _agent_unavailable(state: RunState, event: AgentUnavailable) -> Step:
    detail = f"Waiting for the agent: {event.reason}"
    waiting = replace(state, status=Status.PENDING, detail=detail, waits_for_agent=True, error=None)
    return step(waiting, Effect.STOP, "Waiting", event.reason)


def _agent_found(state: RunState, _: AgentFound) -> Step:
    there = replace(state, status=Status.READY, waits_for_agent=False, error=None)
    found = Happening(reason="AgentFound", message="The agent is there")
    match state.phase:
        case Phase.PENDING:
            opening = replace(there, status=Status.PENDING, detail="Opening the agent")
            return Step(state=opening, history=(found,), effect=Effect.OPEN_AGENT)
        case Phase.READY_FOR_LLM:
            return ask(there, history=(found,))
        case _:
            return go_on_with_calls(there, (found,))


def _agent_ready(state: RunState, event: AgentReady) -> Step:
    ready = replace(
        state,
        messages=event.messages,
        given=event.given,
        flags=united(state.flags, event.flags),
        limits=event.limits,
        habits=event.habits,
        bundle=event.bundle,
        spent=state.spent + Spent(active_s=event.active_s),
    )
    return begin(ready)


def _answered(state: RunState, event: Answered) -> Step:
    messages = (*(event.messages or state.messages), ChatMessage(role="assistant", content=event.output))
    answered = replace(
        state,
        messages=messages,
        given=event.given or state.given,
        bundle=event.bundle or state.bundle,
        limits=event.limits or state.limits,
        spent=state.spent + event.spent,
    )
    return final(answered, output=event.output, refused=event.refused, citations=event.citations, flags=event.flags)


def _model_replied(state: RunState, event: ModelReplied) -> Step:
    is_cut = event.finish_reason == "length"
    event = replace(event, calls=told_apart(event.calls))
    requests = tuple(
        ToolRequest(id=call.id, name=call.name, arguments=call.arguments, extra=call.extra) for call in event.calls
    )
    said = ChatMessage(role="assistant", content=event.content, tool_requests=requests)
    heard = replace(
        state,
        messages=(*state.messages, said),
        flags=united(state.flags, event.flags),
        spent=state.spent + event.spent,
    )
    if state.stage is Stage.PLAN and not event.refused:
        # What it asks to call all the same is not called yet: an endpoint that cannot be told so is told by the plan.
        plan = ChatMessage(role="assistant", content=event.content.strip() or "I have no plan.")
        return take_plan(replace(heard, messages=(*state.messages, plan)))
    if event.refused or (not event.calls and event.content.strip() and not is_cut):
        return take_answer(replace(heard, output=event.content), event)
    if state.stage is Stage.REFLECT and not event.calls:
        return run_out(replace(heard, messages=state.messages), "the model said nothing, or too much")
    output = state.output if REFLECTED in state.told else event.content or state.output
    heard = replace(heard, output=output, stage=Stage.ACT)
    if event.calls:
        return take_calls(heard if is_cut else forget(heard, _BAD_REPLIES), event.calls, is_cut=is_cut)
    if is_cut:
        told = "Your answer was cut at its longest. Answer again, shorter."
        return tell_once(heard, kind="cut", text=told, failure="model: cut twice at its longest answer")
    told = "Your reply was empty. Answer the question, or call a tool."
    failure = f"model: found an empty answer twice (finish reason `{event.finish_reason}`); expected text"
    return tell_once(heard, kind="empty", text=told, failure=failure)


def _taken_up(state: RunState, event: TakenUp) -> Step:
    # A run that waits may be looked at as often as anybody likes: only work that was cut off counts.
    take_ups = 0 if state.has_paused else 1
    status = Status.READY if state.phase in {Phase.READY_FOR_LLM, Phase.TOOL_CALLS_PENDING} else Status.PENDING
    spent = state.spent + Spent(take_ups=take_ups, active_s=event.lost_s)
    taken = replace(state, status=status, waits_for_agent=False, error=None, spent=spent)
    if taken.spent.take_ups > MOST_TAKE_UPS:
        return fail(taken, f"crashes: taken up {MOST_TAKE_UPS} times and never ended")
    happening = Happening(reason="TakenUp", message=f"In phase {state.phase.value}")
    match state.phase:
        case Phase.INITIALIZING:
            return Step(state=taken, history=(happening,), effect=Effect.VALIDATE)
        case Phase.PENDING:
            opening = replace(taken, detail="Opening the agent")
            return Step(state=opening, history=(happening,), effect=Effect.OPEN_AGENT)
        case Phase.READY_FOR_LLM:
            return ask(taken, history=(happening,))
        case _:
            return take_up_calls(taken, happening)


def _cancelled(state: RunState, event: Cancelled) -> Step:
    why = f": {event.reason}" if event.reason else ""
    return fail(state, f"cancelled by {event.by}{why}", reason="Cancelled")


def _deadline_passed(state: RunState, event: DeadlinePassed) -> Step:
    return fail(state, f"deadline: it had to be over by {event.deadline}", reason="DeadlinePassed")


def _broke(state: RunState, event: Broke) -> Step:
    broken = replace(state, flags=united(state.flags, event.flags), spent=state.spent + event.spent)
    if state.phase is Phase.READY_FOR_LLM:
        return run_out(broken, event.reason)
    reason = "ValidationFailed" if state.phase is Phase.INITIALIZING else "RunFailed"
    return fail(broken, event.reason, reason=reason)


def _abandoned(state: RunState, event: Abandoned) -> Step:
    return fail(state, event.reason, reason="Abandoned")


_FOLLOW: Final[Mapping[type[Event], Callable[[RunState, Any], Step]]] = {
    Validated: _validated,
    AgentUnavailable: _agent_unavailable,
    AgentFound: _agent_found,
    AgentReady: _agent_ready,
    Answered: _answered,
    ModelReplied: _model_replied,
    ToolReturned: tool_returned,
    ToolWaits: tool_waits,
    PersonSpoke: person_spoke,
    TakenUp: _taken_up,
    Cancelled: _cancelled,
    DeadlinePassed: _deadline_passed,
    Broke: _broke,
    Abandoned: _abandoned,
}
