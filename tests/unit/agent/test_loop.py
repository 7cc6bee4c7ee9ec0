import itertools
import threading
from dataclasses import replace

import pytest

from goldgate.agent.loop import drive
from goldgate.domain.runs.events import (
    AgentReady,
    Answered,
    Broke,
    Cancelled,
    ModelReplied,
    PersonSpoke,
    ToolReturned,
    ToolWaits,
    Word,
)
from goldgate.domain.runs.state import Call, Fate, Limits, Need, Phase, RunState
from goldgate.domain.runs.steps import Effect, Step
from tests.fakes.scripted_work import ScriptedWork, gives, wants

ANSWER = ModelReplied(content="42")


def opening(*, can_wait: bool = False) -> Step:
    state = RunState(run_id="r", phase=Phase.PENDING, can_wait=can_wait)
    return Step(state=state, history=(), effect=Effect.OPEN_AGENT)


def nothing(_: RunState) -> None:
    """Nothing happens from outside."""


@pytest.fixture(params=[None, nothing], ids=["in this thread", "beside a watch"])
def interrupted(request):
    return request.param


class TestDrive:
    def test_goes_from_question_to_answer(self, interrupted):
        work = ScriptedWork(wants("add"), ANSWER)

        step = drive(opening(), work, interrupted=interrupted)

        assert (step.state.phase, step.state.output) == (Phase.FINAL_ANSWER, "42")
        assert [m.role for m in step.state.messages] == ["assistant", "tool", "assistant"]

    def test_records_every_step_before_it_is_acted_on(self, interrupted):
        happened: list[str] = []

        class Watched(ScriptedWork):
            def ask(self, state):
                happened.append("ask")
                return super().ask(state)

            def call(self, state, call):
                happened.append(call.name)
                return super().call(state, call)

        def record(step: Step) -> None:
            happened.append(f"record {step.effect.value}")

        drive(opening(), Watched(wants("add"), ANSWER), record=record, interrupted=interrupted)

        assert happened == [
            "record ask_model",
            "ask",
            "record call_tools",
            "add",
            "record ask_model",
            "ask",
            "record stop",
        ]

    def test_acts_on_nothing_that_could_not_be_recorded(self, interrupted):
        work = ScriptedWork(wants("add"), ANSWER)

        def record(step: Step) -> None:
            if step.effect is Effect.CALL_TOOLS:
                raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            drive(opening(), work, record=record, interrupted=interrupted)
        assert work.made == []

    def test_makes_the_calls_of_one_reply_side_by_side(self, interrupted):
        together = threading.Barrier(3, timeout=20)

        def tool(call: Call) -> ToolReturned:
            together.wait()
            return gives(call)

        work = ScriptedWork(wants("a", "b", "c"), ANSWER, tool=tool)

        step = drive(opening(), work, interrupted=interrupted)

        assert [m.content for m in step.state.messages if m.role == "tool"] == ["a of r-0", "b of r-1", "c of r-2"]

    def test_makes_no_more_calls_at_a_time_than_it_may(self, interrupted):
        running = itertools.count()
        most, lock = [0], threading.Lock()
        now = [0]

        def tool(call: Call) -> ToolReturned:
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            next(running)
            with lock:
                now[0] -= 1
            return gives(call)

        work = ScriptedWork(wants(*"abcdefgh"), ANSWER, tool=tool)

        step = drive(opening(), work, interrupted=interrupted, side_by_side=2)

        assert step.state.phase is Phase.FINAL_ANSWER
        assert most[0] <= 2
        assert len(work.made) == 8

    def test_counts_the_time_of_every_effect_once(self, interrupted):
        ticks = itertools.count()

        step = drive(
            opening(), ScriptedWork(wants("a", "b"), ANSWER), interrupted=interrupted, stopwatch=lambda: next(ticks)
        )

        # One tick each for: ready, reply, two results, answer.
        assert step.state.spent.active_s == 5

    def test_does_not_add_the_time_of_a_sub_agent_to_the_time_that_passed(self):
        ticks = itertools.count()

        def tool(call: Call) -> ToolReturned:
            returned = gives(call)
            return replace(returned, spent=replace(returned.spent, active_s=100.0, cost_usd=2.0))

        step = drive(opening(), ScriptedWork(wants("a"), ANSWER, tool=tool), stopwatch=lambda: next(ticks))

        assert (step.state.spent.active_s, step.state.spent.cost_usd) == (4, 2.0)

    @pytest.mark.parametrize("begins", [Answered(output="No.", refused=True), Broke(reason="question: empty")])
    def test_ends_at_once_where_no_model_is_needed(self, interrupted, begins):
        work = ScriptedWork(ANSWER, begins=begins)

        step = drive(opening(), work, interrupted=interrupted)

        assert step.state.phase.is_terminal
        assert work.asked == []

    def test_hands_on_what_a_work_raises_although_it_should_not(self, interrupted):
        def tool(call: Call) -> ToolReturned:
            raise KeyError(call.name)

        with pytest.raises(KeyError):
            drive(opening(), ScriptedWork(wants("a", "b"), ANSWER, tool=tool), interrupted=interrupted)


class TestWaiting:
    def test_ends_the_drive_when_only_a_person_can_go_on(self, interrupted):
        work = ScriptedWork(wants("pay", fate=Fate.AWAITED), ANSWER)

        step = drive(opening(can_wait=True), work, interrupted=interrupted)

        assert step.state.is_waiting_for_a_person
        assert work.made == []

    def test_is_told_to_the_model_where_nobody_can_be_asked(self, interrupted):
        work = ScriptedWork(wants("pay", fate=Fate.AWAITED), ANSWER)

        step = drive(opening(), work, interrupted=interrupted)

        assert step.state.output == "42"
        assert "nobody can be asked here" in step.state.messages[1].content

    def test_for_another_agent_lets_the_other_calls_finish_first(self, interrupted):
        def tool(call: Call) -> ToolReturned | ToolWaits:
            return ToolWaits(call_id=call.id, reason="asks a person") if call.name == "agent" else gives(call)

        work = ScriptedWork(wants("agent", "add"), ANSWER, tool=tool)

        step = drive(opening(can_wait=True), work, interrupted=interrupted)

        assert [call.fate for call in step.state.calls] == [Fate.PARKED, Fate.DONE]
        assert step.effect is Effect.STOP


class TestInterruptions:
    def test_that_cancel_are_heard_while_the_model_is_asked(self):
        hangs, asked = threading.Event(), threading.Event()

        class Hanging(ScriptedWork):
            def ask(self, state):
                asked.set()
                hangs.wait(20)
                return super().ask(state)

        step = drive(opening(), Hanging(ANSWER), interrupted=lambda _: Cancelled(by="jo") if asked.is_set() else None)
        hangs.set()

        assert (step.state.phase, step.state.error) == (Phase.FAILED, "cancelled by jo")

    def test_that_answer_one_call_are_heard_while_another_runs(self):
        approved = threading.Event()

        def tool(call: Call) -> ToolReturned:
            if call.name == "slow":
                approved.wait(20)
            else:
                approved.set()
            return gives(call)

        def person(state: RunState):
            waits = [call for call in state.calls if call.fate is Fate.AWAITED]
            return PersonSpoke(call_id=waits[0].id, word=Word.APPROVE, by="jo") if waits else None

        reply = wants("slow", "pay")
        asked = replace(reply.calls[1], fate=Fate.AWAITED, need=Need.APPROVAL)
        work = ScriptedWork(replace(reply, calls=(reply.calls[0], asked)), ANSWER, tool=tool)

        step = drive(opening(can_wait=True), work, interrupted=person)

        assert step.state.output == "42"
        assert sorted(call.name for call in work.made) == ["pay", "slow"]

    def test_leave_what_still_runs_alone(self):
        """What comes after the end of a run is thrown away, and does not reach another drive."""
        late = threading.Event()

        def tool(call: Call) -> ToolReturned:
            late.wait(20)
            return gives(call)

        work = ScriptedWork(wants("slow"), ANSWER, tool=tool)

        step = drive(
            opening(), work, interrupted=lambda s: Cancelled(by="jo") if s.phase is Phase.TOOL_CALLS_PENDING else None
        )
        late.set()

        assert step.state.phase is Phase.FAILED
        assert len(work.asked) == 1


class TestLimits:
    def test_end_the_run_with_what_it_has(self):
        first = replace(wants("add"), content="Half of it.")
        work = ScriptedWork(first, begins=AgentReady(messages=(), limits=Limits(max_steps=1)))

        step = drive(opening(), work)

        assert (step.state.error, step.state.output) == ("max_steps: all 1 model calls are used up", "Half of it.")
        assert work.made == []
