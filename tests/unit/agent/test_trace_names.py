import hashlib
import re
from pathlib import Path

import pytest

from goldgate.agent import trace_names
from goldgate.agent.trace_names import (
    SCHEMA_URL,
    chat_attributes,
    error_kind,
    error_type,
    kind_of,
    reply_attributes,
    run_attributes,
    title_of,
    tool_attributes,
)
from goldgate.contracts.llm import LLMSpec, SamplingParameters
from goldgate.domain.runs.state import Call, Phase, RunState, Spent
from goldgate.ports.model import ChatReply, ModelUnavailableError


def spec(**fields) -> LLMSpec:
    return LLMSpec(**{"model": "m-1", "base_url": "https://me:secret@models.example:8443/v1", **fields})


def reply(**fields) -> ChatReply:
    figures = {"tokens_in": 10, "tokens_out": 5, "tokens_cached": 4, "cost_usd": 0.5, "is_metered": True}
    return ChatReply(**{"content": "raw", "finish_reason": "stop", **figures, **fields})


class TestConventions:
    def test_are_those_of_the_installed_package(self):
        """Every `gen_ai.*`, `server.*` and `error.*` name that stands in the module, and the schema's address."""
        from opentelemetry.semconv import schemas
        from opentelemetry.semconv._incubating.attributes import gen_ai_attributes, server_attributes

        known = {
            value
            for module in (gen_ai_attributes, server_attributes)
            for name, value in vars(module).items()
            if name.isupper()
        }
        text = Path(trace_names.__file__).read_text(encoding="utf-8")
        named = set(re.findall(r'"((?:gen_ai|server)\.[a-z_.]+)"', text))

        assert len(named) > 15
        assert named <= known
        assert schemas.Schemas.V1_44_0.value == SCHEMA_URL

    def test_hold_our_operations_and_providers(self):
        from opentelemetry.semconv._incubating.attributes.gen_ai_attributes import (
            GenAiOperationNameValues,
            GenAiProviderNameValues,
        )

        operations = {one.value for one in GenAiOperationNameValues}
        assert {"chat", "invoke_agent", "execute_tool"} <= operations
        assert set(trace_names._PROVIDERS.values()) <= {one.value for one in GenAiProviderNameValues}


class TestTitleOf:
    @pytest.mark.parametrize(
        ("name", "attributes", "title"),
        [
            ("llm", {"gen_ai.request.model": "m-1"}, "chat m-1"),
            ("llm", {}, "chat"),
            ("tool", {"gen_ai.tool.name": "search"}, "execute_tool search"),
            ("retrieval", {}, "retrieval"),
        ],
    )
    def test_names_operation_and_object(self, name, attributes, title):
        assert title_of(name, attributes) == title

    def test_only_a_model_is_another_process_for_sure(self):
        assert [kind_of(name) for name in ("llm", "tool", "safety")] == ["client", "internal", "internal"]


class TestChatAttributes:
    def test_name_host_and_port_and_no_credentials(self):
        attributes = chat_attributes(spec())

        assert (attributes["server.address"], attributes["server.port"]) == ("models.example", 8443)
        assert "secret" not in repr(attributes)

    def test_tell_only_the_parameters_that_are_sent(self):
        attributes = chat_attributes(spec(parameters=SamplingParameters(temperature=0, seed=7)))

        sent = {name for name in attributes if name.startswith("gen_ai.request.")}
        assert sent == {"gen_ai.request.model", "gen_ai.request.temperature", "gen_ai.request.seed"}
        assert attributes["gen_ai.request.temperature"] == 0

    @pytest.mark.parametrize(
        ("provider", "told"),
        [("mistral", "mistral_ai"), ("vertex", "gcp.vertex_ai"), ("vllm", "vllm"), (None, "openai")],
    )
    def test_name_the_provider_as_the_conventions_do(self, provider, told):
        assert chat_attributes(spec(provider=provider))["gen_ai.provider.name"] == told


class TestReplyAttributes:
    def test_hold_figures_and_no_content(self):
        attributes = reply_attributes(reply(model="m-0", attempts=3))

        assert attributes["gen_ai.usage.input_tokens"] == 10
        assert attributes["gen_ai.usage.cache_read.input_tokens"] == 4
        assert attributes["gen_ai.response.model"] == "m-0"
        assert attributes["goldgate.llm.attempts"] == 3
        assert "raw" not in repr(attributes)


class TestToolAttributes:
    def test_hold_the_digest_of_the_arguments_in_their_place(self):
        attributes = tool_attributes(Call(id="c1", name="search", arguments='{"q": "Ada"}', key="k1"))

        digest = hashlib.sha256(b'{"q": "Ada"}').hexdigest()
        assert attributes["goldgate.tool.arguments_sha256"] == digest
        assert "Ada" not in repr(attributes)

    def test_take_arguments_that_are_no_text(self):
        """A model may write half a surrogate pair."""
        assert tool_attributes(Call(id="c1", name="search", arguments="\ud800", key="k1"))


class TestRunAttributes:
    def test_sum_up_the_run_without_its_text(self):
        state = RunState(
            run_id="run-1",
            phase=Phase.FINAL_ANSWER,
            output="raw",
            given=("a", "b"),
            citations=("b",),
            flags=("out_of_domain",),
            spent=Spent(steps=2, tokens_in=30, tokens_out=7, tokens_cached=3, cost_usd=0.25),
        )

        attributes = run_attributes(state, agent="helper", bundle="f" * 64)

        assert attributes["gen_ai.agent.name"] == "helper"
        assert attributes["gen_ai.agent.version"] == "f" * 12
        assert attributes["gen_ai.usage.input_tokens"] == 30
        assert (attributes["goldgate.retrieval.k"], attributes["goldgate.retrieval.cited"]) == (2, 1)
        assert attributes["goldgate.safety_flags"] == ["out_of_domain"]
        assert "raw" not in repr(attributes)


class TestErrors:
    def test_are_named_by_status_or_class(self):
        assert error_type(ModelUnavailableError("secret", status=429)) == "429"
        assert error_type(KeyError("secret")) == "KeyError"

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (None, None),
            ("timeout", "timeout"),
            ("model: 401 refused", "model"),
            (": odd", "other"),
            ("x" * 200, "x" * 64),
        ],
    )
    def test_of_answers_are_cut_to_their_kind(self, error, kind):
        assert error_kind(error) == kind
