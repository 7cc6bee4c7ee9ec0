from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from goldgate.contracts.run_mapping import state_of, status_fields
from goldgate.contracts.task_runs import RunEvent, TaskRunStatus
from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.domain.runs.state import Call, Fate, Limits, Made, Nature, Need, Phase, RunState, Spent, Status

texts = st.text(max_size=8)
requests = st.builds(ToolRequest, id=texts, name=texts, arguments=texts, extra=texts)
messages = st.builds(
    ChatMessage,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=texts,
    tool_requests=st.lists(requests, max_size=2).map(tuple),
    tool_call_id=st.none() | texts,
    is_error=st.booleans(),
)
counts = st.integers(0, 1000)
amounts = st.floats(0, 1e6)
calls = st.builds(
    Call,
    id=texts,
    name=texts,
    arguments=texts,
    extra=texts,
    nature=st.sampled_from(Nature),
    need=st.sampled_from(Need),
    question=texts,
    key=texts,
    fate=st.sampled_from(Fate),
    content=texts,
    is_error=st.booleans(),
)
states = st.builds(
    RunState,
    run_id=texts,
    can_wait=st.just(True),
    phase=st.sampled_from(Phase),
    status=st.sampled_from(Status),
    detail=texts,
    error=st.none() | texts,
    output=st.none() | texts,
    refused=st.booleans(),
    flags=st.lists(texts, max_size=2).map(tuple),
    bundle=texts,
    messages=st.lists(messages, max_size=4).map(tuple),
    given=st.lists(texts, max_size=2).map(tuple),
    citations=st.lists(texts, max_size=2).map(tuple),
    calls=st.lists(calls, max_size=2).map(tuple),
    limits=st.builds(
        Limits,
        max_steps=st.integers(0, 100),
        timeout_s=st.floats(0, 86_400),
        max_tokens=st.none() | counts,
        max_cost_usd=st.none() | amounts,
    ),
    spent=st.builds(
        Spent,
        steps=counts,
        tool_calls=counts,
        tokens_in=counts,
        tokens_out=counts,
        tokens_cached=counts,
        cost_usd=amounts,
        is_metered=st.booleans(),
        active_s=amounts,
        take_ups=counts,
    ),
    trail=st.lists(st.builds(Made, call=texts, result=texts), max_size=3).map(tuple),
    told=st.lists(texts, max_size=2).map(tuple),
)


class TestAStateThatIsRecorded:
    @given(states)
    def test_is_read_back_as_it_was(self, state: RunState):
        """What a process that takes a run up knows is all that the former one knew."""
        status = TaskRunStatus().model_copy(update=status_fields(state))

        read = TaskRunStatus.model_validate_json(status.model_dump_json(by_alias=True))

        assert state_of(read) == state

    @given(states, st.lists(messages, max_size=2), st.lists(messages, max_size=2))
    def test_is_the_same_whether_the_one_before_is_known_or_not(self, state, more, others):
        status = TaskRunStatus().model_copy(update=status_fields(state))
        for after in (
            replace(state, messages=(*state.messages, *more)),
            replace(state, messages=(*others, *state.messages[1:])),
            replace(state, messages=state.messages[:-1]),
        ):
            assert status_fields(after, recorded=(state, status)) == status_fields(after)

    @given(states)
    def test_leaves_what_it_does_not_decide(self, state: RunState):
        happened = RunEvent.model_construct(at=None, reason="R", message="m")
        before = TaskRunStatus().model_copy(update={"events": [happened], "trace_id": "t"})

        after = before.model_copy(update=status_fields(state))

        assert (after.events, after.trace_id) == ([happened], "t")
