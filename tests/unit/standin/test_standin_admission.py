"""Bad requests get an answer that names the field."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.standin.admission import RequestError, read_request
from goldgate.standin.wire import ChatRequest, EmbeddingRequest

HELLO = {"role": "user", "content": "hello"}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "look"}}


def refused(kind=ChatRequest, **fields):
    with pytest.raises(RequestError) as caught:
        read_request(json.dumps({"model": "standin-1", **fields}).encode(), kind)
    return caught.value


class TestReadRequest:
    @pytest.mark.parametrize(
        ("fields", "param", "code"),
        [
            ({}, "messages", "missing_required_parameter"),
            ({"messages": []}, "messages", "invalid_value"),
            ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role", "invalid_value"),
            ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_value"),
            ({"messages": [HELLO, {"role": "user"}]}, "messages[1]", "invalid_value"),
            (
                {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
                "messages[0].content",
                "invalid_value",
            ),
            ({"messages": [HELLO], "colour": "red"}, "colour", "unknown_parameter"),
            ({"messages": [{**HELLO, "mood": 1}]}, "messages[0].mood", "unknown_parameter"),
            ({"messages": [HELLO], "temperature": 3}, "temperature", "invalid_value"),
            ({"messages": [HELLO], "max_tokens": 0}, "max_tokens", "invalid_value"),
            ({"messages": [HELLO], "n": 2}, "n", "invalid_value"),
            ({"messages": [HELLO], "tool_choice": "required"}, "tool_choice", "invalid_value"),
            (
                {
                    "messages": [HELLO],
                    "tools": [TOOL],
                    "tool_choice": {"type": "function", "function": {"name": "other"}},
                },
                "tool_choice",
                "invalid_value",
            ),
            (
                {"messages": [HELLO], "tools": [{"type": "function", "function": {"name": "no spaces"}}]},
                "tools[0].function.name",
                "invalid_value",
            ),
            (
                {
                    "messages": [HELLO],
                    "tools": [
                        {
                            "type": "function",
                            "function": {"name": "f", "parameters": {"properties": {"x": {"pattern": "("}}}},
                        }
                    ],
                },
                "tools[0].function",
                "invalid_value",
            ),
            (
                {"messages": [HELLO, {"role": "tool", "tool_call_id": "c1", "content": "x"}]},
                "messages[1].tool_call_id",
                "invalid_value",
            ),
            ({"messages": [HELLO, {"role": "assistant", "tool_calls": [CALL]}]}, "messages", "invalid_value"),
            ({"messages": [HELLO, {"role": "assistant", "tool_calls": [CALL]}, HELLO]}, "messages", "invalid_value"),
        ],
    )
    def test_names_the_field_that_is_wrong(self, fields, param, code):
        error = refused(**fields)

        assert (error.param, error.code, error.status) == (param, code, 400)

    def test_knows_only_names_of_stand_ins(self):
        error = refused(model="gpt-9", messages=[HELLO])

        assert (error.param, error.code, error.status) == ("model", "model_not_found", 404)

    @pytest.mark.parametrize("value", ["", [], [""], [1, 2], None])
    def test_wants_texts_to_embed(self, value):
        assert refused(EmbeddingRequest, input=value).param.startswith("input")

    def test_joins_parts_of_text(self):
        parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        body = json.dumps({"model": "standin-1", "messages": [{"role": "user", "content": parts}]}).encode()

        assert read_request(body, ChatRequest).messages[0].text == "a\nb"

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"null", b"[" * 100_000])
    def test_refuses_what_is_no_json_object(self, body):
        with pytest.raises(RequestError):
            read_request(body, ChatRequest)

    def test_refuses_text_that_is_no_unicode(self):
        assert refused(messages=[{"role": "user", "content": "\ud800"}]).code == "invalid_json"

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
        )
    )
    def test_never_fails_otherwise(self, value):
        body = json.dumps({"model": "standin-1", "messages": value}).encode()

        with pytest.raises(RequestError):
            read_request(body, ChatRequest)
