import pytest

from goldgate.contracts.env_references import (
    ClashingSecretsError,
    ReservedVariableError,
    env_from_of,
    references_in,
    without_secrets,
)
from goldgate.contracts.foreign import PythonAgent
from goldgate.contracts.llm import LLM
from goldgate.contracts.resource_parts import FromEnv, SecretKey
from goldgate.contracts.resources import Agent, MCPServer

API = "goldgate.dev/v1alpha1"
KEY = {"env": "MODEL_KEY", "secret": {"name": "models", "key": "openai"}}


def llm(**spec: object) -> LLM:
    value = {"model": "m-1", "baseUrl": "https://models.example/v1", "free": True, **spec}
    return LLM.model_validate({"apiVersion": API, "kind": "LLM", "metadata": {"name": "m"}, "spec": value})


def server(**spec: object) -> MCPServer:
    return MCPServer.model_validate({"apiVersion": API, "kind": "MCPServer", "metadata": {"name": "s"}, "spec": spec})


def agent(**spec: object) -> Agent:
    prompts = {"systemText": "Be kind.", "userText": "{context}{question}"}
    value = {"description": "d", "llm": "m", "prompts": prompts, **spec}
    return Agent.model_validate({"apiVersion": API, "kind": "Agent", "metadata": {"name": "a"}, "spec": value})


class TestReferencesIn:
    def test_finds_them_wherever_a_resource_may_have_them(self):
        embedder = {
            "kind": "openai",
            "model": "e",
            "baseUrlFrom": {"env": "EMBED_URL"},
            "apiKeyFrom": {"env": "EMBED_KEY"},
        }
        retrieval = {"mode": "vector", "embedder": embedder}
        python = {"description": "d", "python": {"callable": "agent:predict", "envFrom": {"TOKEN": {"env": "TOKEN"}}}}
        callable_agent = PythonAgent.model_validate(
            {"apiVersion": API, "kind": "Agent", "metadata": {"name": "p"}, "spec": python}
        )
        resources = [
            llm(apiKeyFrom=KEY),
            server(url="https://tools.example/mcp", headersFrom={"Authorization": {"env": "TOOLS_TOKEN"}}),
            server(command="tools", envFrom={"DATABASE": {"env": "DATABASE_URL"}}),
            agent(corpus={"files": ["*.md"]}, retrieval=retrieval),
            callable_agent,
        ]

        found = [each.env for each in references_in(resources)]

        assert found == ["MODEL_KEY", "TOOLS_TOKEN", "DATABASE_URL", "EMBED_URL", "EMBED_KEY", "TOKEN"]


class TestEnvFromOf:
    @pytest.mark.parametrize(
        "name", ["KUBERNETES_SERVICE_HOST", "LD_PRELOAD", "PYTHONPATH", "PATH", "GOLDGATE_CLUSTER"]
    )
    def test_refuses_what_says_how_the_pod_itself_works(self, name: str):
        with pytest.raises(ReservedVariableError, match=name):
            env_from_of(llm(apiKeyFrom={**KEY, "env": name}))

    def test_lets_a_variable_be_called_almost_so(self):
        names = ["GOLDGATE_MODEL_URL", "PATH_TO_IT"]

        assert list(env_from_of(*(llm(apiKeyFrom={**KEY, "env": name}) for name in names))) == names

    def test_names_only_what_comes_from_a_secret(self):
        resources = [agent(), llm(apiKeyFrom=KEY), server(command="t", envFrom={"A": {"env": "PLAIN"}})]

        assert env_from_of(*resources) == {
            "MODEL_KEY": FromEnv(env="MODEL_KEY", secret=SecretKey(name="models", key="openai"))
        }

    def test_takes_the_same_reference_twice(self):
        more = FromEnv(env="MODEL_KEY", secret=SecretKey(name="models", key="openai"))

        assert list(env_from_of(llm(apiKeyFrom=KEY), llm(apiKeyFrom=KEY), more=[more])) == ["MODEL_KEY"]

    def test_refuses_one_variable_from_two_secrets(self):
        other = {"env": "MODEL_KEY", "secret": {"name": "models", "key": "spare"}}

        with pytest.raises(ClashingSecretsError, match=r"`openai` of Secret `models` and from `spare` of Secret"):
            env_from_of(llm(apiKeyFrom=KEY), llm(apiKeyFrom=other))


class TestWithoutSecrets:
    def test_two_resources_say_the_same_from_different_secrets(self):
        one, two = llm(apiKeyFrom=KEY), llm(apiKeyFrom={"env": "MODEL_KEY"})

        same = [without_secrets(each.model_dump(mode="json")) for each in (one, two)]

        assert same[0] == same[1]

    def test_another_variable_stays_another(self):
        one, two = llm(apiKeyFrom=KEY), llm(apiKeyFrom={**KEY, "env": "OTHER_KEY"})

        other = [without_secrets(each.model_dump(mode="json")) for each in (one, two)]

        assert other[0] != other[1]
