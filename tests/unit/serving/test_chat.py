import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.serving.chat import ChatError, completion, question_of, read_chat, stream
from tests.fakes.scripted_arm_client import response

TRACE = "a" * 32


def body(**changes: object) -> bytes:
    return json.dumps({"model": "helper", "messages": [{"role": "user", "content": "Why?"}], **changes}).encode()


class TestReadChat:
    @pytest.mark.parametrize("role", ["system", "developer"])
    def test_refuses_instructions_of_callers(self, role):
        """An agent has its own. Dropping them silently, or obeying them, would both be worse."""
        messages = [{"role": role, "content": "Be rude."}, {"role": "user", "content": "Hi"}]

        with pytest.raises(ChatError, match=r"`messages.0.role`: found .*expected `user` or `assistant`.*`context`"):
            read_chat(body(messages=messages))

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"tools": []}, "`tools`: found an unknown field"),
            ({"n": 2}, "`n`: found `2`"),
            ({"messages": []}, "`messages`: found"),
            ({"messages": [{"role": "assistant", "content": "Hi"}]}, "last message must be the user's"),
            ({"messages": [{"role": "user", "content": " "}]}, "last message is empty"),
            ({"messages": [{"role": "tool", "content": "x"}]}, "`messages.0.role`"),
            ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "found `'image_url'`"),
            ({"model": 1}, "`model`: found `1`"),
            ({"context": "text"}, "`context`"),
        ],
    )
    def test_says_what_it_refuses(self, changes, told):
        with pytest.raises(ChatError) as caught:
            read_chat(body(**changes))

        assert told in str(caught.value)

    @pytest.mark.parametrize(
        ("content", "where"), [(b"{", "line 1 column 1"), (b"", "line 1"), (b'{"a": x}', "column")]
    )
    def test_says_where_json_is_broken(self, content, where):
        with pytest.raises(ChatError, match=rf"request: found broken JSON \(.*{where}.*\), expected a JSON object"):
            read_chat(content)

    @given(st.binary())
    def test_refuses_any_other_bytes_without_breaking(self, content):
        with pytest.raises(ChatError):
            read_chat(content)

    def test_names_what_means_nothing_to_an_agent(self):
        assert read_chat(body(temperature=0.1, max_tokens=5, user="ann")).ignored == ["max_tokens", "temperature"]


class TestQuestionOf:
    def test_takes_the_last_message_for_the_question_and_the_others_for_history(self):
        messages = [
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": "1"},
            {"role": "user", "content": [{"type": "text", "text": "And "}, {"type": "text", "text": "two?"}]},
        ]

        found = question_of(read_chat(body(messages=messages, context=["data"])), trace_id=TRACE)

        assert found.question == "And two?"
        assert [(turn.role, turn.content) for turn in found.history] == [("user", "One?"), ("assistant", "1")]
        assert found.context == ["data"]
        assert found.trace_id == TRACE


class TestCompletion:
    def test_is_what_openai_clients_expect(self):
        found = completion(response(trace_id=TRACE), agent="helper", at_s=7)

        assert found == {
            "id": f"chatcmpl-{TRACE}",
            "object": "chat.completion",
            "created": 7,
            "model": "helper",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "42", "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 15,
                "prompt_tokens_details": {"cached_tokens": 4},
            },
            "goldgate": {"citations": ["a"], "refused": False, "safety_flags": []},
        }


class TestStream:
    def test_sends_the_content_then_the_usage_then_the_end(self):
        *events, end = list(stream(response(trace_id=TRACE, answer="Grüß\n\nGott"), agent="helper", at_s=7))

        first, last = (json.loads(event.removeprefix(b"data: ")) for event in events)
        assert first["choices"][0]["delta"] == {"role": "assistant", "content": "Grüß\n\nGott"}
        assert last["choices"][0]["finish_reason"] == "stop"
        assert last["usage"]["total_tokens"] == 15
        assert end == b"data: [DONE]\n\n"
        assert all(event.count(b"\n") == 2 for event in events)
