import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.conversation import ToolRequest
from goldgate.domain.models.completions import (
    FINISH_REASONS,
    Completion,
    NoCompletion,
    read_completion,
    read_error,
)
from goldgate.domain.models.trouble import Trouble

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = {
    "content": JSON,
    "tool_calls": JSON
    | st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "id": JSON,
                "extra_content": JSON,
                "function": JSON | st.fixed_dictionaries({}, optional={"name": JSON, "arguments": JSON}),
            },
        ),
        max_size=4,
    ),
    "function_call": JSON | st.fixed_dictionaries({}, optional={"name": JSON, "arguments": JSON}),
    "refusal": JSON,
}
USAGE_FIELDS = (
    "prompt_tokens",
    "completion_tokens",
    "input_tokens",
    "output_tokens",
    "prompt_tokens_details",
    "total_tokens",
)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "choices": JSON
        | st.lists(
            st.fixed_dictionaries(
                {}, optional={"message": JSON | st.fixed_dictionaries({}, optional=FIELDS), "finish_reason": JSON}
            ),
            max_size=2,
        ),
        "usage": JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(USAGE_FIELDS, JSON)),
        "error": JSON,
    },
)


def body(message: Any, *, finish_reason: Any = "stop", usage: Any = None) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish_reason}], "usage": usage}).encode()


def read(message: Any, **more: Any) -> Completion:
    found = read_completion(body(message, **more))
    assert isinstance(found, Completion)
    return found


def call(name: Any = "add", arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    return {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


class TestReadCompletion:
    @given(ANSWERS, st.sets(st.text(max_size=4)))
    def test_is_safe_whatever_an_endpoint_writes(self, answer, taken):
        found = read_completion(json.dumps(answer).encode(), taken=taken)

        assert 0 <= found.use.tokens_cached <= found.use.tokens_in
        assert found.use.tokens_out >= 0
        if isinstance(found, Completion):
            ids = [asked.id for asked in found.tool_requests]
            assert all(ids)
            assert len(set(ids)) == len(ids)
            assert not set(ids) & taken
            assert found.finish_reason in FINISH_REASONS
            json.dumps([found.content, *[asked.arguments for asked in found.tool_requests]]).encode()
            found.content.encode()

    @given(st.binary(max_size=200))
    def test_is_safe_whatever_bytes_come(self, content):
        assert isinstance(read_completion(content), Completion | NoCompletion)

    def test_knows_what_is_no_number(self):
        answer = (
            b'{"choices": [{"message": {"content": "Hi."}}], "usage": {"prompt_tokens": NaN, "completion_tokens": 1}}'
        )
        found = read_completion(answer)

        assert isinstance(found, Completion)
        assert (found.content, found.use.is_told) == ("Hi.", False)

    @pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a": ' + b"9" * 10_000 + b"}"])
    def test_is_not_brought_down_by_size(self, content):
        found = read_completion(content)

        assert isinstance(found, NoCompletion)
        assert found.trouble is Trouble.GARBLED

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (None, ""),
            ("", ""),
            (42, ""),
            ([{"type": "text", "text": "a"}, {"type": "thinking"}, {"type": "text", "text": "b"}], "ab"),
            ("a\ud800b", "a?b"),
        ],
    )
    def test_reads_text_where_there_is_some(self, content, text):
        assert read({"content": content}).content == text

    def test_reads_a_refusal_where_there_is_no_text(self):
        assert read({"content": None, "refusal": "I cannot."}).content == "I cannot."

    def test_keeps_text_beside_calls(self):
        found = read({"content": "Let me see.", "tool_calls": [call()]}, finish_reason="tool_calls")

        assert (found.content, len(found.tool_requests)) == ("Let me see.", 1)

    @pytest.mark.parametrize(
        ("given_", "ids"),
        [
            (["a", "b"], ["a", "b"]),
            (["a", "a"], ["a", "call-1"]),
            (["", None, 7, "  "], ["call-0", "call-1", "call-2", "call-3"]),
            ([None, "call-0"], ["call-0", "call-1"]),
            (["x" * 41], ["call-0"]),
        ],
    )
    def test_makes_ids_that_are_missing_or_repeated(self, given_, ids):
        found = read({"tool_calls": [call(id=each) for each in given_]})

        assert [asked.id for asked in found.tool_requests] == ids

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [('{"a": 1}', '{"a": 1}'), ({"a": 1}, '{"a": 1}'), (None, "{}"), ("", "{}"), ("{oops", "{oops"), ([1], "[1]")],
    )
    def test_takes_arguments_as_text_or_as_json(self, arguments, text):
        assert read({"tool_calls": [call(arguments=arguments)]}).tool_requests[0].arguments == text

    def test_hands_on_a_call_without_a_function_so_that_the_model_is_told(self):
        found = read({"tool_calls": [{"id": "c"}, "nonsense"]})

        assert found.tool_requests == (ToolRequest(id="c", name="", arguments="{}"),)

    def test_keeps_what_the_endpoint_wants_back_with_a_call(self):
        signed = {"google": {"thought_signature": "abc"}}
        found = read({"tool_calls": [call(extra_content=signed), call(id="d"), call(id="e", extra_content="odd")]})

        extras = [asked.extra for asked in found.tool_requests]
        assert (json.loads(extras[0]), extras[1:]) == (signed, ["", ""])

    def test_drops_what_is_too_long_to_be_carried_along(self):
        found = read({"tool_calls": [call(extra_content={"a": "x" * 70_000})]})

        assert found.tool_requests[0].extra == ""

    def test_reads_a_call_of_the_old_form(self):
        found = read({"function_call": {"name": "add", "arguments": '{"a": 1}'}}, finish_reason="function_call")

        assert found.tool_requests == (ToolRequest(id="call-0", name="add", arguments='{"a": 1}'),)
        assert found.finish_reason == "tool_calls"

    @pytest.mark.parametrize(
        ("reason", "read_as"),
        [
            ("end_turn", "stop"),
            ("MAX_TOKENS", "length"),
            ("SAFETY", "content_filter"),
            ("because", "unknown"),
            (7, "unknown"),
        ],
    )
    def test_tells_only_known_reasons(self, reason, read_as):
        assert read({"content": "Hi."}, finish_reason=reason).finish_reason == read_as

    def test_takes_a_whole_answer_without_a_reason_for_finished(self):
        assert read({"content": "Hi."}, finish_reason=None).finish_reason == "stop"
        assert read({"content": ""}, finish_reason=None).finish_reason == "unknown"


class TestAnErrorInsideAnAnswer:
    @pytest.mark.parametrize(
        ("answer", "trouble"),
        [
            ({"error": {"message": "gone", "code": 502}, "choices": [{"message": {"content": ""}}]}, Trouble.SERVER),
            ({"choices": [{"message": {"content": ""}, "error": {"message": "gone", "code": 502}}]}, Trouble.SERVER),
            ({"error": {"message": "slow down", "code": "429"}}, Trouble.RATE_LIMIT),
            ({"object": "error", "message": "slow down", "type": "rate_limited", "code": "1300"}, Trouble.RATE_LIMIT),
            ({"error": {"message": "no", "code": 20042}}, Trouble.BAD_REQUEST),
        ],
    )
    def test_is_read_wherever_it_stands(self, answer, trouble):
        """An empty text beside it is no answer: the endpoint behind a gateway broke off."""
        found = read_completion(json.dumps({**answer, "usage": {"prompt_tokens": 9, "completion_tokens": 1}}).encode())

        assert isinstance(found, NoCompletion)
        assert (found.trouble, found.use.tokens_in) == (trouble, 9)

    @pytest.mark.parametrize("error", [None, {}, "", False])
    def test_is_none_if_nothing_stands_there(self, error):
        found = read_completion(json.dumps({"error": error, "choices": [{"message": {"content": "Hi."}}]}).encode())

        assert isinstance(found, Completion)


class TestReadError:
    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b'{"error": {"message": "no"}}', "no"),
            (b'{"error": "no"}', "no"),
            (b'[{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}]', "no"),  # Google
            (b'{"detail": "no", "object": "error"}', "no"),
            (b"plain\n  words", "plain words"),
            (b"<html>a page</html>", ""),
            (b"", ""),
        ],
    )
    def test_finds_the_words_of_several_forms(self, content, told):
        assert read_error(400, content).told == told

    @given(st.integers(100, 599), st.binary(max_size=100))
    def test_is_safe_whatever_comes(self, status, content):
        read_error(status, content)
