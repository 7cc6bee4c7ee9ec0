"""Every transition of a run, and what holds for all of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.conversation import ChatMessage
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
    Word,
)
from goldgate.domain.runs.machine import MOST_TAKE_UPS, advance
from goldgate.domain.runs.state import Call, Fate, Limits, Nature, Need, Phase, RunState, Spent, Status
from goldgate.domain.runs.steps import NOTE, Effect, IllegalTransitionError, Step

USER = ChatMessage(role="user", content="Q")
ROOMY = Limits(max_steps=20, timeout_s=1000)


def call(name: str = "look", *, nature: Nature = Nature.ASK, need: Need = Need.NOTHING, id_: str = "") -> Call:
    fate = Fate.STARTED if need is Need.NOTHING else Fate.AWAITED
    return Call(id=id_ or name, name=name, arguments=f'{{"n": "{name}"}}', nature=nature, need=need, fate=fate)


def replied(*calls: Call, content: str = "", finish_reason: str = "tool_calls") -> ModelReplied:
    return ModelReplied(content=content, calls=calls, finish_reason=finish_reason)


def after(*events: Event, state: RunState | None = None) -> Step:
    """Follow some events from a new run, or from a state."""
    state = state or RunState(run_id="r", can_wait=True)
    step = None
    for event in events:
        step = advance(state, event)
        state = step.state
    assert step is not None
    return step


def asking(limits: Limits = ROOMY) -> RunState:
    return after(Validated(), AgentReady(messages=(USER,), limits=limits)).state


def calling(*calls: Call) -> RunState:
    return after(replied(*calls), state=asking()).state


def reasons(step: Step) -> list[str]:
    return [happening.reason for happening in step.history]


class TestTheWayToAnAnswer:
    def test_leads_through_every_phase(self):
        seen = []
        state = RunState(run_id="r")
        for event in (
            Validated(),
            AgentReady(messages=(USER,), limits=ROOMY, given=("p1",), bundle="b"),
            replied(call("look"), call("pay")),
            ToolReturned(call_id="pay", content="paid"),
            ToolReturned(call_id="look", content="seen"),
            replied(content="42", finish_reason="stop"),
        ):
            step = advance(state, event)
            state = step.state
            seen.append((state.phase, step.effect, reasons(step)))

        assert seen == [
            (Phase.PENDING, Effect.OPEN_AGENT, ["ValidationSucceeded"]),
            (Phase.READY_FOR_LLM, Effect.ASK_MODEL, ["SendingContextWindowToLLM"]),
            (Phase.TOOL_CALLS_PENDING, Effect.CALL_TOOLS, ["ToolCallsPending", "ToolCallCreated", "ToolCallCreated"]),
            (Phase.TOOL_CALLS_PENDING, Effect.CALL_TOOLS, ["ToolCallCompleted"]),
            (
                Phase.READY_FOR_LLM,
                Effect.ASK_MODEL,
                ["ToolCallCompleted", "AllToolCallsCompleted", "SendingContextWindowToLLM"],
            ),
            (Phase.FINAL_ANSWER, Effect.STOP, ["LLMFinalAnswer"]),
        ]
        assert (state.output, state.status, state.error, state.bundle) == ("42", Status.READY, None, "b")
        assert (state.spent.steps, state.spent.tool_calls) == (2, 2)

    def test_keeps_results_in_the_order_of_the_calls(self):
        state = calling(call("a"), call("b"))

        step = after(
            ToolReturned(call_id="b", content="2"), ToolReturned(call_id="a", content="1", is_error=True), state=state
        )

        results = [(m.tool_call_id, m.content, m.is_error) for m in step.state.messages if m.role == "tool"]
        assert results == [("a", "1", True), ("b", "2", False)]
        assert step.state.calls == ()

    def test_numbers_calls_for_ever(self):
        state = calling(call("a"), call("b"))
        keys = [each.key for each in state.calls]
        state = after(
            ToolReturned(call_id="a", content=""),
            ToolReturned(call_id="b", content=""),
            replied(call("c")),
            state=state,
        ).state

        assert keys == ["r-0", "r-1"]
        assert state.calls[0].key == "r-2"

    @pytest.mark.parametrize("ids", [("x", "x"), ("", ""), ("", "call-0"), ("x", "x-1", "x")])
    def test_tells_calls_apart_that_bear_one_id(self, ids: tuple[str, ...]):
        calls = tuple(Call(id=id_, name=f"t{at}", arguments="{}") for at, id_ in enumerate(ids))

        state = calling(*calls)

        assert len({each.id for each in state.calls}) == len(ids)
        assert [each.name for each in state.calls] == [f"t{at}" for at in range(len(ids))]
        assert [asked.id for asked in state.messages[-1].tool_requests] == [each.id for each in state.calls]

    def test_may_be_as_short_as_a_refusal(self):
        step = after(Validated(), Answered(output="No.", refused=True, flags=("injection_in_question",)))

        assert (step.state.phase, step.state.detail, step.state.refused) == (Phase.FINAL_ANSWER, "Refused", True)
        assert step.state.messages[-1] == ChatMessage(role="assistant", content="No.")

    def test_ends_with_a_refusal_of_the_model_even_if_it_calls(self):
        reply = ModelReplied(content="I cannot.", calls=(call(),), refused=True)

        assert after(reply, state=asking()).state.phase is Phase.FINAL_ANSWER


class TestValidation:
    def test_that_fails_ends_the_run(self):
        step = after(Broke(reason="no message"))

        assert (step.state.phase, step.state.error, reasons(step)) == (
            Phase.FAILED,
            "no message",
            ["ValidationFailed"],
        )

    def test_is_told_from_a_run_that_broke_later(self):
        assert reasons(after(Broke(reason="x"), state=asking())) == ["RunFailed"]


class TestARunThatIsAbandoned:
    def test_fails_in_every_open_phase_with_what_was_found(self):
        for state in (RunState(), after(Validated()).state, asking(), calling(call())):
            step = after(Abandoned(reason="pod: out of memory"), state=state)

            assert (step.state.phase, step.state.error) == (Phase.FAILED, "pod: out of memory")
            assert reasons(step) == ["Abandoned"]


class TestAnAgentThatIsNotThere:
    def test_has_the_run_wait_in_its_phase(self):
        step = after(Validated(), AgentUnavailable(reason="no agent"))

        assert (step.state.phase, step.state.status, step.state.error) == (Phase.PENDING, Status.PENDING, None)
        assert step.state.detail == "Waiting for the agent: no agent"
        assert (step.effect, reasons(step), step.state.has_paused) == (Effect.STOP, ["Waiting"], True)

    @pytest.mark.parametrize(
        ("state", "effect", "status"),
        [
            (after(Validated()).state, Effect.OPEN_AGENT, Status.PENDING),
            (asking(), Effect.ASK_MODEL, Status.READY),
            (calling(call(nature=Nature.PURE)), Effect.CALL_TOOLS, Status.READY),
            (calling(call(need=Need.APPROVAL)), Effect.STOP, Status.PENDING),
        ],
    )
    def test_lets_it_go_on_where_it_stood_when_it_is_found(self, state: RunState, effect: Effect, status: Status):
        step = after(AgentUnavailable(reason="gone"), AgentFound(), state=state)

        assert (step.state.phase, step.effect, step.state.status) == (state.phase, effect, status)
        assert (step.state.error, step.state.waits_for_agent) == (None, False)

    def test_does_not_make_a_call_that_a_person_allows_meanwhile_before_it_is_found(self):
        """Nobody made it while nobody could: its fate is known, and it is no call to ask about."""
        allowed = after(
            AgentUnavailable(reason="gone"),
            PersonSpoke(call_id="c1", word=Word.APPROVE),
            state=calling(call("pay", id_="c1", need=Need.APPROVAL)),
        )
        found = after(AgentFound(), state=allowed.state)

        assert allowed.state.has_paused
        assert (found.effect, found.state.calls[0].fate) == (Effect.CALL_TOOLS, Fate.STARTED)


class TestALimitThatIsPast:
    def test_ends_a_run_that_would_ask_a_person(self):
        """Whatever is said, there is no reply left to read it; and what is not known is told."""
        state = after(replied(call("pay", id_="p", nature=Nature.ASK)), state=asking()).state
        late = ToolReturned(call_id="p", content="", is_fate_unknown=True, spent=Spent(active_s=10_000))

        step = after(late, state=state)

        assert (step.state.phase, step.effect) == (Phase.FAILED, Effect.STOP)
        assert (step.state.error or "").startswith("timeout: ")
        assert "nobody knows whether `pay` (p) acted" in (step.state.error or "")


class TestRepliesThatAreNoAnswer:
    def test_empty_once_is_told_and_twice_fails(self):
        once = after(replied(content=" \n", finish_reason="stop"), state=asking())
        twice = after(replied(content="", finish_reason="stop"), state=once.state)

        assert once.effect is Effect.ASK_MODEL
        assert once.state.messages[-1].content.startswith(f"{NOTE}Your reply was empty")
        assert (twice.state.error or "").startswith("model: found an empty answer twice (finish reason `stop`)")

    def test_empty_is_told_anew_after_a_good_reply(self):
        once = after(replied(content="", finish_reason="stop"), state=asking())
        good = after(
            replied(call(id_="a", nature=Nature.PURE)), ToolReturned(call_id="a", content="x"), state=once.state
        )
        again = after(replied(content="", finish_reason="stop"), state=good.state)

        assert again.effect is Effect.ASK_MODEL

    def test_cut_once_is_told_and_twice_fails_with_the_text_it_had(self):
        once = after(replied(content="It is", finish_reason="length"), state=asking())
        twice = after(replied(content="It is about", finish_reason="length"), state=once.state)

        assert once.effect is Effect.ASK_MODEL
        assert "cut at its longest" in once.state.messages[-1].content
        assert (twice.state.phase, twice.state.output) == (Phase.FAILED, "It is about")

    def test_cut_calls_are_not_made(self):
        step = after(replied(call("pay"), finish_reason="length"), state=asking())

        assert step.effect is Effect.ASK_MODEL
        (result,) = [message for message in step.state.messages if message.role == "tool"]
        assert result.content.startswith("Not called: your output was cut")

    def test_text_beside_calls_is_kept_but_is_no_answer(self):
        step = after(replied(call(), content="Let me look."), state=asking())

        assert (step.effect, step.state.output) == (Effect.CALL_TOOLS, "Let me look.")
        assert step.state.messages[-1].content == "Let me look."

    def test_calls_that_may_not_be_made_are_answered_at_once(self):
        refused = replace(call("rm"), fate=Fate.DONE, content="Not called: no such tool.", is_error=True)

        step = after(replied(refused), state=asking())

        assert step.effect is Effect.ASK_MODEL
        assert step.state.messages[-1].content == "Not called: no such tool."


class TestLimits:
    @pytest.mark.parametrize(
        ("limits", "spent", "kind"),
        [
            (Limits(max_steps=1), Spent(steps=1), "max_steps"),
            (Limits(timeout_s=10), Spent(steps=1, active_s=10), "timeout"),
            (Limits(max_tokens=100), Spent(steps=1, tokens_in=60, tokens_out=40), "max_tokens"),
            (Limits(max_cost_usd=0.5), Spent(steps=1, cost_usd=0.5), "max_cost"),
            (Limits(max_tokens=100), Spent(steps=1, is_metered=False), "unmetered"),
        ],
    )
    def test_that_are_past_end_the_run_before_a_call_is_made(self, limits: Limits, spent: Spent, kind: str):
        reply = replace(replied(call("pay"), content="So far."), spent=spent)

        step = after(reply, state=asking(limits))

        assert step.state.phase is Phase.FAILED
        assert (step.state.error or "").startswith(f"{kind}: ")
        assert (step.state.output, step.effect) == ("So far.", Effect.STOP)

    def test_never_stop_an_answer_that_is_there(self):
        reply = replace(replied(content="42", finish_reason="stop"), spent=Spent(steps=1, active_s=99))

        assert after(reply, state=asking(Limits(max_steps=1, timeout_s=10))).state.phase is Phase.FINAL_ANSWER

    @pytest.mark.parametrize(
        ("limits", "spent", "told"),
        [
            (Limits(max_steps=2, timeout_s=1e9), Spent(steps=1), "last turn"),
            (Limits(max_steps=9, timeout_s=10), Spent(steps=1, active_s=8), "your time"),
            (Limits(max_steps=9, timeout_s=1e9, max_tokens=100), Spent(steps=1, tokens_in=80), "your tokens"),
            (Limits(max_steps=9, timeout_s=1e9, max_cost_usd=1), Spent(steps=1, cost_usd=0.8), "your money"),
        ],
    )
    def test_that_are_near_are_told_once(self, limits: Limits, spent: Spent, told: str):
        reply = replace(replied(call("look")), spent=spent)
        near = after(reply, ToolReturned(call_id="look", content="x"), state=asking(limits)).state
        notes = [message for message in near.messages if message.content.startswith(NOTE)]
        again = after(TakenUp(), state=near).state

        assert [told in note.content for note in notes] == [True]
        assert again.messages == near.messages


class TestPeople:
    def test_are_waited_for_only_when_nothing_else_is_left_to_do(self):
        state = calling(call("look"), call("pay", need=Need.APPROVAL))

        assert not state.is_waiting_for_a_person
        step = after(ToolReturned(call_id="look", content="x"), state=state)
        assert (step.effect, step.state.status, reasons(step)) == (
            Effect.STOP,
            Status.PENDING,
            ["ToolCallCompleted", "WaitingForPerson"],
        )
        assert step.state.is_waiting_for_a_person

    def test_approve_a_call(self):
        spoken = PersonSpoke(call_id="pay", word=Word.APPROVE)

        step = after(spoken, state=calling(call("pay", need=Need.APPROVAL)))

        assert (step.effect, step.state.calls[0].fate, step.state.calls[0].key) == (
            Effect.CALL_TOOLS,
            Fate.STARTED,
            "r-0",
        )

    def test_refuse_a_call(self):
        spoken = PersonSpoke(call_id="pay", word=Word.DENY, text="too dear")

        step = after(spoken, state=calling(call("pay", need=Need.APPROVAL)))

        assert step.effect is Effect.ASK_MODEL
        assert step.state.messages[-1].content == "Not called: a person refused it: too dear"

    def test_answer_a_question(self):
        spoken = PersonSpoke(call_id="ask", word=Word.ANSWER, text="Blue.")

        step = after(spoken, state=calling(call("ask", need=Need.ANSWER)))

        assert (step.effect, step.state.messages[-1].content) == (Effect.ASK_MODEL, "Blue.")

    @pytest.mark.parametrize(("need", "word"), [(Need.ANSWER, Word.APPROVE), (Need.APPROVAL, Word.ANSWER)])
    def test_cannot_say_what_is_not_asked(self, need: Need, word: Word):
        with pytest.raises(IllegalTransitionError):
            after(PersonSpoke(call_id="pay", word=word), state=calling(call("pay", need=need)))

    def test_cannot_speak_to_a_call_that_asks_nothing(self):
        state = calling(call("look"), call("pay", need=Need.APPROVAL))

        for call_id in ("look", "another"):
            with pytest.raises(IllegalTransitionError, match="expected one that is awaited"):
                after(PersonSpoke(call_id=call_id, word=Word.APPROVE), state=state)

    def test_are_not_there_while_a_request_is_served(self):
        served = replace(asking(), can_wait=False)

        step = after(replied(call("pay", need=Need.APPROVAL)), state=served)

        assert step.effect is Effect.ASK_MODEL
        assert "nobody can be asked here" in step.state.messages[-1].content


class TestCallsThatWaitElsewhere:
    def test_park_the_run_and_are_made_again_with_the_same_key(self):
        state = calling(call("ask_helper", nature=Nature.IDEMPOTENT))

        parked = after(ToolWaits(call_id="ask_helper", reason="it waits"), state=state)
        again = after(TakenUp(), state=parked.state)

        assert (parked.effect, parked.state.status, parked.state.is_waiting_for_a_person) == (
            Effect.STOP,
            Status.PENDING,
            True,
        )
        assert (again.effect, again.state.calls[0].fate, again.state.calls[0].key) == (
            Effect.CALL_TOOLS,
            Fate.STARTED,
            "r-0",
        )


class TestTakenUp:
    @pytest.mark.parametrize(
        ("state", "effect"),
        [
            (RunState(), Effect.VALIDATE),
            (after(Validated()).state, Effect.OPEN_AGENT),
            (asking(), Effect.ASK_MODEL),
            (calling(call(nature=Nature.PURE)), Effect.CALL_TOOLS),
            (calling(call(nature=Nature.IDEMPOTENT)), Effect.CALL_TOOLS),
            (calling(call(nature=Nature.ASK)), Effect.STOP),
            (calling(call(nature=Nature.FAIL)), Effect.STOP),
        ],
    )
    def test_goes_on_by_phase_and_by_the_nature_of_the_calls(self, state: RunState, effect: Effect):
        step = after(TakenUp(lost_s=2.5), state=state)

        assert (step.effect, step.history[0].reason) == (effect, "TakenUp")
        assert step.state.spent.active_s == pytest.approx(state.spent.active_s + 2.5)
        assert step.state.spent.take_ups == 1

    def test_asks_a_person_about_a_call_that_may_have_acted(self):
        step = after(TakenUp(), state=calling(call("pay", nature=Nature.ASK)))

        (waiting,) = step.state.calls
        assert (waiting.fate, waiting.need) == (Fate.AWAITED, Need.FATE)
        assert "Did it act?" in waiting.question

    @pytest.mark.parametrize(
        ("word", "effect"),
        [(Word.APPROVE, Effect.CALL_TOOLS), (Word.DENY, Effect.ASK_MODEL), (Word.ANSWER, Effect.ASK_MODEL)],
    )
    def test_takes_any_word_about_it(self, word: Word, effect: Effect):
        waiting = after(TakenUp(), state=calling(call("pay"))).state

        step = after(PersonSpoke(call_id="pay", word=word, text="paid"), state=waiting)

        assert step.effect is effect

    def test_tells_no_model_that_a_call_was_not_made_when_nobody_knows(self):
        waiting = after(TakenUp(), state=calling(call("pay"))).state

        step = after(PersonSpoke(call_id="pay", word=Word.DENY), state=waiting)

        assert step.state.messages[-1].content.startswith("Called once, and nobody knows whether it acted")

    def test_makes_safe_calls_while_it_asks_about_others(self):
        step = after(TakenUp(), state=calling(call("look", nature=Nature.PURE), call("pay")))

        assert (step.effect, [each.fate for each in step.state.calls]) == (
            Effect.CALL_TOOLS,
            [Fate.STARTED, Fate.AWAITED],
        )

    def test_leaves_calls_that_are_done_and_those_that_wait(self):
        state = calling(call("look", nature=Nature.FAIL), call("pay", need=Need.APPROVAL))
        state = after(ToolReturned(call_id="look", content="x"), state=state).state

        step = after(TakenUp(), state=state)

        assert (step.effect, [each.fate for each in step.state.calls]) == (Effect.STOP, [Fate.DONE, Fate.AWAITED])

    def test_ends_a_run_that_kills_its_processes_again_and_again(self):
        state = asking()
        for _ in range(MOST_TAKE_UPS):
            state = after(TakenUp(), state=state).state

        assert (after(TakenUp(), state=state).state.error or "").startswith("crashes: taken up 100 times")

    def test_counts_no_look_at_a_run_that_waits(self):
        waiting = calling(call("pay", need=Need.APPROVAL))

        assert after(TakenUp(), state=waiting).state.spent.take_ups == 0

    def test_finds_that_its_time_is_over(self):
        step = after(TakenUp(lost_s=5000), state=asking())

        assert (step.state.error or "").startswith("timeout: ")


class TestACallThatIsLostWhileItsProcessLives:
    @pytest.mark.parametrize(
        ("nature", "effect", "fate"),
        [
            (Nature.PURE, Effect.ASK_MODEL, None),
            (Nature.IDEMPOTENT, Effect.ASK_MODEL, None),
            (Nature.ASK, Effect.STOP, Fate.AWAITED),
            (Nature.FAIL, Effect.STOP, Fate.STARTED),
        ],
    )
    def test_is_resolved_by_its_nature(self, nature: Nature, effect: Effect, fate: Fate | None):
        lost = ToolReturned(call_id="pay", content="no answer", is_error=True, is_fate_unknown=True)

        step = after(lost, state=calling(call("pay", nature=nature)))

        assert (step.effect, step.state.calls[0].fate if step.state.calls else None) == (effect, fate)


OPEN = [RunState(), after(Validated()).state, asking(), calling(call())]


class TestTheEnd:
    @pytest.mark.parametrize("state", OPEN)
    def test_comes_when_somebody_orders_it(self, state: RunState):
        step = after(Cancelled(by="ann", reason="not needed"), state=state)

        assert (step.state.error, reasons(step), step.effect) == (
            "cancelled by ann: not needed",
            ["Cancelled"],
            Effect.STOP,
        )

    @pytest.mark.parametrize("state", OPEN)
    def test_comes_with_the_deadline(self, state: RunState):
        step = after(DeadlinePassed(deadline="noon"), state=state)

        assert (step.state.error, reasons(step)) == ("deadline: it had to be over by noon", ["DeadlinePassed"])


texts = st.sampled_from(["", "a", "b"])
call_ids = st.sampled_from(["t0", "t1", "t2"])
calls = st.builds(
    lambda id_, nature, need: call(id_, nature=nature, need=need),
    call_ids,
    st.sampled_from(Nature),
    st.sampled_from([Need.NOTHING, Need.NOTHING, Need.APPROVAL, Need.ANSWER]),
)
spents = st.builds(
    Spent,
    steps=st.just(1),
    tokens_in=st.integers(0, 5),
    cost_usd=st.floats(0, 1),
    active_s=st.floats(0, 2),
    is_metered=st.booleans(),
)
events: st.SearchStrategy[Event] = st.one_of(
    st.just(Validated()),
    st.just(AgentUnavailable(reason="no agent")),
    st.just(AgentFound()),
    st.builds(AgentReady, messages=st.just((USER,)), limits=st.just(Limits(max_steps=8, timeout_s=60))),
    st.builds(Answered, output=texts),
    st.builds(
        ModelReplied,
        content=texts,
        calls=st.lists(calls, max_size=3).map(tuple),
        finish_reason=st.sampled_from(["stop", "length", "tool_calls"]),
        refused=st.booleans(),
        spent=spents,
    ),
    *[
        st.builds(ToolReturned, call_id=call_ids, content=texts, is_error=st.booleans(), is_fate_unknown=st.booleans())
        for _ in range(3)
    ],
    st.builds(ToolWaits, call_id=call_ids, reason=texts),
    *[st.builds(PersonSpoke, call_id=call_ids, word=st.sampled_from(Word), text=texts) for _ in range(2)],
    st.builds(TakenUp, lost_s=st.floats(0, 2)),
    st.just(Cancelled(by="ann")),
    st.just(Abandoned(reason="pod: lost")),
    st.just(DeadlinePassed(deadline="noon")),
    st.builds(Broke, reason=texts, spent=spents),
)
beginnings = st.sampled_from([RunState(run_id="r", can_wait=True), replace(asking(), can_wait=False), asking()])


def followed(state: RunState, history: list[Event]) -> list[tuple[RunState, Event, Step]]:
    """Take the events that are legal, one after the other."""
    taken = []
    for event in history:
        try:
            step = advance(state, event)
        except IllegalTransitionError:
            continue
        taken.append((state, event, step))
        state = step.state
    return taken


class TestWhateverHappens:
    @given(beginnings, st.lists(events, max_size=30))
    def test_no_call_is_lost(self, state: RunState, history: list[Event]):
        """Every call that the model asked for is still open, or has a result, or the run is over."""
        for _, _, step in followed(state, history):
            if step.state.phase.is_terminal:
                break
            asked = [each.id for message in step.state.messages for each in message.tool_requests]
            answered = [message.tool_call_id for message in step.state.messages if message.role == "tool"]
            assert sorted(asked) == sorted([*answered, *(each.id for each in step.state.calls)])

    @given(beginnings, st.lists(events, max_size=30))
    def test_no_call_is_made_twice_unless_its_nature_or_a_person_allows_it(self, state, history):
        """A call of unknown fate starts again only if it is safe, waited elsewhere, or a person said so."""
        started: set[str] = set()
        for before, event, step in followed(state, history):
            were = {each.key: each for each in before.calls}
            for each in step.state.calls:
                was = were.get(each.key)
                if step.effect is not Effect.CALL_TOOLS or each.fate is not Fate.STARTED:
                    continue
                begins = was is None or was.fate is not Fate.STARTED or isinstance(event, TakenUp)
                if begins and each.key in started:
                    is_safe = each.nature in {Nature.PURE, Nature.IDEMPOTENT}
                    by_word = isinstance(event, PersonSpoke) and event.word is Word.APPROVE
                    was_parked = was is not None and was.fate is Fate.PARKED
                    assert is_safe or by_word or was_parked
                started.add(each.key)

    @given(beginnings, st.lists(events, max_size=30))
    def test_what_is_spent_never_goes_down(self, state: RunState, history: list[Event]):
        for before, _, step in followed(state, history):
            was, now = before.spent, step.state.spent
            assert was.steps <= now.steps
            assert was.tool_calls <= now.tool_calls
            assert was.tokens_in <= now.tokens_in
            assert was.cost_usd <= now.cost_usd
            assert was.active_s <= now.active_s
            assert was.take_ups <= now.take_ups
            assert was.is_metered or not now.is_metered

    @given(beginnings, st.lists(events, max_size=30))
    def test_a_run_that_is_not_over_has_a_way_on(self, state: RunState, history: list[Event]):
        """It asks for something to be done, or a person or an agent is awaited, and taking it up is always legal."""
        for _, _, step in followed(state, history):
            if step.state.phase.is_terminal:
                assert step.effect is Effect.STOP
                continue
            if step.effect is Effect.STOP:
                assert step.state.has_paused
            if step.effect is Effect.CALL_TOOLS:
                assert any(each.fate is Fate.STARTED for each in step.state.calls)
            advance(step.state, TakenUp())

    @given(st.sampled_from([Phase.FINAL_ANSWER, Phase.FAILED]), events)
    def test_what_is_over_stays_over(self, phase: Phase, event: Event):
        with pytest.raises(IllegalTransitionError, match=f"in phase {phase.value}"):
            advance(RunState(phase=phase), event)

    @given(beginnings, st.lists(events, max_size=30))
    def test_keys_are_never_used_for_another_call(self, state: RunState, history: list[Event]):
        names: dict[str, str] = {}
        for _, _, step in followed(state, history):
            for each in step.state.calls:
                assert names.setdefault(each.key, each.name) == each.name

    @given(beginnings, st.lists(events, max_size=30))
    def test_an_error_stands_where_there_is_trouble_and_nowhere_else(self, state, history):
        for _, _, step in followed(state, history):
            assert (step.state.error is not None) == (step.state.status is Status.ERROR)
