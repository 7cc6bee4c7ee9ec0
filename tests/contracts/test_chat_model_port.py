"""Every chat model keeps the promises of `goldgate.ports.model.ChatModel`."""

import pytest

from goldgate.adapters.openai_chat.model import OpenAIChatModel
from goldgate.contracts.llm import LLMSpec, Price
from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.model import ChatModel, ToolDefinition
from tests.fakes.scripted_chat_model import ScriptedChatModel, asks, says
from tests.fakes.scripted_endpoint import Answer, ScriptedEndpoint, completion

ASKED = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Hi")]
TOOL = ToolDefinition(name="add", description="Add.", input_schema={"type": "object"})
CALL = {"id": "call-1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 4},
}
SCRIPTS = {
    "answer": (says("Hello."), Answer(body=completion("Hello.", usage=USAGE))),
    "tool call": (
        asks(ToolRequest(id="call-1", name="add", arguments='{"a": 1}')),
        Answer(body=completion(None, tool_calls=[CALL], usage=USAGE, finish_reason="tool_calls")),
    ),
    "busy": (TransientError("busy"), Answer(status=503, body={"error": {"message": "busy"}})),
    "refused": (PermanentError("bad"), Answer(status=400, body={"error": {"message": "bad"}})),
}


@pytest.fixture(params=["scripted", "openai"])
def model_of(request):
    endpoints: list[ScriptedEndpoint] = []
    models: list[OpenAIChatModel] = []

    def make(script: str) -> ChatModel:
        reply, answer = SCRIPTS[script]
        if request.param == "scripted":
            return ScriptedChatModel(reply)
        endpoint = ScriptedEndpoint(answer)
        endpoints.append(endpoint.__enter__())
        price = Price(
            input_usd_per_million_tokens=100,
            cached_input_usd_per_million_tokens=25,
            output_usd_per_million_tokens=60,
        )
        spec = LLMSpec(model="scripted-1", base_url=endpoint.url, price=price, max_retries=0)
        models.append(OpenAIChatModel(spec, price=price, env={}))
        return models[-1]

    yield make
    for model in models:
        model.close()
    for endpoint in endpoints:
        endpoint.__exit__()


class TestChatModel:
    def test_answers_with_what_it_used(self, model_of):
        reply = model_of("answer").complete(ASKED, within_s=5)

        assert (reply.content, reply.tool_requests, reply.finish_reason) == ("Hello.", (), "stop")
        assert (reply.tokens_in, reply.tokens_cached, reply.tokens_out) == (10, 4, 5)
        assert reply.cost_usd == pytest.approx(0.001)
        assert reply.is_metered

    def test_names_nobody_else_as_the_one_who_answered(self, model_of):
        reply = model_of("answer").complete(ASKED, within_s=5)

        assert reply.model in {"", "scripted-1"}
        assert reply.attempts == 1

    def test_may_be_kept_from_calling(self, model_of):
        assert model_of("answer").complete(ASKED, tools=[TOOL], may_call=False, within_s=5).content == "Hello."

    def test_hands_on_the_tool_calls_it_asks_for_unchecked(self, model_of):
        reply = model_of("tool call").complete(ASKED, tools=[TOOL], within_s=5)

        assert tuple(reply.tool_requests) == (ToolRequest(id="call-1", name="add", arguments='{"a": 1}'),)
        assert reply.content == ""

    def test_tells_trouble_that_may_pass(self, model_of):
        with pytest.raises(TransientError):
            model_of("busy").complete(ASKED, within_s=5)

    def test_tells_trouble_that_will_not_pass(self, model_of):
        with pytest.raises(PermanentError):
            model_of("refused").complete(ASKED, within_s=5)

    def test_names_the_pinned_model(self, model_of):
        assert model_of("answer").name == "scripted-1"
