import json
from dataclasses import replace

import pytest

from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.domain.models.messages import NOTHING_SAID, RESULTS_READ, written_messages
from goldgate.domain.models.providers import PROVIDERS, UNNAMED

REQUEST = ToolRequest(id="call-1", name="add two!", arguments="{oops")
ASKED = ChatMessage(role="assistant", content="", tool_requests=(REQUEST,))
RESULT = ChatMessage(role="tool", content="3", tool_call_id="call-1")
NOTE = ChatMessage(role="user", content="[note] This is your last turn.")
SIGNED = {"google": {"thought_signature": "abc"}}


class TestWrittenMessages:
    def test_hold_only_names_and_arguments_that_strict_endpoints_take(self):
        (written,) = written_messages([ASKED], UNNAMED)

        function = written["tool_calls"][0]["function"]
        assert function["name"] == "add_two_"
        assert json.loads(function["arguments"]) == {"not_json": "{oops"}

    def test_leave_arguments_that_are_an_object_as_they_were_written(self):
        asked = replace(ASKED, tool_requests=(replace(REQUEST, arguments='{ "a":1 }'),))

        assert written_messages([asked], UNNAMED)[0]["tool_calls"][0]["function"]["arguments"] == '{ "a":1 }'

    def test_hold_no_empty_text(self):
        """Mistral: "must have either content or tool_calls, but not none"; Anthropic: "must be non-empty"."""
        empty = ChatMessage(role="assistant", content=" ")

        assert [written["content"] for written in written_messages([ASKED, empty], UNNAMED)] == [None, NOTHING_SAID]

    @pytest.mark.parametrize("provider", ["mistral", "vllm"])
    def test_let_the_assistant_speak_between_result_and_user_where_it_has_to(self, provider):
        """Mistral answers 400 with "Unexpected role 'user' after role 'tool'"."""
        written = written_messages([ASKED, RESULT, NOTE, NOTE], PROVIDERS[provider])

        assert [message["role"] for message in written] == ["assistant", "tool", "assistant", "user"]
        assert written[2]["content"] == RESULTS_READ
        assert written[3]["content"] == f"{NOTE.content}\n\n{NOTE.content}"

    def test_stay_as_they_are_elsewhere(self):
        written = written_messages([ASKED, RESULT, NOTE, NOTE], PROVIDERS["openai"])

        assert [message["role"] for message in written] == ["assistant", "tool", "user", "user"]

    def test_give_call_and_result_the_same_id_where_ids_have_a_form(self):
        asked, result = written_messages([ASKED, RESULT], PROVIDERS["mistral"])

        written = asked["tool_calls"][0]["id"]
        assert written == result["tool_call_id"]
        assert len(written) == 9
        assert written.isalnum()

    @pytest.mark.parametrize("provider", ["google", "vertex"])
    def test_give_google_its_signatures_back(self, provider):
        """Without them Gemini refuses the conversation: https://ai.google.dev/gemini-api/docs/thought-signatures."""
        signed = replace(REQUEST, extra=json.dumps(SIGNED))
        beside = replace(REQUEST, id="call-2")
        (written,) = written_messages([replace(ASKED, tool_requests=(signed, beside))], PROVIDERS[provider])

        first, second = written["tool_calls"]
        assert first["extra_content"] == SIGNED
        assert "extra_content" not in second

    def test_tell_google_of_calls_that_another_model_made(self):
        (written,) = written_messages([ASKED], PROVIDERS["google"])

        signature = written["tool_calls"][0]["extra_content"]["google"]["thought_signature"]
        assert signature == "skip_thought_signature_validator"

    def test_give_signatures_to_nobody_else(self):
        """A fallback of another provider would refuse a field that it does not know."""
        asked = replace(ASKED, tool_requests=(replace(REQUEST, extra=json.dumps(SIGNED)),))

        for provider in (UNNAMED, PROVIDERS["openai"], PROVIDERS["mistral"]):
            assert "extra_content" not in written_messages([asked], provider)[0]["tool_calls"][0]

    def test_hold_reasoning_where_a_message_with_calls_must(self):
        """DeepSeek: "Missing `reasoning_content` field in the assistant message". It may be empty."""
        asked, result = written_messages([ASKED, RESULT], PROVIDERS["deepseek"])

        assert asked["reasoning_content"] == ""
        assert "reasoning_content" not in result
        assert "reasoning_content" not in written_messages([ASKED], UNNAMED)[0]
