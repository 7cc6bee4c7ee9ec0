import pytest

from goldgate.agent.folder import read_agent
from goldgate.domain.conversation import ChatMessage
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.model_parts import open_model
from goldgate.ports.model import ModelUnavailableError
from tests.fakes.agent_folders import LLM, agent, write_folder
from tests.fakes.scripted_endpoint import Answer, ScriptedEndpoint, completion

ASKED = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Hi")]
CHEAP = LLM.replace("{name: model}", "{name: cheap}").replace("scripted-1", "cheap-1").replace("MODEL_URL", "CHEAP_URL")
FALLBACKS = "fallbacks: [{contextTokens: 300}, {llm: cheap}]\n"
BUSY = Answer(status=503, body={})
WITHOUT_RETRIES = LLM + "  maxRetries: 0\n"


@pytest.fixture
def opened(tmp_path):
    models = []

    def open_(*documents, env):
        model = open_model(read_agent(write_folder(tmp_path / str(len(models)), *documents)), env=env)
        models.append(model)
        return model

    yield open_
    for model in models:
        model.close()


class TestOpenModel:
    def test_stands_the_fallbacks_behind_the_model_in_their_order(self, opened):
        with ScriptedEndpoint(BUSY) as first, ScriptedEndpoint(Answer(body=completion("Hello."))) as second:
            env = {"MODEL_URL": first.url, "CHEAP_URL": second.url}
            reply = opened(WITHOUT_RETRIES, CHEAP, agent(FALLBACKS), env=env).complete(ASKED, within_s=30)

        assert (reply.content, reply.model, reply.attempts) == ("Hello.", "cheap-1", 3)
        assert len(first.requests) == 2

    def test_leaves_an_endpoint_alone_that_fails_whoever_asks(self, opened):
        careful = WITHOUT_RETRIES + "  breaker: {failures: 2, openSeconds: 600}\n"
        with ScriptedEndpoint(BUSY) as endpoint:
            env = {"MODEL_URL": endpoint.url}
            one, other = opened(careful, agent(), env=env), opened(careful, agent(), env=env)
            for model in (one, one, other):
                with pytest.raises(ModelUnavailableError):
                    model.complete(ASKED, within_s=5)

        assert len(endpoint.requests) == 2

    def test_refuses_a_model_whose_price_nobody_knows(self, opened):
        unknown = LLM.replace("price: {", "parameters: {}\n  # {")
        with pytest.raises(PermanentError, match="`scripted-1`, which the price table does not know"):
            opened(unknown, agent(), env={"MODEL_URL": "http://127.0.0.1:9/v1"})

    def test_refuses_a_fallback_whose_price_nobody_knows(self, opened):
        unknown = CHEAP.replace("price: {", "parameters: {}\n  # {")
        with pytest.raises(PermanentError, match="`cheap-1`, which the price table does not know"):
            opened(LLM, unknown, agent(FALLBACKS), env={"MODEL_URL": "http://h/v1", "CHEAP_URL": "http://h/v1"})

    def test_asks_nothing_of_models_that_no_fallback_names(self, opened):
        opened(LLM, CHEAP, agent(), env={"MODEL_URL": "http://127.0.0.1:9/v1"})

    def test_names_the_variable_that_a_fallback_lacks(self, opened):
        with pytest.raises(PermanentError, match="`CHEAP_URL`"):
            opened(LLM, CHEAP, agent(FALLBACKS), env={"MODEL_URL": "http://127.0.0.1:9/v1"})
