import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.agent.memory.compaction import ConversationTooLargeError
from goldgate.agent.memory.tokens import count_tokens, definition_tokens, message_tokens
from goldgate.agent.memory.window import careful_tokens, fit_window
from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.ports.model import ToolDefinition

SYSTEM = ChatMessage(role="system", content="You answer.")
QUESTION = ChatMessage(role="user", content="Which task took longest?")
LOG = "\n".join(f"2026-11-21T16:{i % 60:02d}:33.{i:03d}Z INFO task_{i} took {i * 37} ms" for i in range(900))


def looked_up(*results: str) -> list[ChatMessage]:
    rounds: list[ChatMessage] = []
    for number, result in enumerate(results):
        request = ToolRequest(id=f"c{number}", name="look", arguments=json.dumps({"n": number}))
        rounds.append(ChatMessage(role="assistant", content="", tool_requests=(request,)))
        rounds.append(ChatMessage(role="tool", content=result, tool_call_id=request.id))
    return [SYSTEM, QUESTION, *rounds]


class TestCarefulTokens:
    @pytest.mark.parametrize(
        ("text", "true"),
        [
            # By the Llama 2 tokenizer (wordllama 0.4.0.post1), rounded down to tens.
            ("The quick brown fox jumps over the lazy dog and then runs home to its family. " * 40, 760),
            ("调度器决定可以同时运行多少个任务，并在需要时重新启动它们。" * 60, 2_100),  # noqa: RUF001
            ("2026-11-21T16:05:33.005Z INFO task_5 took 185 ms on 10.0.5.12:8080\n" * 60, 3_060),
        ],
    )
    def test_are_hardly_fewer_than_a_tokenizer_makes(self, text, true):
        assert 0.85 * true <= careful_tokens(text) <= 1.4 * true

    @given(st.text())
    def test_are_never_fewer_than_the_plain_count_nor_more_than_four_times_as_many(self, text):
        assert count_tokens(text) <= careful_tokens(text) <= 4 * count_tokens(text)


class TestFitWindow:
    def test_leaves_alone_what_fits(self):
        assert fit_window(looked_up("42 ms"), window=500, tools=[]) == looked_up("42 ms")

    def test_counts_logs_as_a_tokenizer_does(self):
        """By four bytes a token this would fit, and be more than twice the window."""
        sent = fit_window(looked_up(LOG), window=15_000, tools=[])

        assert sum(map(message_tokens, looked_up(LOG))) <= 15_000
        assert sum(careful_tokens(message.content) for message in sent) <= 15_000
        assert (sent[:2], sent[-1].role) == ([SYSTEM, QUESTION], "tool")
        assert careful_tokens(sent[-1].content) > 10_000

    def test_leaves_room_for_the_definitions_of_tools(self):
        tool = ToolDefinition(name="look", description="Looks. " * 100, input_schema={"type": "object"})

        sent = fit_window(looked_up("many words of little use " * 500), window=1_000, tools=[tool])

        assert sum(map(message_tokens, sent)) + definition_tokens([tool]) <= 1_000

    def test_asks_with_what_cannot_be_cut_though_it_may_be_too_much(self):
        dense = ChatMessage(role="system", content="0123456789" * 150)

        sent = fit_window([dense, QUESTION, *looked_up(LOG)[2:]], window=500, tools=[])

        assert sent[:2] == [dense, QUESTION]
        assert sum(map(message_tokens, sent)) <= 500

    def test_refuses_where_the_system_prompt_leaves_no_room(self):
        with pytest.raises(ConversationTooLargeError):
            fit_window([ChatMessage(role="system", content="x" * 4_000), QUESTION], window=500, tools=[])

    @given(st.lists(st.text(max_size=3_000), max_size=6), st.integers(min_value=200, max_value=3_000))
    def test_never_exceeds_the_window_and_keeps_question_and_pairs(self, results, window):
        sent = fit_window(looked_up(*results), window=window, tools=[])

        assert sum(map(message_tokens, sent)) <= window
        assert QUESTION in sent
        asked = [call.id for message in sent for call in message.tool_requests]
        assert asked == [message.tool_call_id for message in sent if message.role == "tool"]
