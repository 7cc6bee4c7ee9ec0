import pytest
from goldgate.domain.task_run import (
    AgentReady,
    AgentUnavailable,
    Answered,
    Broke,
    Effect,
    IllegalTransitionError,
    Phase,
    RunState,
    Status,
    ToolsDone,
    ToolsRequested,
    Validated,
    advance,
)
from hypothesis import given
from hypothesis import strategies as st

events = st.sampled_from(
    [
        Validated(),
        AgentUnavailable(reason="no agent"),
        AgentReady(),
        ToolsRequested(count=2),
        ToolsDone(count=2),
        Answered(output="42"),
        Broke(reason="broken"),
    ]
)


class TestAdvance:
    def test_leads_a_run_with_tools_to_its_answer(self):
        state, seen = RunState(), []
        for event in (Validated(), AgentReady(), ToolsRequested(count=1), ToolsDone(count=1), Answered(output="42")):
            step = advance(state, event)
            state = step.state
            seen.append((state.phase, step.effect, step.reason))

        assert seen == [
            (Phase.PENDING, Effect.OPEN_AGENT, "ValidationSucceeded"),
            (Phase.READY_FOR_LLM, Effect.ASK_MODEL, "SendingContextWindowToLLM"),
            (Phase.TOOL_CALLS_PENDING, Effect.CALL_TOOLS, "ToolCallsPending"),
            (Phase.READY_FOR_LLM, Effect.ASK_MODEL, "AllToolCallsCompleted"),
            (Phase.FINAL_ANSWER, Effect.STOP, "LLMFinalAnswer"),
        ]
        assert (state.output, state.status, state.error) == ("42", Status.READY, None)

    def test_waits_for_an_agent_and_goes_on_when_it_is_there(self):
        opening = advance(RunState(), Validated()).state

        waiting = advance(opening, AgentUnavailable(reason="no agent"))
        again = advance(waiting.state, Validated())

        assert (waiting.state.phase, waiting.state.status, waiting.state.error) == (
            Phase.PENDING,
            Status.ERROR,
            "no agent",
        )
        assert waiting.effect is Effect.STOP
        assert (again.state.error, again.effect) == (None, Effect.OPEN_AGENT)

    def test_tells_bad_input_from_a_run_that_broke(self):
        assert advance(RunState(), Broke(reason="x")).reason == "ValidationFailed"
        assert advance(RunState(phase=Phase.READY_FOR_LLM), Broke(reason="x")).reason == "RunFailed"

    @pytest.mark.parametrize("phase", [Phase.FINAL_ANSWER, Phase.FAILED])
    @given(event=events)
    def test_never_leaves_a_terminal_phase(self, phase, event):
        with pytest.raises(IllegalTransitionError, match=f"in phase {phase.value}"):
            advance(RunState(phase=phase), event)

    @given(st.lists(events, max_size=12))
    def test_keeps_output_to_answers_and_errors_to_trouble(self, history):
        state = RunState()
        for event in history:
            try:
                state = advance(state, event).state
            except IllegalTransitionError:
                continue

        assert (state.output is not None) == (state.phase is Phase.FINAL_ANSWER)
        assert (state.error is not None) == (state.status is Status.ERROR)
