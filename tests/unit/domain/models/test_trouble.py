import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.models.trouble import Trouble, classify

TOO_LONG = [
    "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",  # OpenAI
    "prompt is too long: 210000 tokens > 200000 maximum",  # Anthropic
    "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",  # Google
    "Please reduce the length of the messages or completion.",  # Groq
]
"""What the named providers say, as users quote it in public issues."""


class TestClassify:
    @pytest.mark.parametrize(
        ("status", "trouble"),
        [
            (400, Trouble.BAD_REQUEST),
            (401, Trouble.UNAUTHORIZED),
            (402, Trouble.QUOTA),
            (403, Trouble.UNAUTHORIZED),
            (404, Trouble.NOT_FOUND),
            (408, Trouble.SERVER),
            (409, Trouble.SERVER),
            (413, Trouble.CONTEXT_LENGTH),
            (422, Trouble.BAD_REQUEST),
            (429, Trouble.RATE_LIMIT),
            (500, Trouble.SERVER),
            (529, Trouble.SERVER),
            (302, Trouble.REDIRECT),
        ],
    )
    def test_goes_by_status(self, status, trouble):
        assert classify(status) is trouble

    @pytest.mark.parametrize("message", TOO_LONG)
    def test_knows_a_conversation_that_is_too_long(self, message):
        assert classify(400, message=message) is Trouble.CONTEXT_LENGTH

    def test_does_not_take_a_server_that_speaks_of_length_for_one(self):
        assert classify(503, message=TOO_LONG[0]) is Trouble.SERVER

    @pytest.mark.parametrize(
        ("status", "code", "trouble"),
        [
            (429, "insufficient_quota", Trouble.QUOTA),
            (400, "context_length_exceeded", Trouble.CONTEXT_LENGTH),
            (400, "content_filter", Trouble.CONTENT_FILTER),
            (0, "rate_limit_error", Trouble.RATE_LIMIT),
            (0, "overloaded_error", Trouble.SERVER),
            (400, "rate_limit_error", Trouble.BAD_REQUEST),
        ],
    )
    def test_believes_codes_that_say_more_than_the_status(self, status, code, trouble):
        assert classify(status, codes=frozenset({code})) is trouble

    @given(st.integers(-1000, 10_000), st.text(max_size=200))
    def test_has_a_kind_for_everything(self, status, message):
        assert classify(status, message=message) in Trouble


class TestTrouble:
    def test_that_speaks_against_an_endpoint_may_pass(self):
        assert all(trouble.may_pass for trouble in Trouble if trouble.is_of_the_endpoint)

    @pytest.mark.parametrize("trouble", [Trouble.BAD_REQUEST, Trouble.OUT_OF_TIME, Trouble.UNAUTHORIZED, Trouble.QUOTA])
    def test_of_the_caller_does_not_speak_against_the_endpoint(self, trouble):
        assert not trouble.is_of_the_endpoint
