"""The steps that a run can take, whatever led to them."""

import enum
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from goldgate.domain.conversation import ChatMessage
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs import loops
from goldgate.domain.runs.limits import near_limits, past_limit
from goldgate.domain.runs.state import Phase, RunState, Status

REFLECTED = "reflect"
"""What is remembered of a run whose model was asked to think its answer over: `output` is that answer from then on."""

NOTE = "[note] "
"""How a message begins that the runtime itself writes to the model, in the role of the user."""


class Effect(enum.Enum):
    """What is to be done after a state was recorded."""

    VALIDATE = "validate"
    OPEN_AGENT = "open_agent"
    ASK_MODEL = "ask_model"
    CALL_TOOLS = "call_tools"
    """Make every call that is `STARTED` and not on its way yet, side by side."""
    STOP = "stop"
    """Nothing now: the run is over, or waits until somebody works on it again."""


@dataclass(frozen=True, kw_only=True)
class Happening:
    """One line of a run's history."""

    reason: str
    """One CamelCase word."""
    message: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """What follows from an event."""

    state: RunState
    """To be recorded before anything is done."""
    history: tuple[Happening, ...]
    effect: Effect


class IllegalTransitionError(PermanentError):
    """Something happened that cannot happen in this phase."""


def step(state: RunState, effect: Effect, reason: str, message: str) -> Step:
    """Go on as a state says, for one reason."""
    return Step(state=state, history=(Happening(reason=reason, message=message),), effect=effect)


def fail(state: RunState, why: str, *, reason: str = "RunFailed", history: tuple[Happening, ...] = ()) -> Step:
    """End the run without an answer. What it has stays in `output`."""
    failed = replace(state, phase=Phase.FAILED, status=Status.ERROR, detail=why, waits_for_agent=False, error=why)
    return Step(state=failed, history=(*history, Happening(reason=reason, message=why)), effect=Effect.STOP)


def final(
    state: RunState,
    *,
    output: str,
    refused: bool,
    citations: tuple[str, ...] = (),
    flags: tuple[str, ...] = (),
) -> Step:
    """End the run with an answer."""
    done = replace(
        state,
        phase=Phase.FINAL_ANSWER,
        status=Status.READY,
        detail="Refused" if refused else "Answered",
        error=None,
        output=output,
        refused=refused,
        citations=citations,
        calls=(),
        flags=united(state.flags, flags),
    )
    return step(done, Effect.STOP, "LLMFinalAnswer", done.detail)


def run_out(state: RunState, why: str, *, history: tuple[Happening, ...] = ()) -> Step:
    """End a run that may not go on: with the answer that was thought over, if there is one, else without."""
    if REFLECTED not in state.told or not state.output:
        return fail(state, why, history=history)
    said = ChatMessage(role="assistant", content=state.output)
    answered = replace(state, messages=(*state.messages, said))
    ended = final(answered, output=state.output, refused=False, citations=state.citations)
    return replace(ended, history=(*history, Happening(reason="ReflectionFailed", message=why), *ended.history))


def ask(state: RunState, *, history: tuple[Happening, ...] = ()) -> Step:
    """Ask the model next, if the limits leave room for it."""
    if (past := past_limit(state.limits, state.spent)) is not None:
        return run_out(state, past, history=history)
    notes = list(near_limits(state.limits, state.spent))
    # Once for each round of results: a model that is asked again about the same ones has not gone on.
    if state.messages and state.messages[-1].role == "tool":
        stale = loops.find_staleness(state.trail)
        if stale is None:
            state = forget(state, {loops.STALENESS})
        elif stale.signature in state.told:
            return run_out(state, f"loop: {stale.description}, and it goes on after it was told", history=history)
        else:
            notes.append((stale.signature, f"Nothing new comes: {stale.description}. Answer now, with what you have."))
    fresh = [(kind, text) for kind, text in notes if kind not in state.told]
    told = tuple(ChatMessage(role="user", content=NOTE + text) for _, text in fresh)
    asking = replace(
        state,
        phase=Phase.READY_FOR_LLM,
        status=Status.READY,
        detail="Asking the model",
        error=None,
        messages=(*state.messages, *told),
        told=(*state.told, *(kind for kind, _ in fresh)),
    )
    asked = Happening(reason="SendingContextWindowToLLM", message=f"{len(asking.messages)} messages")
    return Step(state=asking, history=(*history, asked), effect=Effect.ASK_MODEL)


def forget(state: RunState, kinds: AbstractSet[str]) -> RunState:
    """Let what the model was told be told anew: it goes well again."""
    return replace(state, told=tuple(kind for kind in state.told if kind not in kinds))


def tell_once(state: RunState, *, kind: str, text: str, failure: str) -> Step:
    """Tell the model what was wrong with its reply and ask again; the second time the run fails."""
    if kind in state.told:
        return run_out(state, failure)
    note = ChatMessage(role="user", content=NOTE + text)
    return ask(replace(state, messages=(*state.messages, note), told=(*state.told, kind)))


def united(flags: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """Join flags, each once, in the order they were raised."""
    return tuple(dict.fromkeys((*flags, *more)))
