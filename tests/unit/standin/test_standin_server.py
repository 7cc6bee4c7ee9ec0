"""What callers see: the real server, asked by the real client."""

import json

import openai
import pytest
from fastapi.testclient import TestClient

from goldgate.standin.server import create_app
from goldgate.standin.settings import StandinSettings

PASSAGE = '<passage id="pool-1" title="Pools">A pool has 128 slots. Slots limit tasks.</passage>'
SYSTEM = {"role": "system", "content": "Answer only from the passages and cite them."}
POOL = [SYSTEM, {"role": "user", "content": f"{PASSAGE} How many slots has a pool?"}]
CRON_TOOL = {
    "type": "function",
    "function": {
        "name": "next_runs",
        "description": "Compute when a cron expression fires next",
        "parameters": {
            "type": "object",
            "properties": {"cron": {"type": "string", "pattern": r"^\S+ \S+ \S+ \S+ \S+$"}},
            "required": ["cron"],
        },
    },
}
CRON = [{"role": "user", "content": "When does 0 3 * * 1 fire next?"}]


def ask(standin, messages=None, /, **options):
    return standin.client.chat.completions.create(model="standin-1", messages=messages or POOL, **options)


class TestChat:
    def test_answers_as_the_api_does(self, standin):
        answer = ask(standin)

        choice = answer.choices[0]
        assert (choice.message.content, choice.finish_reason) == ("Pools: A pool has 128 slots. [pool-1]", "stop")
        assert (answer.object, answer.model, answer.created) == ("chat.completion", "standin-1", 1_700_000_000)
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens

    def test_says_the_same_again(self, standin):
        first, second = ask(standin, seed=4), ask(standin, seed=4)

        assert (first.id, first.choices) == (second.id, second.choices)

    def test_takes_the_time_that_is_set(self, standin):
        standin.set_faults(latency_ms=100, latency_per_input_token_ms=1, latency_per_output_token_ms=10)

        usage = ask(standin).usage

        assert sum(standin.sleep.slept_s) == pytest.approx(
            0.1 + usage.prompt_tokens / 1e3 + usage.completion_tokens / 1e2
        )

    def test_counts_cached_tokens_of_a_common_beginning(self, standin):
        text = "A long beginning that stays the same. " * 30

        first = ask(standin, [{"role": "user", "content": f"{text} Why?"}]).usage
        second = ask(standin, [{"role": "user", "content": f"{text} How?"}]).usage

        assert first.prompt_tokens_details.cached_tokens == 0
        assert second.prompt_tokens - 64 < second.prompt_tokens_details.cached_tokens < second.prompt_tokens

    def test_calls_a_tool_and_then_tells_what_it_said(self, standin):
        asked = ask(standin, CRON, tools=[CRON_TOOL]).choices[0]

        (call,) = asked.message.tool_calls
        result = {"role": "tool", "tool_call_id": call.id, "content": "Monday at 3:00"}
        answered = ask(
            standin, [*CRON, asked.message.model_dump(exclude_none=True), result], tools=[CRON_TOOL]
        ).choices[0]

        assert (asked.finish_reason, asked.message.content) == ("tool_calls", None)
        assert (call.function.name, json.loads(call.function.arguments)) == ("next_runs", {"cron": "0 3 * * 1"})
        assert (answered.finish_reason, answered.message.content) == ("stop", "Monday at 3:00")

    def test_calls_no_tool_where_that_is_forbidden(self, standin):
        choice = ask(standin, CRON, tools=[CRON_TOOL], tool_choice="none").choices[0]

        assert (choice.message.tool_calls, choice.finish_reason) == (None, "stop")
        assert choice.message.content

    def test_refuses_a_prompt_above_the_length_that_is_set(self, standin):
        standin.set_faults(max_input_tokens=20).raise_for_status()

        with pytest.raises(openai.BadRequestError, match="maximum context length is 20 tokens") as caught:
            ask(standin)

        assert caught.value.code == "context_length_exceeded"
        assert ask(standin, [{"role": "user", "content": "Why?"}]).choices

    def test_is_cut_at_the_token_limit(self, standin):
        answer = ask(standin, max_completion_tokens=4)

        assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 4)

    def test_streams_the_same_answer(self, standin):
        whole = ask(standin)
        chunks = list(ask(standin, stream=True, stream_options={"include_usage": True}))

        said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

        assert said == whole.choices[0].message.content
        assert chunks[-2].choices[0].finish_reason == "stop"
        assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens

    def test_streams_a_tool_call(self, standin):
        chunks = list(ask(standin, CRON, tools=[CRON_TOOL], stream=True))

        (call,) = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]

        assert json.loads(call.function.arguments) == {"cron": "0 3 * * 1"}
        assert chunks[-1].choices[0].finish_reason == "tool_calls"

    def test_refuses_a_bad_request_by_naming_the_field(self, standin):
        with pytest.raises(openai.BadRequestError) as caught:
            ask(standin, temperature=9)

        assert (caught.value.param, caught.value.type) == ("temperature", "invalid_request_error")

    def test_knows_no_real_model(self, standin):
        with pytest.raises(openai.NotFoundError) as caught:
            standin.client.chat.completions.create(model="gpt-9", messages=POOL)

        assert caught.value.code == "model_not_found"


class TestEmbeddings:
    def test_come_in_the_order_of_the_texts(self, standin):
        listed = standin.client.embeddings.create(model="standin-e", input=["retry", "pool of slots"])
        alone = standin.client.embeddings.create(model="standin-e", input="pool of slots", encoding_format="float")

        assert [len(item.embedding) for item in listed.data] == [256, 256]
        assert listed.data[1].embedding == pytest.approx(alone.data[0].embedding)
        assert listed.usage.prompt_tokens == 4

    def test_have_the_dimensions_that_are_asked_for(self, standin):
        listed = standin.client.embeddings.create(model="standin-e", input="retry", dimensions=32)

        assert len(listed.data[0].embedding) == 32


class TestModels:
    def test_are_listed(self, standin):
        assert [model.id for model in standin.client.models.list()] == ["standin-1"]
        assert standin.client.models.retrieve("standin-any").id == "standin-any"


class TestFaults:
    def test_limit_the_rate_and_say_when_to_come_back(self, standin):
        standin.set_faults(rate_limit_every_nth=2, retry_after_s=7)

        ask(standin)
        with pytest.raises(openai.RateLimitError) as caught:
            ask(standin)

        assert caught.value.response.headers["retry-after"] == "7"
        assert ask(standin).choices

    def test_break_with_the_status_that_is_set(self, standin):
        standin.set_faults(server_error_ratio=1, server_error_status=503)

        with pytest.raises(openai.InternalServerError) as caught:
            ask(standin)

        assert caught.value.status_code == 503

    def test_drop_the_connection_in_the_middle(self, standin):
        standin.set_faults(drop_every_nth=1)

        with pytest.raises(openai.APIConnectionError):
            ask(standin)

    def test_hang_before_the_answer(self, standin):
        standin.set_faults(hang_every_nth=1, hang_s=45)

        assert ask(standin).choices
        assert standin.sleep.slept_s[0] == 45

    def test_break_the_arguments_of_a_tool_call_and_nothing_else(self, standin):
        standin.set_faults(malformed_tool_call_every_nth=1)

        (call,) = ask(standin, CRON, tools=[CRON_TOOL]).choices[0].message.tool_calls

        with pytest.raises(json.JSONDecodeError):
            json.loads(call.function.arguments)
        assert ask(standin).choices[0].message.content == "Pools: A pool has 128 slots. [pool-1]"

    def test_spare_the_steady_models(self, standin):
        """An agent can be shown to fall back from one model to another of the same server."""
        standin.set_faults(server_error_ratio=1).raise_for_status()

        with pytest.raises(openai.InternalServerError):
            ask(standin)
        assert standin.client.chat.completions.create(model="standin-steady-1", messages=POOL).choices

    def test_strike_embeddings_too(self, standin):
        standin.set_faults(server_error_ratio=1)

        with pytest.raises(openai.InternalServerError):
            standin.client.embeddings.create(model="standin-e", input="x")


class TestAdmin:
    def test_goes_back_to_the_start_where_nothing_is_said(self, standin):
        standin.set_faults(latency_ms=500)
        standin.set_faults(hang_ratio=0.5)

        assert standin.http.get("/admin/faults").json() == {**StandinSettings().model_dump(), "hang_ratio": 0.5}

    @pytest.mark.parametrize("body", ['{"hang": 1}', '{"hang_ratio": 2}', "[]", "{"])
    def test_changes_nothing_for_a_bad_body(self, standin, body):
        standin.set_faults(latency_ms=500)

        answer = standin.http.put("/admin/faults", content=body)

        assert answer.status_code == 400
        assert answer.json()["error"]["message"]
        assert standin.http.get("/admin/faults").json()["latency_ms"] == 500

    @pytest.mark.parametrize(
        ("caller", "status"), [("127.0.0.1", 200), ("::1", 200), ("10.0.0.9", 403), ("nobody", 403)]
    )
    def test_is_for_callers_of_this_machine(self, caller, status):
        with TestClient(create_app(StandinSettings()), client=(caller, 1)) as elsewhere:
            assert elsewhere.get("/admin/faults").status_code == status
            assert elsewhere.put("/admin/faults", json={}).status_code == status


class TestServer:
    def test_says_that_it_is_up(self, standin):
        assert standin.http.get("/health").json() == {"status": "ok"}

    @pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/none", 404), ("GET", "/v1/embeddings", 405)])
    def test_explains_a_wrong_address(self, standin, method, path, status):
        answer = standin.http.request(method, path)

        assert answer.status_code == status
        assert path in answer.json()["error"]["message"]
