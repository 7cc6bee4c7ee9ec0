from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.conversation import ChatMessage
from goldgate.domain.runs.events import AgentReady, ModelReplied, TakenUp, ToolReturned, Validated
from goldgate.domain.runs.loops import SAME_CALLS, STALE, STALE_ACTS, TRAIL, find_loop, find_staleness
from goldgate.domain.runs.machine import advance
from goldgate.domain.runs.state import Call, Fate, Habits, Limits, Made, Nature, Phase, RunState, Stage
from goldgate.domain.runs.steps import Effect


def trail(*made: str) -> list[Made]:
    """Calls and results as `call=result`."""
    return [Made(call=text.partition("=")[0], result=text.partition("=")[2]) for text in made]


class TestRepetition:
    def test_is_a_third_call_after_twice_the_same_result(self):
        found = find_loop(trail("a=1", "a=1"), "a")

        assert found is not None
        assert (found.kind, found.signature) == ("repetition", "repetition:a")
        assert (
            found.description
            == "the same call with the same arguments was made 2 times, with the same result each time"
        )

    def test_is_not_the_second_call(self):
        assert find_loop(trail("a=1"), "a") is None

    def test_is_seen_across_other_calls(self):
        assert find_loop(trail("a=1", "b=2", "a=1", "c=3"), "a") is not None

    def test_is_no_other_call(self):
        assert find_loop(trail("a=1", "a=1"), "b") is None

    def test_is_no_polling_whose_results_differ(self):
        assert find_loop(trail("a=1", "a=2", "a=3", "a=4"), "a") is None

    def test_is_no_polling_that_has_just_moved_on(self):
        assert find_loop(trail("a=1", "a=1", "a=2"), "a") is None

    def test_is_polling_without_end(self):
        found = find_loop(trail(*(f"a={number}" for number in range(SAME_CALLS))), "a")

        assert found is not None
        assert found.description.endswith("with no end in sight")


class TestCycle:
    @pytest.mark.parametrize("length", [2, 3, 4])
    def test_is_the_third_round_of_some_calls(self, length: int):
        rounds = [f"{call}={number}" for number in range(3) for call in "abcd"[:length]]

        found = find_loop(trail(*rounds[:-1]), "abcd"[length - 1])

        assert found is not None
        assert found.kind == "cycle"
        assert find_loop(trail(*rounds[: 2 * length - 1]), "abcd"[length - 1]) is None

    def test_is_the_same_wherever_its_round_begins(self):
        ab = find_loop(trail("a=1", "b=2", "a=3", "b=4", "a=5"), "b")
        ba = find_loop(trail("b=1", "a=2", "b=3", "a=4", "b=5"), "a")

        assert ab is not None
        assert ba is not None
        assert ab.signature == ba.signature

    def test_is_no_longer_round(self):
        rounds = list("abcde" * 3)

        assert find_loop(trail(*(f"{call}={at}" for at, call in enumerate(rounds[:-1]))), "e") is None


class TestStaleness:
    def test_is_a_row_of_results_that_were_all_seen_before(self):
        assert find_staleness(trail("s=0", *(f"c{number}=0" for number in range(STALE)))) is not None

    def test_is_broken_by_one_that_is_new(self):
        calls = [f"c{number}={0 if number else 'new'}" for number in range(STALE)]

        assert find_staleness(trail("s=0", *calls)) is None

    def test_needs_something_to_be_like(self):
        assert find_staleness(trail(*(f"c{number}=0" for number in range(STALE)))) is None


class TestAnyTrail:
    @given(st.lists(st.sampled_from("abc"), max_size=TRAIL), st.sampled_from("abc"))
    def test_of_ever_new_results_and_few_repeats_has_no_repetition(self, calls: list[str], asked: str):
        found = find_loop([Made(call=call, result=str(at)) for at, call in enumerate(calls)], asked)

        if found is not None and found.kind == "repetition":
            assert calls.count(asked) >= SAME_CALLS


class TestARunInALoop:
    def run(self, answers: list[str], *, most: int = 12) -> tuple[RunState, int]:
        """Have a model ask for one call for ever; give what it returns in order. Returns the end and the calls made."""
        state = advance(RunState(run_id="r"), Validated()).state
        limits = Limits(max_steps=50, timeout_s=1000)
        user = ChatMessage(role="user", content="Q")
        state = advance(state, AgentReady(messages=(user,), limits=limits)).state
        made = 0
        for _ in range(most):
            call = Call(id="c", name="poll", arguments='{"a": 1}', nature=Nature.PURE)
            state = advance(state, ModelReplied(content="", calls=(call,))).state
            if state.phase is Phase.TOOL_CALLS_PENDING:
                state = advance(state, ToolReturned(call_id="c", content=answers[min(made, len(answers) - 1)])).state
                made += 1
            if state.phase.is_terminal:
                break
        return state, made

    def test_is_told_in_place_of_the_call_and_then_stopped(self):
        state, made = self.run(["same"])

        told = [m.content for m in state.messages if m.role == "tool" and m.content.startswith("Not called: ")]
        assert (made, len(told), state.phase) == (2, 1, Phase.FAILED)
        assert "the same call with the same arguments was made 2 times" in told[0]
        assert (state.error or "").startswith("loop: the same call")

    def test_may_poll_as_long_as_something_changes(self):
        state, made = self.run([str(number) for number in range(20)], most=SAME_CALLS)

        assert (made, state.phase) == (SAME_CALLS, Phase.READY_FOR_LLM)

    def test_of_one_reply_is_told_before_it_is_stopped(self):
        """What is told in place of a call is read with the results of its reply, and not before."""
        calls = tuple(Call(id=f"c{at}", name="poll", arguments="{}", nature=Nature.PURE) for at in range(6))
        state, _ = self.run(["x"], most=0)

        step = advance(state, ModelReplied(content="", calls=calls))

        assert [call.fate for call in step.state.calls] == [Fate.STARTED] * 2 + [Fate.DONE] * 4
        assert "was asked for 2 times before in this reply" in step.state.calls[2].content

    @pytest.mark.parametrize(
        ("acts", "phase", "told"),
        [
            (STALE_ACTS, Phase.READY_FOR_LLM, ()),
            (STALE_ACTS + 1, Phase.READY_FOR_LLM, ("stale",)),
            (STALE_ACTS + 2, Phase.FAILED, ("stale",)),
        ],
    )
    def test_is_seen_later_in_different_acts_that_all_went_well(self, acts: int, phase: Phase, told: tuple[str, ...]):
        """That it was done is what is new about an act, but not for ever."""
        state, _ = self.run(["x"], most=0)
        for number in range(acts):
            state = self.turn(state, number, nature=Nature.ASK, gives="ok")

        assert (state.phase, state.told) == (phase, told)

    def test_that_tells_nothing_new_is_told_anew_after_something_came(self):
        state, _ = self.run(["x"], most=0)
        for number in range(STALE + 1):
            state = self.turn(state, number, nature=Nature.PURE, gives="no")
        told, state = state.told, self.turn(state, 100, nature=Nature.PURE, gives="found it")
        for number in range(STALE):
            state = self.turn(state, 200 + number, nature=Nature.PURE, gives="no")

        assert told == state.told == ("stale",)
        assert state.phase is Phase.READY_FOR_LLM

    def test_that_was_told_is_told_to_whoever_takes_the_run_up(self):
        """A process that dies while the model reads the note has not let it go on."""
        state, _ = self.run(["x"], most=0)
        for number in range(STALE + 1):
            state = self.turn(state, number, nature=Nature.PURE, gives="no")

        step = advance(state, TakenUp())

        assert (state.told, step.effect) == (("stale",), Effect.ASK_MODEL)
        assert step.state.messages == state.messages

    def test_that_was_told_costs_no_answer_that_is_thought_over(self):
        state, _ = self.run(["x"], most=0)
        for number in range(STALE + 1):
            state = self.turn(state, number, nature=Nature.PURE, gives="no")
        state = replace(state, habits=Habits(reflects=True))

        step = advance(state, ModelReplied(content="There is none."))

        assert (step.state.stage, step.effect) == (Stage.REFLECT, Effect.ASK_MODEL)

    def turn(self, state: RunState, number: int, *, nature: Nature, gives: str) -> RunState:
        call = Call(id="c", name="t", arguments=f'{{"n": {number}}}', nature=nature)
        state = advance(state, ModelReplied(content="", calls=(call,))).state
        return advance(state, ToolReturned(call_id="c", content=gives)).state

    def test_is_known_however_its_arguments_are_written(self):
        state, _ = self.run(["same"], most=2)
        call = Call(id="c", name="poll", arguments='{ "a":1 }', nature=Nature.PURE)

        state = advance(state, ModelReplied(content="", calls=(call,))).state

        assert state.messages[-1].content.startswith("Not called: the same call")

    def test_gets_no_longer_trail_than_is_kept(self):
        state, _ = self.run(["x"], most=1)
        for number in range(TRAIL + 5):
            call = Call(id="c", name="t", arguments=f'{{"n": {number}}}', nature=Nature.PURE)
            state = RunState(**{**vars(state), "limits": Limits(max_steps=500, timeout_s=1000)})
            state = advance(state, ModelReplied(content="", calls=(call,))).state
            state = advance(state, ToolReturned(call_id="c", content=f"new {number}")).state

        assert len(state.trail) == TRAIL
        assert state.trail[-1].result != state.trail[-2].result
