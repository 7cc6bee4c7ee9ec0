import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.agent.memory.compaction import ConversationTooLargeError, compact
from goldgate.agent.memory.tokens import CALL_TOKENS, MESSAGE_TOKENS, message_tokens
from goldgate.agent.prompts import render_context, render_user
from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.steps import NOTE
from goldgate.ports.knowledge import Chunk

SYSTEM = ChatMessage(role="system", content="Answer from the passages.")
QUESTION = ChatMessage(role="user", content="Which port does the server use?")


def tokens(messages: Sequence[ChatMessage]) -> int:
    return sum(map(message_tokens, messages))


def said(text: str, *ids: str, arguments: str = "{}") -> ChatMessage:
    calls = tuple(ToolRequest(id=each, name="look", arguments=arguments) for each in ids)
    return ChatMessage(role="assistant", content=text, tool_requests=calls)


def result(call_id: str, text: str) -> ChatMessage:
    return ChatMessage(role="tool", content=text, tool_call_id=call_id)


def note(text: str) -> ChatMessage:
    return ChatMessage(role="user", content=NOTE + text)


def rounds(count: int, *, size: int = 400) -> list[ChatMessage]:
    return [
        message
        for number in range(count)
        for message in (said("", f"c{number}"), result(f"c{number}", f"{number} " + "word " * (size // 5)))
    ]


def asked_with(passages: int, *, size: int = 400, attachment: str = "") -> ChatMessage:
    chunks = [Chunk(id=f"p{n}", title="Title", text="fact " * (size // 5)) for n in range(passages)]
    context = render_context(chunks, [attachment] if attachment else [])
    return ChatMessage(
        role="user", content=render_user("{context}\nQuestion: {question}", question="Why?", context=context)
    )


_texts = st.one_of(
    st.text(max_size=60),
    st.builds(lambda word, times: (word + " ") * times, st.text(max_size=8), st.integers(0, 400)),
    st.builds(lambda letter, times: letter * times, st.characters(codec="utf-8"), st.integers(0, 3000)),
)


@st.composite
def conversations(draw: st.DrawFn) -> list[ChatMessage]:
    """A conversation as a run makes it: history, one question, rounds with calls, notes between them."""
    numbers = iter(range(10_000))
    messages = [ChatMessage(role="system", content=draw(st.text(max_size=80)))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 4))):
        messages.append(ChatMessage(role="user", content=draw(_texts)))
        messages.append(said(draw(_texts)))
    context = render_context(
        [Chunk(id=f"p{n}", title="t", text=draw(_texts)) for n in range(draw(st.integers(0, 3)))],
        draw(st.lists(_texts, max_size=2)),
    )
    question = render_user("{context}\nQuestion: {question}", question=draw(st.text(max_size=80)), context=context)
    messages.append(ChatMessage(role="user", content=question))
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            messages.append(note(draw(st.text(max_size=30))))
        ids = [f"call-{next(numbers)}" for _ in range(draw(st.integers(0, 3)))]
        messages.append(said(draw(_texts), *ids, arguments=json.dumps({"q": draw(_texts)})))
        messages += [result(each, draw(_texts)) for each in ids]
    return messages


def pairs(messages: Sequence[ChatMessage]) -> tuple[list[str], list[str]]:
    calls = [call.id for message in messages for call in message.tool_requests]
    return calls, [message.tool_call_id or "" for message in messages if message.role == "tool"]


def question_of(messages: Sequence[ChatMessage]) -> ChatMessage:
    return [m for m in messages if m.role == "user" and not m.content.startswith(NOTE)][-1]


class TestMessageTokens:
    def test_counts_the_frame_the_text_and_every_part_of_a_call(self):
        message = said("abcd", "call-001", arguments='{"a": 1}')

        assert message_tokens(message) == MESSAGE_TOKENS + 1 + CALL_TOKENS + 2 + 1 + 2


class TestCompact:
    def test_returns_a_conversation_that_fits_as_it_is(self):
        messages = [SYSTEM, QUESTION, *rounds(3)]

        assert compact(messages, budget=tokens(messages)) == messages

    def test_keeps_the_newest_rounds_whole_and_says_how_many_messages_it_left_out(self):
        messages = [SYSTEM, QUESTION, *rounds(40)]

        sent = compact(messages, budget=2_000)

        assert sent[:3] == [SYSTEM, QUESTION, sent[2]]
        assert sent[-4:] == messages[-4:]
        left_out = len(messages) - len(sent) + 1
        assert sent[2] == note(f"{left_out} earlier messages left out here.")

    def test_cuts_an_old_result_before_it_leaves_it_out(self):
        messages = [SYSTEM, QUESTION, *rounds(6, size=4_000)]

        sent = compact(messages, budget=3_500)

        assert [m.tool_call_id for m in sent if m.role == "tool"] == [f"c{n}" for n in range(6)]
        assert sent[-1] == messages[-1]
        assert "[… cut, of" in sent[3].content

    def test_one_huge_result_does_not_drive_out_the_rounds_before_it(self):
        messages = [SYSTEM, QUESTION, *rounds(3), said("", "huge"), result("huge", '{"row":1}' * 100_000)]

        sent = compact(messages, budget=2_000)

        assert pairs(sent) == pairs(messages)
        assert 1_000 < message_tokens(sent[-1]) < 2_000

    def test_keeps_both_ends_of_what_it_cuts(self):
        log = "begins here\n" + "line\n" * 5_000 + "ends here"
        sent = compact([SYSTEM, QUESTION, said("", "c"), result("c", log)], budget=300)

        assert sent[-1].content.startswith("begins here")
        assert sent[-1].content.endswith("ends here")

    def test_leaves_arguments_valid_json_when_they_are_cut(self):
        call = said("", "c", arguments=json.dumps({"text": "x" * 9_000}))

        sent = compact([SYSTEM, QUESTION, call, result("c", "ok")], budget=300)

        assert json.loads(sent[2].tool_requests[0].arguments) == {"_cut": "arguments"}
        assert sent[3].content == "ok"

    def test_keeps_parallel_calls_with_their_results(self):
        messages = [SYSTEM, QUESTION, *rounds(9), said("", "a", "b", "c")]
        messages += [result(each, "word " * 500) for each in "abc"]

        sent = compact(messages, budget=700)

        calls, results = pairs(sent)
        assert calls == results
        assert calls[-3:] == ["a", "b", "c"]

    def test_takes_no_note_for_the_question(self):
        messages = [SYSTEM, QUESTION, *rounds(30), note("This is your last turn.")]

        sent = compact(messages, budget=600)

        assert QUESTION in sent
        assert sent[-1] == messages[-1]
        assert sent[-2] == messages[-2]

    def test_leaves_earlier_turns_out_before_the_rounds_of_this_question(self):
        history = [ChatMessage(role="user", content="old " * 100), said("reply " * 100)] * 20
        messages = [SYSTEM, *history, QUESTION, *rounds(3)]

        sent = compact(messages, budget=900)

        assert sent[1] == note(f"{len(messages) - len(sent) + 1} earlier messages left out here.")
        assert sent[-7:] == messages[-7:]

    def test_cuts_the_context_of_the_question_before_the_question(self):
        messages = [SYSTEM, asked_with(5)]

        sent = compact(messages, budget=400)

        assert sent[1].content.endswith("\nQuestion: Why?")
        assert sent[1].content.count("</passage>") == 5
        assert sent[1].content.count("[…]") == 5

    def test_cuts_the_longest_part_of_the_context_first(self):
        sent = compact([SYSTEM, asked_with(3, size=100, attachment="log " * 4_000)], budget=600)

        assert sent[1].content.count("fact " * 19 + "fact") == 3
        assert tokens(sent) > 550

    def test_gives_up_all_context_before_a_word_of_the_question(self):
        sent = compact([SYSTEM, asked_with(5)], budget=60)

        assert sent[1].content == "[… context left out …]\nQuestion: Why?"

    def test_cuts_the_context_so_that_the_newest_result_can_be_read(self):
        messages = [SYSTEM, asked_with(10), said("", "c"), result("c", "The port is 8080.")]

        sent = compact(messages, budget=tokens(messages[:2]) + 5)

        assert sent[2:] == messages[2:]
        assert "Question: Why?" in sent[1].content

    def test_leaves_the_newest_round_out_only_where_not_even_its_marks_fit(self):
        messages = [SYSTEM, QUESTION, said("", "c"), result("c", "word " * 100)]

        fits = compact(messages, budget=tokens([SYSTEM, QUESTION]) + 40)
        fits_not = compact(messages, budget=tokens([SYSTEM, QUESTION]) + 20)

        assert [m.content for m in fits[2:]] == ["", "[…]"]
        assert fits_not == [SYSTEM, QUESTION, note("2 earlier messages left out here.")]

    def test_cuts_a_question_that_does_not_fit_by_itself(self):
        question = ChatMessage(role="user", content="Please " + "please " * 1_000 + "tell me the port.")

        sent = compact([SYSTEM, question], budget=100)

        assert sent[1].content.startswith("Please please")
        assert sent[1].content.endswith("tell me the port.")
        assert tokens(sent) <= 100

    def test_refuses_where_the_system_prompt_leaves_no_room_for_the_question(self):
        system = ChatMessage(role="system", content="rule " * 1_000)

        with pytest.raises(ConversationTooLargeError, match=r"budget of 500 tokens .* at least 1266") as raised:
            compact([system, QUESTION], budget=500)

        assert isinstance(raised.value, PermanentError)
        assert compact([system, QUESTION], budget=raised.value.least)[0] == system

    def test_leaves_out_results_without_calls_and_calls_without_results(self):
        messages = [SYSTEM, QUESTION, result("nobody", "stray"), said("", "open"), *rounds(1, size=4_000)]

        sent = compact(messages, budget=600)

        assert pairs(sent) == (["c0"], ["c0"])
        assert sent[2] == note("2 earlier messages left out here.")

    def test_adds_up_what_was_left_out_when_it_compacts_again(self):
        messages = [SYSTEM, QUESTION, *rounds(30)]

        again = compact(compact(messages, budget=1_500), budget=400)

        assert [m.content for m in again if m.content.endswith("left out here.")] == [
            f"{NOTE}{len(messages) - len(again) + 1} earlier messages left out here."
        ]

    def test_fits_a_conversation_without_a_question(self):
        sent = compact([SYSTEM, *rounds(20)], budget=300)

        assert tokens(sent) <= 300
        assert sent[-1].tool_call_id == "c19"

    def test_does_not_stumble_over_half_a_surrogate_pair(self):
        sent = compact([SYSTEM, QUESTION, said("", "c"), result("c", "\ud800 " * 1_000)], budget=300)

        assert tokens(sent) <= 300


class TestCompactAnyConversation:
    @given(conversations(), st.integers(0, 3_000))
    def test_keeps_the_budget_the_order_the_pairs_and_what_the_run_is_about(self, messages, budget):
        try:
            sent = compact(messages, budget=budget)
        except ConversationTooLargeError as error:
            sent = compact(messages, budget=error.least)
            budget = max(budget + 1, error.least)

        assert tokens(sent) <= budget
        calls, results = pairs(sent)
        assert calls == results
        assert calls == pairs(messages)[0][len(pairs(messages)[0]) - len(calls) :]
        assert [m for m in sent if m.role == "system"] == [m for m in messages if m.role == "system"]
        kept = [m for m in sent if not m.content.endswith("left out here.")]
        left = iter(messages)
        assert all(any(_comes_from(m, each) for each in left) for m in kept)
        if tokens(messages) > budget:
            assert len(sent) < len(messages) or any(a != b for a, b in zip(sent, messages, strict=False))

    @given(conversations(), st.integers(50, 3_000))
    def test_keeps_the_question_whole_wherever_it_fits_beside_the_newest_round(self, messages, budget):
        asked = question_of(messages)
        pinned = tokens([m for m in messages if m.role == "system"]) + message_tokens(asked)

        if pinned + 600 <= budget:
            assert question_of(compact(messages, budget=budget)) == asked

    @given(conversations(), st.integers(150, 3_000))
    def test_done_twice_is_done_once(self, messages, budget):
        once = compact(messages, budget=budget)

        assert compact(once, budget=budget) == once
        assert compact(messages, budget=budget) == once

    @given(conversations(), st.integers(150, 3_000), st.integers(0, 500))
    def test_never_keeps_less_of_anything_for_a_greater_budget(self, messages, budget, more):
        small, large = (_kept(compact(messages, budget=each)) for each in (budget, budget + more))

        assert len(small) <= len(large)
        pairs_of = zip(reversed(small), reversed(large), strict=False)
        assert all(len(_own(a)) <= len(_own(b)) for a, b in pairs_of)


def _comes_from(sent: ChatMessage, original: ChatMessage) -> bool:
    return (
        sent.role == original.role
        and sent.tool_call_id == original.tool_call_id
        and [call.id for call in sent.tool_requests] == [call.id for call in original.tool_requests]
        and (sent.content == original.content or "…" in sent.content)
    )


def _kept(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Tell what is left of the rounds, question and system prompt apart."""
    asked = question_of(messages)
    return [m for m in messages if m.role != "system" and m is not asked and not m.content.endswith("left out here.")]


def _own(message: ChatMessage) -> str:
    """What is left of a text, without the mark of the cut."""
    text = message.content
    for mark in ("[… context left out …]", "[…]"):
        text = text.replace(mark, "")
    head, _, tail = text.partition("[… cut, of")
    return head + tail.partition("…]")[2]
