"""The calls of a model's reply: from what it asked for to what came back."""

import json
from dataclasses import replace
from typing import Final

from goldgate.domain.conversation import ChatMessage
from goldgate.domain.digest import digest_bytes, digest_json, short
from goldgate.domain.runs import loops
from goldgate.domain.runs.events import PersonSpoke, ToolReturned, ToolWaits, Word
from goldgate.domain.runs.limits import past_limit
from goldgate.domain.runs.state import Call, Fate, Made, Nature, Need, Phase, RunState, Spent, Status
from goldgate.domain.runs.steps import Effect, Happening, IllegalTransitionError, Step, ask, fail, run_out, united

_DENIED: Final = {
    Need.APPROVAL: "Not called: a person refused it",
    Need.ANSWER: "A person was asked and gives no answer",
    Need.FATE: "Called once, and nobody knows whether it acted; a person says that it is not to be made again",
}
"""What the model reads when a person denies, by what was asked."""


def told_apart(calls: tuple[Call, ...]) -> tuple[Call, ...]:
    """Give every call of a reply an id of its own: some endpoints give none, or the same to all."""
    taken: set[str] = set()
    apart: list[Call] = []
    for position, call in enumerate(calls):
        found = call.id or "call"
        own = found if call.id and found not in taken else f"{found}-{position}"
        while own in taken:
            own += "x"
        taken.add(own)
        apart.append(replace(call, id=own))
    return tuple(apart)


def take_calls(state: RunState, asked: tuple[Call, ...], *, is_cut: bool) -> Step:
    """Take the calls of a reply: those that may be made are started, those in a loop are not."""
    if (past := past_limit(state.limits, state.spent)) is not None:
        # Nobody would read what they return.
        return run_out(state, past)
    taken: list[Call] = []
    told, trail = state.told, state.trail
    for position, call in enumerate(asked):
        digest = _digest(call)
        numbered = replace(call, key=f"{state.run_id}-{state.spent.tool_calls + position}")
        repeats = ""
        if is_cut:
            text = "Not called: your output was cut at its longest, so its arguments may be too. Ask again, shorter."
            numbered = _done(numbered, text)
        elif call.fate is not Fate.DONE and (loop := loops.find_loop(trail, digest)) is not None:
            # What is told in this very reply the model has not read yet.
            if loop.signature in state.told:
                return run_out(state, f"loop: {loop.description}, and goes on after it was told")
            told, repeats = tuple(dict.fromkeys((*told, loop.signature))), loops.NOT_MADE
            text = f"Not called: {loop.description}. Do something else, or answer with what you have."
            numbered = _done(numbered, text)
        trail = (*trail, Made(call=digest, result=repeats))[-loops.TRAIL :]
        taken.append(numbered)
    calling = replace(
        state,
        phase=Phase.TOOL_CALLS_PENDING,
        status=Status.READY,
        error=None,
        calls=tuple(taken),
        told=told,
        trail=trail,
        spent=state.spent + Spent(tool_calls=len(taken)),
    )
    created = [Happening(reason="ToolCallCreated", message=f"`{call.name}` ({call.id})") for call in taken]
    history = (Happening(reason="ToolCallsPending", message=f"Calls to make: {len(taken)}"), *created)
    return go_on_with_calls(calling, history)


def tool_returned(state: RunState, event: ToolReturned) -> Step:
    """Note what a call gave; when it was the last, ask the model."""
    call = _known(state, event.call_id, fate=Fate.STARTED)
    done = replace(call, fate=Fate.DONE, content=event.content, is_error=event.is_error)
    returned = replace(state.with_call(done), flags=united(state.flags, event.flags), spent=state.spent + event.spent)
    verb = "failed" if event.is_error else "returned"
    history = (Happening(reason="ToolCallCompleted", message=f"`{call.name}` {verb}"),)
    if event.is_fate_unknown and state.can_wait and call.nature in {Nature.ASK, Nature.FAIL}:
        lost = Happening(reason="ToolCallLost", message=f"`{call.name}`: nobody knows whether it acted")
        return _resolve(replace(returned, calls=state.calls), (call,), (lost,))
    return go_on_with_calls(returned, history)


def tool_waits(state: RunState, event: ToolWaits) -> Step:
    """Leave a call until the run is taken up: it waits for somebody elsewhere, and is then made again."""
    call = _known(state, event.call_id, fate=Fate.STARTED)
    parked = replace(call, fate=Fate.PARKED, question=event.reason)
    waiting = replace(state.with_call(parked), spent=state.spent + Spent(active_s=event.active_s))
    return go_on_with_calls(waiting, (Happening(reason="Waiting", message=f"`{call.name}`: {event.reason}"),))


def person_spoke(state: RunState, event: PersonSpoke) -> Step:
    """Do with a call what a person says."""
    call = _known(state, event.call_id, fate=Fate.AWAITED)
    who = event.by or "a person"
    match call.need, event.word:
        case Need.ANSWER, Word.APPROVE:
            raise IllegalTransitionError(f"Found an approval of `{call.id}`, which asks a question; expected a text.")
        case _, Word.APPROVE:
            after = replace(call, fate=Fate.STARTED, need=Need.NOTHING)
        case Need.APPROVAL, Word.ANSWER:
            raise IllegalTransitionError(
                f"Found a text for `{call.id}`, which asks for approval; expected approve or deny."
            )
        case _, Word.ANSWER:
            after = replace(call, fate=Fate.DONE, content=event.text)
        case _:
            why = f": {event.text}" if event.text else "."
            after = _done(call, f"{_DENIED[call.need]}{why}")
    spoken = replace(state.with_call(after), status=Status.READY, error=None)
    said = Happening(reason="PersonSpoke", message=f"{who}: {event.word.value} `{call.name}` ({call.id})")
    return go_on_with_calls(spoken, (said,))


def take_up_calls(state: RunState, happening: Happening) -> Step:
    """Go on with calls that were on their way when the process ended, each by its nature."""
    unknown = tuple(call for call in state.calls if call.fate is Fate.STARTED)
    calls = tuple(replace(call, fate=Fate.STARTED) if call.fate is Fate.PARKED else call for call in state.calls)
    return _resolve(replace(state, calls=calls), unknown, (happening,))


def _resolve(state: RunState, unknown: tuple[Call, ...], history: tuple[Happening, ...]) -> Step:
    if failing := [call for call in unknown if call.nature is Nature.FAIL]:
        names = ", ".join(f"`{call.name}` ({call.id})" for call in failing)
        reason = f"interrupted: nobody knows whether {names} acted, and it may not be made twice. Look, then start anew"
        return fail(state, reason, history=history)
    for call in unknown:
        if call.nature is Nature.ASK:
            question = (
                f"`{call.name}` was started with {call.arguments} and never came back. Did it act? Approve to make it "
                "again, deny to leave it, or answer with what it returned."
            )
            state = state.with_call(replace(call, fate=Fate.AWAITED, need=Need.FATE, question=question))
    return go_on_with_calls(state, history)


def go_on_with_calls(state: RunState, history: tuple[Happening, ...]) -> Step:
    """Make the calls that are started; without any, wait for those that somebody has to speak about, else ask on."""
    fates = {call.fate for call in state.calls}
    if Fate.STARTED in fates:
        open_calls = sum(call.fate is not Fate.DONE for call in state.calls)
        calling = replace(state, detail=f"Calls to make: {open_calls}")
        return Step(state=calling, history=history, effect=Effect.CALL_TOOLS)
    if fates & {Fate.AWAITED, Fate.PARKED}:
        return _wait(state, history)
    done = Happening(reason="AllToolCallsCompleted", message=f"Calls made: {len(state.calls)}")
    return ask(_collected(state), history=(*history, done))


def _wait(state: RunState, history: tuple[Happening, ...]) -> Step:
    waits = [call for call in state.calls if call.fate in {Fate.AWAITED, Fate.PARKED}]
    if not state.can_wait:
        text = "Not called: it waits for a person, and nobody can be asked here. Answer without it."
        for call in waits:
            state = state.with_call(_done(call, text))
        return go_on_with_calls(state, history)
    if (past := past_limit(state.limits, state.spent)) is not None:
        # Whatever a person said, the model could not be asked on.
        lost = ", ".join(f"`{call.name}` ({call.id})" for call in waits if call.need is Need.FATE)
        return fail(state, f"{past}; nobody knows whether {lost} acted" if lost else past, history=history)
    needs = (
        f"{call.need.value} of `{call.name}`" if call.need is not Need.NOTHING else call.question for call in waits
    )
    waiting = replace(state, status=Status.PENDING, detail="Waiting for a person: " + "; ".join(needs))
    asked = tuple(Happening(reason="WaitingForPerson", message=call.question or call.name) for call in waits)
    return Step(state=waiting, history=(*history, *asked), effect=Effect.STOP)


def _collected(state: RunState) -> RunState:
    results = tuple(
        ChatMessage(role="tool", content=call.content, tool_call_id=call.id, is_error=call.is_error)
        for call in state.calls
    )
    before, last = state.trail[: -len(state.calls)], state.trail[-len(state.calls) :]
    trail = tuple(
        made if made.result else replace(made, result=_result_digest(call))
        for made, call in zip(last, state.calls[-len(last) :], strict=True)
    )
    return replace(state, messages=(*state.messages, *results), calls=(), trail=(*before, *trail))


def _known(state: RunState, call_id: str, *, fate: Fate) -> Call:
    call = state.call(call_id)
    if call is None or call.fate is not fate:
        of_fate = ", ".join(f"`{each.id}`" for each in state.calls if each.fate is fate) or "none"
        found = "no such call" if call is None else f"one that is {call.fate.value}"
        raise IllegalTransitionError(
            f"Found {found} by the id `{call_id}`; expected one that is {fate.value}: {of_fate}."
        )
    return call


def _done(call: Call, content: str) -> Call:
    return replace(call, fate=Fate.DONE, content=content, is_error=True)


def _result_digest(call: Call) -> str:
    content = short(digest_bytes(call.content.encode()))
    return content if call.nature is Nature.PURE or call.is_error else f"{loops.ACT}{content}"


def _digest(call: Call) -> str:
    """Name a call by what it asks, however its JSON is written."""
    try:
        arguments = json.loads(call.arguments or "{}")
        return short(digest_json([call.name, arguments]))
    except (ValueError, RecursionError):
        return short(digest_json([call.name, call.arguments]))
