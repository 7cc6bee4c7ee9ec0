"""Ask other agents in this process, without records: what a served request does."""

import time
from collections.abc import Mapping

from goldgate.agent.loop import drive
from goldgate.agent.trace import Stopwatch
from goldgate.contracts.prediction import PredictRequest
from goldgate.contracts.run_mapping import run_limits
from goldgate.domain.runs.state import Limits, Phase, RunState
from goldgate.domain.runs.steps import Effect, Step
from goldgate.ports.agents import Agent, DelegateReply, Work


class InProcessDelegate:
    """Implements `goldgate.ports.agents.Delegate`: every asking is a new run in memory."""

    def __init__(self, agents: Mapping[str, Agent], *, trace_id: str, parent_span_id: str) -> None:
        self._agents = agents
        self._trace_id = trace_id
        self._parent_span_id = parent_span_id

    def ask(self, agent: str, message: str, *, key: str, limits: Limits, depth: int) -> DelegateReply:
        """Ask once. The answer, or why there is none, is the result of the call."""
        work = self._agents[agent].work(
            PredictRequest(question=message, trace_id=self._trace_id),
            parent_span_id=self._parent_span_id,
            depth=depth,
            limits=run_limits(limits),
        )
        state = finish(work, run_id=key)
        work.respond(state)
        return reply_of(agent, state)


def opening(run_id: str) -> Step:
    """Begin a run in memory."""
    return Step(state=RunState(run_id=run_id, phase=Phase.PENDING), history=(), effect=Effect.OPEN_AGENT)


def finish(work: Work, *, run_id: str, stopwatch: Stopwatch = time.perf_counter) -> RunState:
    """Drive a work to its end, in memory."""
    return drive(opening(run_id), work, stopwatch=stopwatch).state


def reply_of(agent: str, state: RunState) -> DelegateReply:
    """Tell the asking model what became of a run of another agent."""
    if state.phase is Phase.FINAL_ANSWER:
        return DelegateReply(content=state.output or "", is_error=False, spent=state.spent)
    had = f" It had: {state.output}" if state.output else ""
    return DelegateReply(
        content=f"Agent `{agent}` gave no answer ({state.error}).{had}", is_error=True, spent=state.spent
    )
