import base64
import gzip
import json
import subprocess
import sys
import traceback
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.adapters.openai_chat.model import OpenAIChatModel, cost_usd
from goldgate.contracts.llm import LLMSpec, Price, SamplingParameters
from goldgate.contracts.resource_parts import FromEnv
from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.models.trouble import Trouble
from goldgate.ports.model import ModelRefusedError, ModelUnavailableError, ModelUse, ToolDefinition
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


OPENED: list[OpenAIChatModel] = []


@pytest.fixture(autouse=True)
def _close_models():
    yield
    while OPENED:
        OPENED.pop().close()


def model(
    endpoint: ScriptedEndpoint | None = None,
    *,
    env: dict[str, str] | None = None,
    clock: HandMovedClock | None = None,
    drawn: float = 1.0,
    **fields: object,
) -> OpenAIChatModel:
    address = {"base_url": endpoint.url} if endpoint else {}
    spec = LLMSpec.model_validate({"model": "m-1", "price": PRICE, **address, **fields})
    ticking = clock or HandMovedClock()
    opened = OpenAIChatModel(
        spec,
        price=spec.price,
        env=env or {},
        clock=ticking,
        sleep=ticking.sleep,
        draw=lambda: drawn,
        now=lambda: datetime(2026, 1, 1, 12, 0, tzinfo=UTC),
    )
    OPENED.append(opened)
    return opened


class TestTheClient:
    def test_is_loaded_without_what_nobody_uses(self):
        """0.3 s before a new process asks its model."""
        asked = "import sys, goldgate.adapters.openai_chat.model; print('aiohttp' in sys.modules)"
        told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

        assert told.stdout.strip() == "False"


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

    def test_holds_every_parameter_and_what_stands_in_extra(self):
        given = {
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 7,
            "seed": 3,
            "frequency_penalty": 0.1,
            "presence_penalty": -0.1,
            "stop": ["END"],
            "reasoning_effort": "xhigh",
        }
        parameters = SamplingParameters.model_validate({**given, "extra": {"top_k": 20, "min_p": 0.1}})
        with ScriptedEndpoint(DONE) as endpoint:
            model(endpoint, parameters=parameters).complete(ASKED, within_s=5)

        sent = endpoint.requests[0]
        assert {name: sent[name] for name in given} == given
        assert (sent["top_k"], sent["min_p"]) == (20, 0.1)
        assert "extra" not in sent

    @pytest.mark.parametrize(
        ("provider", "written", "sent_as"),
        [
            ("openai", "max_tokens", "max_completion_tokens"),
            ("ollama", "max_completion_tokens", "max_tokens"),
            ("mistral", "seed", "random_seed"),
            ("groq", "max_tokens", "max_tokens"),
        ],
    )
    def test_names_parameters_as_the_provider_does(self, provider, written, sent_as):
        keys = {"OPENAI_API_KEY": "k", "MISTRAL_API_KEY": "k", "GROQ_API_KEY": "k"}
        with ScriptedEndpoint(DONE) as endpoint:
            model(endpoint, provider=provider, env=keys, parameters={written: 9}).complete(ASKED, within_s=5)

        assert set(endpoint.requests[0]) == {"model", "messages", sent_as}

    def test_forbids_calls_if_none_may_be_made(self):
        tool = ToolDefinition(name="add", description="Add.", input_schema={"type": "object"})
        with ScriptedEndpoint(DONE) as endpoint:
            model(endpoint).complete(ASKED, tools=[tool], may_call=False, within_s=5)
            model(endpoint).complete(ASKED, tools=[tool], within_s=5)

        assert [sent.get("tool_choice") for sent in endpoint.requests] == ["none", None]

    def test_is_not_sent_if_it_is_too_long(self):
        with ScriptedEndpoint(DONE) as endpoint, pytest.raises(ModelRefusedError, match="maxRequestBytes") as caught:
            model(endpoint, max_request_bytes=1000).complete([ChatMessage(role="user", content="x" * 2000)], within_s=5)

        assert caught.value.trouble is Trouble.CONTEXT_LENGTH
        assert endpoint.requests == []

    def test_survives_half_a_character(self):
        with ScriptedEndpoint(DONE) as endpoint:
            model(endpoint).complete([ChatMessage(role="user", content="a\ud800b")], within_s=5)

        assert endpoint.requests[0]["messages"][0]["content"] == "a?b"

    def test_carries_the_key_that_the_environment_holds(self):
        with ScriptedEndpoint(DONE) as endpoint:
            model(endpoint, api_key_from=FromEnv(env="KEY"), env={"KEY": "k-1"}).complete(ASKED, within_s=5)

        assert endpoint.headers[0]["authorization"] == "Bearer k-1"

    def test_carries_the_key_of_the_provider_unless_another_is_named(self):
        env = {"GROQ_API_KEY": "k-groq", "MINE": "k-mine"}
        with ScriptedEndpoint(DONE) as endpoint:
            model(endpoint, provider="groq", env=env).complete(ASKED, within_s=5)
            model(endpoint, provider="groq", api_key_from=FromEnv(env="MINE"), env=env).complete(ASKED, within_s=5)

        assert [headers["authorization"] for headers in endpoint.headers] == ["Bearer k-groq", "Bearer k-mine"]

    def test_tells_no_other_endpoint_whose_account_it_is(self, monkeypatch):
        """The official client takes these from the environment of the process."""
        monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
        monkeypatch.setenv("OPENAI_PROJECT_ID", "project-1")
        with ScriptedEndpoint(DONE) as endpoint:
            model(endpoint).complete(ASKED, within_s=5)

        assert not {"openai-organization", "openai-project"} & endpoint.headers[0].keys()

    def test_carries_no_header_of_the_environment(self, monkeypatch):
        """The client would send these to any endpoint, and even in place of its key."""
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway: secret\nAuthorization: Bearer other")
        with ScriptedEndpoint(DONE) as endpoint:
            model(endpoint, api_key_from=FromEnv(env="KEY"), env={"KEY": "k-1"}).complete(ASKED, within_s=5)

        assert endpoint.headers[0]["authorization"] == "Bearer k-1"
        assert "x-gateway" not in endpoint.headers[0]

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
            ({"provider": "anthropic"}, "ANTHROPIC_API_KEY", "anthropic"),
            ({"provider": "vertex"}, "GOOGLE_CLOUD_LOCATION", "vertex"),
        ],
    )
    def test_is_told_before_anything_is_asked(self, fields, name, field):
        with pytest.raises(PermanentError, match=f"no environment variable `{name}`.*`{field}`"):
            model(**fields)

    @pytest.mark.parametrize("key", ["a b", "a\nb", "schl\u00fcssel"])
    def test_or_holds_no_key_is_told_without_quoting_it(self, key):
        with pytest.raises(PermanentError, match="`KEY`") as caught:
            model(base_url="http://h/v1", api_key_from=FromEnv(env="KEY"), env={"KEY": key})

        assert key not in str(caught.value)

    @pytest.mark.parametrize(
        "url", ["localhost:8000/v1", "http://[::1", "http://h:port/v1", "http://a..b/v1", "http://\u2603.example/v1"]
    )
    def test_or_holds_no_address_is_told_before_anything_is_asked(self, url):
        with pytest.raises(PermanentError, match="`URL`") as caught:
            model(base_url_from=FromEnv(env="URL"), env={"URL": url})

        assert url not in str(caught.value)

    @pytest.mark.parametrize("proxy", ["socks4://h:1", "http://u:secret@h:port"])
    def test_or_names_no_proxy_that_can_be_used_is_told_without_quoting_it(self, proxy):
        with pytest.raises(PermanentError, match="`ALL_PROXY`") as caught:
            model(base_url="http://h/v1", env={"ALL_PROXY": proxy})

        assert "secret" not in str(caught.value)


class TestRetries:
    def test_wait_longer_each_time_and_then_succeed(self):
        clock = HandMovedClock()
        with ScriptedEndpoint(BUSY, BUSY, DONE) as endpoint:
            reply = model(endpoint, clock=clock).complete(ASKED, within_s=5)

        assert reply.content == "Done."
        assert clock.slept_s == [0.25, 0.5]

    def test_end_after_as_many_as_the_resource_allows(self):
        with ScriptedEndpoint(BUSY) as endpoint, pytest.raises(TransientError, match=r"status 429.*Tried 3 times\."):
            model(endpoint, max_retries=2).complete(ASKED, within_s=60)

        assert len(endpoint.requests) == 3

    def test_wait_a_drawn_part_of_the_bound(self):
        """Full jitter: callers who failed together do not come back together."""
        clock = HandMovedClock()
        with ScriptedEndpoint(BUSY, BUSY, DONE) as endpoint:
            model(endpoint, clock=clock, drawn=0.1).complete(ASKED, within_s=5)

        assert clock.slept_s == pytest.approx([0.025, 0.05])

    @pytest.mark.parametrize(
        "headers",
        [{"Retry-After": "2"}, {"retry-after-ms": "2000"}, {"Retry-After": "Thu, 01 Jan 2026 12:00:02 GMT"}],
    )
    def test_wait_as_long_as_the_endpoint_asks(self, headers):
        clock = HandMovedClock()
        busy = Answer(status=429, body={}, headers=headers)
        with ScriptedEndpoint(busy, DONE) as endpoint:
            model(endpoint, clock=clock).complete(ASKED, within_s=5)

        assert clock.slept_s == [2.0]

    def test_do_not_wait_beyond_the_deadline_but_hand_on_what_was_asked(self):
        clock = HandMovedClock()
        busy = Answer(status=429, body={}, headers={"Retry-After": "30"})
        with ScriptedEndpoint(busy, DONE) as endpoint, pytest.raises(TransientError) as caught:
            model(endpoint, clock=clock).complete(ASKED, within_s=5)

        assert caught.value.retry_after == timedelta(seconds=30)
        assert clock.slept_s == []

    @pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
    def test_follow_what_may_pass(self, status):
        with ScriptedEndpoint(Answer(status=status, body={}), DONE) as endpoint:
            reply = model(endpoint).complete(ASKED, within_s=5)

        assert (reply.content, reply.attempts) == ("Done.", 2)

    def test_are_not_made_for_an_account_without_money(self):
        broke = Answer(status=429, body={"error": {"message": "no", "code": "insufficient_quota"}})
        with ScriptedEndpoint(broke) as endpoint, pytest.raises(ModelRefusedError) as caught:
            model(endpoint).complete(ASKED, within_s=5)

        assert (caught.value.trouble, len(endpoint.requests)) == (Trouble.QUOTA, 1)

    def test_are_not_made_when_no_time_is_left(self):
        with ScriptedEndpoint(DONE) as endpoint, pytest.raises(ModelUnavailableError) as caught:
            model(endpoint).complete(ASKED, within_s=0)

        assert (caught.value.trouble, endpoint.requests) == (Trouble.OUT_OF_TIME, [])

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
    def test_are_not_made_when_the_request_itself_is_refused(self, status):
        refused = Answer(status=status, body={"error": {"message": "no"}})
        with ScriptedEndpoint(refused) as endpoint, pytest.raises(PermanentError, match=f"status {status}: .*no"):
            model(endpoint).complete(ASKED, within_s=5)

        assert len(endpoint.requests) == 1

    def test_follow_a_server_that_nobody_reaches(self):
        with ScriptedEndpoint(DONE) as endpoint:
            url = endpoint.url

        with pytest.raises(TransientError, match=r"gave connection: .*refused.* Tried 2 times"):
            model(base_url=url, max_retries=1).complete(ASKED, within_s=5)

    def test_are_cut_off_when_the_endpoint_hangs(self):
        with (
            ScriptedEndpoint(Answer(hang=True)) as endpoint,
            pytest.raises(TransientError, match="gave timeout"),
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

    def test_never_tell_half_a_key(self):
        """What is told is cut, and the key may lie on the cut."""
        key = "very-" + "secret-" * 8
        echo = Answer(status=401, body={"error": {"message": " ".join([key] * 100)}})
        with ScriptedEndpoint(echo) as endpoint, pytest.raises(ModelRefusedError) as caught:
            model(endpoint, api_key_from=FromEnv(env="KEY"), env={"KEY": key}).complete(ASKED, within_s=5)

        assert "very" not in str(caught.value)


class TestAnOddAnswer:
    @pytest.mark.parametrize(
        ("answer", "trouble"),
        [
            (Answer(raw=b""), Trouble.GARBLED),
            (Answer(raw=b'{"choices": [{"mess'), Trouble.GARBLED),
            (Answer(raw=b'{"choices": "\xff\xfe"}'), Trouble.GARBLED),
            (Answer(raw=b"<html>hello</html>", headers={"Content-Type": "text/html"}), Trouble.NO_COMPLETION),
            (Answer(body={"hello": "world"}), Trouble.NO_COMPLETION),
            (Answer(body={"choices": []}), Trouble.NO_COMPLETION),
            (Answer(body=[1, 2]), Trouble.NO_COMPLETION),
            (Answer(body={"choices": [{"message": None}]}), Trouble.NO_COMPLETION),
            (Answer(body={"error": {"message": "busy", "code": 429}}), Trouble.RATE_LIMIT),
            (Answer(status=302, headers={"Location": "http://127.0.0.1:9/v1"}), Trouble.REDIRECT),
            (Answer(status=307, headers={"Location": "http://127.0.0.1:9/v1"}), Trouble.REDIRECT),
            (Answer(wire=b"no http at all\r\n\r\n"), Trouble.CONNECTION),
            (Answer(wire=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\ngarbage"), Trouble.CONNECTION),
            (Answer(wire=b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}"), Trouble.CONNECTION),
            (Answer(wire=b""), Trouble.CONNECTION),
        ],
    )
    def test_is_trouble_of_a_named_kind(self, answer, trouble):
        error = ModelUnavailableError if trouble.may_pass else ModelRefusedError
        with ScriptedEndpoint(answer) as endpoint, pytest.raises(error) as caught:
            model(endpoint, max_retries=0).complete(ASKED, within_s=5)

        assert caught.value.trouble is trouble

    @pytest.mark.parametrize("codec", ["hex", "zlib", "rot13", "idna", "undefined"])
    def test_in_a_codec_that_is_none_of_text_is_an_error_like_any_other(self, codec):
        odd = Answer(status=503, raw=b"\x9cbusy", headers={"Content-Type": f"text/plain; charset={codec}"})
        with ScriptedEndpoint(odd) as endpoint, pytest.raises(ModelUnavailableError) as caught:
            model(endpoint, max_retries=0).complete(ASKED, within_s=5)

        assert caught.value.trouble is Trouble.SERVER

    @pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
    def test_that_is_packed_is_read_all_the_same(self, name, pack):
        packed = Answer(raw=pack(json.dumps(completion("Hi.")).encode()), headers={"Content-Encoding": name})
        with ScriptedEndpoint(packed) as endpoint:
            assert model(endpoint).complete(ASKED, within_s=5).content == "Hi."

    @pytest.mark.parametrize("content", [b"no gzip", zlib.compress(b"{}")[:-6]])
    def test_that_is_packed_badly_is_trouble(self, content):
        packed = Answer(raw=content, headers={"Content-Encoding": "gzip"})
        with ScriptedEndpoint(packed) as endpoint, pytest.raises(ModelUnavailableError):
            model(endpoint, max_retries=0).complete(ASKED, within_s=5)

    @pytest.mark.parametrize(("status", "trouble"), [(200, Trouble.TOO_LARGE), (500, Trouble.SERVER)])
    def test_that_grows_when_it_is_unpacked_is_read_no_further_than_allowed(self, status, trouble):
        """20 kB of zeros become 20 MB."""
        bomb = Answer(status=status, raw=gzip.compress(bytes(20_000_000)), headers={"Content-Encoding": "gzip"})
        error = ModelUnavailableError if trouble.may_pass else ModelRefusedError
        tracemalloc.start()
        with ScriptedEndpoint(bomb) as endpoint, pytest.raises(error) as caught:
            model(endpoint, max_retries=0, max_response_bytes=100_000).complete(ASKED, within_s=30)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert caught.value.trouble is trouble
        assert peak_bytes < 10_000_000

    def test_of_the_wrong_content_type_is_read_all_the_same(self):
        odd = Answer(body=completion("Hi."), headers={"Content-Type": "text/plain"})
        with ScriptedEndpoint(odd) as endpoint:
            assert model(endpoint).complete(ASKED, within_s=5).content == "Hi."

    def test_that_cost_something_and_was_tried_again_is_paid_for(self):
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        empty = Answer(body={"choices": [], "usage": usage})
        with ScriptedEndpoint(empty) as endpoint, pytest.raises(ModelRefusedError) as caught:
            model(endpoint).complete(ASKED, within_s=5)

        assert caught.value.use == ModelUse(attempts=1, tokens_in=100, tokens_out=10, cost_usd=pytest.approx(0.0005))

    @pytest.mark.parametrize("usage", [None, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}])
    def test_without_usage_is_not_metered(self, usage):
        """A cost of 0 that nobody measured is not a cost."""
        body = {**completion("Hi."), "usage": usage}
        with ScriptedEndpoint(Answer(body=body)) as endpoint:
            reply = model(endpoint).complete(ASKED, within_s=5)

        assert (reply.content, reply.is_metered) == ("Hi.", False)

    def test_of_a_content_filter_is_a_reply_that_says_so(self):
        """It is no failure of the endpoint: no fallback is asked to say what this model may not."""
        filtered = Answer(status=400, body={"error": {"message": "filtered", "code": "content_filter"}})
        with ScriptedEndpoint(filtered) as endpoint:
            reply = model(endpoint).complete(ASKED, within_s=5)

        assert (reply.content, reply.finish_reason, reply.is_metered) == ("", "content_filter", False)

    def test_never_repeats_an_id_of_the_conversation(self):
        call = {"id": "call-1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
        earlier = [
            *ASKED,
            ChatMessage(
                role="assistant", content="", tool_requests=(ToolRequest(id="call-1", name="add", arguments="{}"),)
            ),
            ChatMessage(role="tool", content="2", tool_call_id="call-1"),
        ]
        with ScriptedEndpoint(Answer(body=completion(None, tool_calls=[call, call]))) as endpoint:
            reply = model(endpoint).complete(earlier, within_s=5)

        ids = [asked.id for asked in reply.tool_requests]
        assert len({"call-1", *ids}) == 3


class TestATrickle:
    """An endpoint that sends a little now and then, for ever."""

    HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n{"

    @pytest.mark.parametrize("trickle", [(HEAD, b" "), (b"HTTP/1.1 200 OK\r\n", b"X-More: yes\r\n"), (b"H", b"T")])
    def test_of_body_or_headers_is_left_when_the_time_is_over(self, trickle):
        """Every read gets its byte in time; only the whole takes too long."""
        with ScriptedEndpoint(Answer(trickle=trickle)) as endpoint, pytest.raises(ModelUnavailableError) as caught:
            model(endpoint, timeout_seconds=0.2, max_retries=0).complete(ASKED, within_s=5)

        assert caught.value.trouble in {Trouble.TIMEOUT, Trouble.CONNECTION}

    def test_ends_with_the_callers_time_and_lets_the_endpoint_go(self):
        with ScriptedEndpoint(Answer(trickle=(self.HEAD, b" "))) as endpoint:
            with pytest.raises(ModelUnavailableError) as caught:
                model(endpoint, timeout_seconds=600).complete(ASKED, within_s=0.2)

            assert caught.value.trouble is Trouble.OUT_OF_TIME
            assert endpoint.was_hung_up_on.wait(10)

    def test_that_is_a_flood_is_cut_off_while_it_is_read(self):
        flood = Answer(trickle=(self.HEAD, b" " * 65_536), pause_s=0)
        with ScriptedEndpoint(flood) as endpoint:
            with pytest.raises(ModelRefusedError, match="longer than 200000 bytes") as caught:
                model(endpoint, max_response_bytes=200_000).complete(ASKED, within_s=30)

            assert caught.value.trouble is Trouble.TOO_LARGE
            assert endpoint.was_hung_up_on.wait(10)
            assert endpoint.sent_pieces < 1000

    def test_of_an_error_is_read_no_further_than_it_is_told(self):
        head = b"HTTP/1.1 503 Busy\r\nContent-Length: 100000000\r\n\r\n"
        flood = Answer(trickle=(head, b"x" * 65_536), pause_s=0)
        with ScriptedEndpoint(flood) as endpoint:
            with pytest.raises(ModelUnavailableError) as caught:
                model(endpoint, max_retries=0).complete(ASKED, within_s=30)

            assert caught.value.trouble is Trouble.SERVER
            assert endpoint.was_hung_up_on.wait(10)


def endpoint_auth(header: str) -> str:
    return base64.b64decode(header.removeprefix("Basic ")).decode()


class TestAProxy:
    def test_that_the_environment_names_is_asked(self):
        with ScriptedEndpoint(DONE) as proxy:
            named = model(base_url="http://model.invalid/v1", env={"http_proxy": proxy.url.removesuffix("/v1")})

            assert named.complete(ASKED, within_s=5).content == "Done."

    def test_is_asked_with_its_name_and_password_and_may_be_written_without_a_scheme(self):
        with ScriptedEndpoint(DONE) as proxy:
            address = proxy.url.removesuffix("/v1").removeprefix("http://")
            model(base_url="http://model.invalid/v1", env={"HTTP_PROXY": address}).complete(ASKED, within_s=5)
            named = {"HTTP_PROXY": f"http://us%40er:p%3Aw@{address}"}
            model(base_url="http://model.invalid/v1", env=named).complete(ASKED, within_s=5)

        sent = endpoint_auth(proxy.headers[1]["proxy-authorization"])
        assert ("proxy-authorization" in proxy.headers[0], sent) == (False, "us@er:p:w")

    def test_that_does_not_let_us_through_is_trouble_with_the_connection(self):
        with ScriptedEndpoint(DONE) as proxy:
            env = {"https_proxy": proxy.url.removesuffix("/v1")}  # it knows no CONNECT
            behind = model(base_url="https://model.invalid/v1", env=env, max_retries=0)
            with pytest.raises(ModelUnavailableError) as caught:
                behind.complete(ASKED, within_s=5)

        assert caught.value.trouble is Trouble.CONNECTION

    def test_is_left_out_for_a_host_that_needs_none(self):
        env = {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
        with ScriptedEndpoint(DONE) as endpoint:
            assert model(endpoint, env=env).complete(ASKED, within_s=5).content == "Done."


class TestCostUsd:
    def test_prices_fresh_cached_and_written_tokens(self):
        assert cost_usd(PRICE, tokens_in=1_000_000, tokens_cached=250_000, tokens_out=100_000) == pytest.approx(4.25)

    @given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
    def test_never_falls_when_more_is_used(self, cached, fresh, out):
        one = cost_usd(PRICE, tokens_in=cached + fresh, tokens_cached=cached, tokens_out=out)

        assert cost_usd(PRICE, tokens_in=cached + fresh + 1, tokens_cached=cached, tokens_out=out + 1) > one >= 0
