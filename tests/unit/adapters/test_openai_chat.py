import traceback
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.adapters.openai_chat import OpenAIChatModel, cost_usd
from goldgate.contracts.llm import LLMSpec, Price, SamplingParameters
from goldgate.contracts.resource_parts import FromEnv
from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.model import ModelRefusedError, ToolDefinition
from tests.fakes.scripted_endpoint import Answer, ScriptedEndpoint, completion

PRICE = Price(input_usd_per_million_tokens=4, cached_input_usd_per_million_tokens=1, output_usd_per_million_tokens=10)
ASKED = [ChatMessage(role="user", content="Hi")]
BUSY = Answer(status=429, body={"error": {"message": "slow down"}})
DONE = Answer(body=completion("Done."))


class HandMovedClock:
    """Seconds that pass only while somebody sleeps on it."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept_s: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


def model(
    endpoint: ScriptedEndpoint | None = None,
    *,
    env: dict[str, str] | None = None,
    clock: Callable[[], float] | None = None,
    sleep: Callable[[float], None] | None = None,
    **fields: object,
) -> OpenAIChatModel:
    address = {"base_url": endpoint.url} if endpoint else {}
    spec = LLMSpec.model_validate({"model": "m-1", "price": PRICE, **address, **fields})
    ticking = HandMovedClock()
    return OpenAIChatModel(spec, env=env or {}, clock=clock or ticking, sleep=sleep or ticking.sleep)


class TestWhatIsSent:
    def test_is_the_conversation_with_tool_calls_and_results(self):
        conversation = [
            ChatMessage(role="system", content="Be brief."),
            ChatMessage(role="user", content="1+1?"),
            ChatMessage(role="assistant", content="", tool_requests=(ToolRequest(id="c", name="add", arguments="{}"),)),
            ChatMessage(role="tool", content="2", tool_call_id="c"),
        ]
        tool = ToolDefinition(name="add", description="Add.", input_schema={"type": "object"})
        with ScriptedEndpoint(DONE) as endpoint:
            model(endpoint).complete(conversation, tools=[tool], within_s=5)

        sent = endpoint.requests[0]
        assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool"]
        assert sent["messages"][2]["tool_calls"][0]["function"] == {"name": "add", "arguments": "{}"}
        assert sent["messages"][3]["tool_call_id"] == "c"
        assert sent["tools"][0]["function"] == {"name": "add", "description": "Add.", "parameters": {"type": "object"}}

    def test_holds_only_the_parameters_that_are_given(self):
        with ScriptedEndpoint(DONE) as endpoint:
            model(endpoint, parameters=SamplingParameters(temperature=0, seed=7)).complete(ASKED, within_s=5)

        assert set(endpoint.requests[0]) == {"model", "messages", "temperature", "seed"}
        assert endpoint.requests[0]["model"] == "m-1"

    def test_carries_the_key_that_the_environment_holds(self):
        with ScriptedEndpoint(DONE) as endpoint:
            model(endpoint, api_key_from=FromEnv(env="KEY"), env={"KEY": "k-1"}).complete(ASKED, within_s=5)

        assert endpoint.headers[0]["authorization"] == "Bearer k-1"

    def test_goes_to_the_address_that_the_environment_holds(self):
        with ScriptedEndpoint(DONE) as endpoint:
            named = model(base_url_from=FromEnv(env="URL"), env={"URL": endpoint.url})

            assert named.complete(ASKED, within_s=5).content == "Done."


class TestAnEnvironmentThatLacksAVariable:
    @pytest.mark.parametrize(
        ("fields", "name", "field"),
        [
            ({"base_url_from": {"env": "MODEL_URL"}}, "MODEL_URL", "baseUrlFrom"),
            ({"base_url": "http://h/v1", "api_key_from": {"env": "MODEL_KEY"}}, "MODEL_KEY", "apiKeyFrom"),
        ],
    )
    def test_is_told_before_anything_is_asked(self, fields, name, field):
        with pytest.raises(PermanentError, match=f"no environment variable `{name}`.*`{field}`"):
            model(**fields)


class TestRetries:
    def test_wait_longer_each_time_and_then_succeed(self):
        clock = HandMovedClock()
        with ScriptedEndpoint(BUSY, BUSY, DONE) as endpoint:
            reply = model(endpoint, clock=clock, sleep=clock.sleep).complete(ASKED, within_s=5)

        assert reply.content == "Done."
        assert clock.slept_s == [0.25, 0.5]

    def test_end_after_as_many_as_the_resource_allows(self):
        with ScriptedEndpoint(BUSY) as endpoint, pytest.raises(TransientError, match=r"status 429.*Tried 3 times\."):
            model(endpoint, max_retries=2).complete(ASKED, within_s=60)

        assert len(endpoint.requests) == 3

    @pytest.mark.parametrize("headers", [{"Retry-After": "2"}, {"retry-after-ms": "2000"}])
    def test_wait_as_long_as_the_endpoint_asks(self, headers):
        clock = HandMovedClock()
        busy = Answer(status=429, body={}, headers=headers)
        with ScriptedEndpoint(busy, DONE) as endpoint:
            model(endpoint, clock=clock, sleep=clock.sleep).complete(ASKED, within_s=5)

        assert clock.slept_s == [2.0]

    def test_do_not_wait_beyond_the_deadline_but_hand_on_what_was_asked(self):
        clock = HandMovedClock()
        busy = Answer(status=429, body={}, headers={"Retry-After": "30"})
        with ScriptedEndpoint(busy, DONE) as endpoint, pytest.raises(TransientError) as caught:
            model(endpoint, clock=clock, sleep=clock.sleep).complete(ASKED, within_s=5)

        assert caught.value.retry_after == timedelta(seconds=30)
        assert clock.slept_s == []

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
    def test_are_not_made_when_the_request_itself_is_refused(self, status):
        refused = Answer(status=status, body={"error": {"message": "no"}})
        with ScriptedEndpoint(refused) as endpoint, pytest.raises(PermanentError, match=f"status {status}: .*no"):
            model(endpoint).complete(ASKED, within_s=5)

        assert len(endpoint.requests) == 1

    def test_follow_a_server_that_nobody_reaches(self):
        with ScriptedEndpoint(DONE) as endpoint:
            url = endpoint.url

        with pytest.raises(TransientError, match=r"APIConnectionError.*Tried 2 times"):
            model(base_url=url, max_retries=1).complete(ASKED, within_s=5)

    def test_are_cut_off_when_the_endpoint_hangs(self):
        with (
            ScriptedEndpoint(Answer(hang=True)) as endpoint,
            pytest.raises(TransientError, match="APITimeoutError"),
        ):
            model(endpoint, timeout_seconds=0.05, max_retries=0).complete(ASKED, within_s=5)

    def test_never_tell_the_key(self):
        """Not even when the endpoint echoes it, and not in a traceback either."""
        key = "very-" + "secret"  # not in one piece: a traceback shows the lines of this test
        unauthorised = Answer(status=401, body={"error": {"message": f"no such key: {key}"}})
        with ScriptedEndpoint(unauthorised) as endpoint, pytest.raises(ModelRefusedError) as caught:
            model(endpoint, api_key_from=FromEnv(env="KEY"), env={"KEY": key}).complete(ASKED, within_s=5)

        told = "".join(traceback.format_exception(caught.value))
        assert caught.value.status == 401
        assert "no such key: [key]" in told
        assert key not in told


class TestAnOddAnswer:
    def test_without_a_choice_is_refused(self):
        with (
            ScriptedEndpoint(Answer(body={"id": "x", "choices": []})) as endpoint,
            pytest.raises(PermanentError, match="without a choice"),
        ):
            model(endpoint).complete(ASKED, within_s=5)

    @pytest.mark.parametrize("usage", [None, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}])
    def test_without_usage_is_not_metered(self, usage):
        """A cost of 0 that nobody measured is not a cost."""
        body = {**completion("Hi."), "usage": usage}
        with ScriptedEndpoint(Answer(body=body)) as endpoint:
            reply = model(endpoint).complete(ASKED, within_s=5)

        assert (reply.content, reply.is_metered) == ("Hi.", False)


class TestCostUsd:
    def test_prices_fresh_cached_and_written_tokens(self):
        assert cost_usd(PRICE, tokens_in=1_000_000, tokens_cached=250_000, tokens_out=100_000) == pytest.approx(4.25)

    @given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
    def test_never_falls_when_more_is_used(self, cached, fresh, out):
        one = cost_usd(PRICE, tokens_in=cached + fresh, tokens_cached=cached, tokens_out=out)

        assert cost_usd(PRICE, tokens_in=cached + fresh + 1, tokens_cached=cached, tokens_out=out + 1) > one >= 0
