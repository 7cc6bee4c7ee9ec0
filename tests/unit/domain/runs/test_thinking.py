"""Planning and reflecting are habits of an agent: one more reply each, and never what an answer is lost by."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.conversation import ChatMessage
from goldgate.domain.runs.events import AgentReady, Broke, Event, ModelReplied, TakenUp, ToolReturned
from goldgate.domain.runs.machine import advance
from goldgate.domain.runs.state import Call, Habits, Limits, Nature, Phase, RunState, Stage
from goldgate.domain.runs.steps import NOTE, REFLECTED, Effect, Step

QUESTION = (ChatMessage(role="system", content="Help."), ChatMessage(role="user", content="1+1?"))
ADD = ModelReplied(content="", calls=(Call(id="a", name="add", arguments="{}", nature=Nature.PURE),))
RETURNED = ToolReturned(call_id="a", content="2")


def says(text: str, *, finish_reason: str = "stop") -> ModelReplied:
    return ModelReplied(content=text, citations=("p1",) if text else (), finish_reason=finish_reason)


def run(*events: Event, plans: bool = False, reflects: bool = False, max_steps: int = 8) -> Step:
    ready = AgentReady(
        messages=QUESTION, habits=Habits(plans=plans, reflects=reflects), limits=Limits(max_steps=max_steps)
    )
    step = advance(RunState(run_id="r", phase=Phase.PENDING), ready)
    for event in events:
        step = advance(step.state, event)
    return step


def notes(step: Step) -> list[str]:
    return [m.content for m in step.state.messages if m.role == "user" and m.content.startswith(NOTE)]


class TestPlanning:
    def test_is_asked_for_before_anything_is_done(self):
        step = run(plans=True)

        assert (step.effect, step.state.stage) == (Effect.ASK_MODEL, Stage.PLAN)
        assert notes(step)[0].startswith(f"{NOTE}Before you begin")

    def test_is_followed_by_acting_with_the_plan_in_sight(self):
        step = run(says("First I add."), plans=True)

        assert (step.effect, step.state.stage, step.state.phase) == (
            Effect.ASK_MODEL,
            Stage.ACT,
            Phase.READY_FOR_LLM,
        )
        assert [m.content for m in step.state.messages if m.role == "assistant"] == ["First I add."]
        assert run(says("First I add."), ADD, RETURNED, says("2"), plans=True).state.output == "2"

    @pytest.mark.parametrize("reply", [says(""), says("I would", finish_reason="length"), ADD])
    def test_calls_nothing_and_fails_by_nothing(self, reply):
        step = run(reply, plans=True)

        assert (step.state.stage, step.effect, step.state.calls) == (Stage.ACT, Effect.ASK_MODEL, ())
        assert all(not m.tool_requests for m in step.state.messages)

    def test_is_left_out_where_no_reply_would_be_left_to_act(self):
        assert run(plans=True, max_steps=1).state.stage is Stage.ACT

    def test_survives_a_process(self):
        step = run(TakenUp(), plans=True)

        assert (step.state.stage, step.effect) == (Stage.PLAN, Effect.ASK_MODEL)


class TestReflecting:
    def test_holds_an_answer_back_once(self):
        step = run(says("3"), reflects=True)

        assert (step.state.phase, step.state.stage) == (Phase.READY_FOR_LLM, Stage.REFLECT)
        assert notes(step)[0].startswith(f"{NOTE}Before this goes out")
        assert run(says("3"), says("2"), reflects=True).state.output == "2"

    def test_may_call_tools_again_and_is_done_once_all_the_same(self):
        step = run(says("3"), ADD, RETURNED, says("2"), reflects=True)

        assert (step.state.phase, step.state.output) == (Phase.FINAL_ANSWER, "2")

    @pytest.mark.parametrize(
        "event", [says(""), says("2 an", finish_reason="length"), Broke(reason="model: unavailable")]
    )
    def test_that_comes_to_nothing_leaves_the_answer_as_it_was(self, event):
        step = run(says("2"), event, reflects=True)

        assert (step.state.phase, step.state.output, step.state.citations) == (Phase.FINAL_ANSWER, "2", ("p1",))
        assert step.state.messages[-1] == ChatMessage(role="assistant", content="2")
        assert [each.reason for each in step.history] == ["ReflectionFailed", "LLMFinalAnswer"]

    def test_that_goes_on_to_act_and_runs_out_leaves_the_answer_as_it_was(self):
        words = replace(ADD, content="Let me look again.")

        step = run(says("2"), words, RETURNED, words, reflects=True, max_steps=3)

        assert (step.state.phase, step.state.output, step.state.citations) == (Phase.FINAL_ANSWER, "2", ("p1",))
        assert step.history[-2].message.startswith("max_steps: ")

    def test_is_left_out_where_no_reply_is_left(self):
        assert run(says("2"), reflects=True, max_steps=1).state.phase is Phase.FINAL_ANSWER

    def test_does_not_hold_a_refusal_back(self):
        refusal = ModelReplied(content="No.", refused=True)

        assert run(refusal, reflects=True).state.phase is Phase.FINAL_ANSWER


class TestHabits:
    @given(
        st.booleans(),
        st.booleans(),
        st.integers(1, 6),
        st.lists(st.sampled_from([ADD, says("x"), says("")]), max_size=12),
    )
    def test_never_keep_a_run_from_its_end(self, plans, reflects, max_steps, replies):
        """Every reply is counted, so that thinking ends where the steps do."""
        step = run(plans=plans, reflects=reflects, max_steps=max_steps)
        replies = iter([*replies, *[says("end")] * 20])
        while step.effect is not Effect.STOP:
            step = advance(step.state, RETURNED if step.effect is Effect.CALL_TOOLS else next(replies))

        assert step.state.phase.is_terminal
        assert step.state.spent.steps <= max_steps
        # An answer that was there is never lost by thinking it over.
        assert REFLECTED not in step.state.told or step.state.phase is Phase.FINAL_ANSWER
