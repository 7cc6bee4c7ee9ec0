"""Plan before acting, and reflect before answering: one more reply of the model each, where an agent asks for it."""

from dataclasses import replace
from typing import Final

from goldgate.domain.conversation import ChatMessage
from goldgate.domain.runs.events import ModelReplied
from goldgate.domain.runs.limits import past_limit
from goldgate.domain.runs.state import RunState, Stage
from goldgate.domain.runs.steps import NOTE, REFLECTED, Happening, Step, ask, final

_PLAN: Final = (
    "Before you begin: in a few lines, say what you need to find out and with which tools. Call nothing and answer "
    "nothing yet."
)
_ACT: Final = "Now do it. Change the plan where what you find asks for it."
_REFLECT: Final = (
    "Before this goes out: hold your answer against the question and against what you were given and what the tools "
    "returned. Reply with the answer alone: as it is if it holds, else corrected."
)


def begin(state: RunState, *, history: tuple[Happening, ...] = ()) -> Step:
    """Ask for a plan if the agent plans and there is room for it and for acting on it, else begin to act."""
    if not state.habits.plans or state.limits.max_steps - state.spent.steps < 2:  # noqa: PLR2004 - the plan, and one more
        return ask(state, history=history)
    return ask(_noted(replace(state, stage=Stage.PLAN), _PLAN), history=history)


def take_plan(state: RunState) -> Step:
    """Go on from the plan to acting. Whatever the model wrote is its plan, cut or empty as it may be."""
    happening = Happening(reason="PlanMade", message=f"{len(state.messages[-1].content)} characters")
    return ask(_noted(replace(state, stage=Stage.ACT), _ACT), history=(happening,))


def take_answer(state: RunState, event: ModelReplied) -> Step:
    """Take an answer: let the model reflect on it once if the agent does so and there is room, else end with it."""
    draft = replace(state, citations=event.citations)
    reflects = state.habits.reflects and REFLECTED not in state.told and not event.refused
    if not reflects or past_limit(state.limits, state.spent) is not None:
        return final(draft, output=event.content, refused=event.refused, citations=event.citations)
    happening = Happening(reason="Reflecting", message=f"{len(event.content)} characters")
    reflecting = replace(draft, stage=Stage.REFLECT, told=(*state.told, REFLECTED))
    return ask(_noted(reflecting, _REFLECT), history=(happening,))


def _noted(state: RunState, text: str) -> RunState:
    return replace(state, messages=(*state.messages, ChatMessage(role="user", content=NOTE + text)))
