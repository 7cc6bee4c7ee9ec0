"""Rules of single contracts that types alone do not carry."""

import pytest

from goldgate.contracts.base import ContractError
from goldgate.contracts.documents import parse
from goldgate.contracts.gold import GoldRow
from goldgate.contracts.llm import LLMSpec
from goldgate.contracts.policy import AbsoluteGate, CanaryPlan, ChampionGate
from goldgate.contracts.request_log import RequestLog
from goldgate.contracts.resources import AgentSpec, CorpusSpec, EmbedderSpec, PromptSpec
from goldgate.contracts.task_runs import TaskRunSpec

PRICE = {"inputUsdPerMillionTokens": 0, "cachedInputUsdPerMillionTokens": 0, "outputUsdPerMillionTokens": 0}


def refusal(contract, value) -> str:
    with pytest.raises(ContractError) as caught:
        parse(value, contract, where="here")
    return str(caught.value)


class TestTaskRunSpec:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ({}, "`taskRef`, required when `agentRef` and `userMessage` are not given"),
            ({"agentRef": "a"}, "no message is given for `agentRef`"),
            ({"userMessage": "hello"}, "no agent is named for `userMessage`"),
            ({"taskRef": "t", "agentRef": "a", "userMessage": "m"}, "not both"),
        ],
    )
    def test_says_what_is_missing(self, value, expected):
        assert expected in refusal(TaskRunSpec, value)

    @pytest.mark.parametrize("value", [{"taskRef": "t"}, {"agentRef": "a", "userMessage": "m"}])
    def test_takes_either_form(self, value):
        assert parse(value, TaskRunSpec, where="here").model_dump(by_alias=True, exclude_defaults=True) == value


class TestLLMSpec:
    def test_wants_an_address_or_a_provider(self):
        assert "one of `provider`, `baseUrl` and `baseUrlFrom`" in refusal(LLMSpec, {"model": "m", "price": PRICE})

    def test_wants_one_address_at_most(self):
        addresses = {"baseUrl": "http://a:1", "baseUrlFrom": {"env": "A"}}

        assert "at most one of" in refusal(LLMSpec, {"model": "m", "price": PRICE, **addresses})

    @pytest.mark.parametrize("url", ["localhost:8000/v1", "http://h/v1?api-version=1"])
    def test_wants_an_address_that_can_be_asked(self, url):
        assert "`https://host/path` in `baseUrl`, not" in refusal(LLMSpec, {"model": "m", "free": True, "baseUrl": url})

    @pytest.mark.parametrize("name", ["model", "messages", "tools", "tool_choice", "stream", "temperature"])
    def test_refuses_extra_that_would_take_the_place_of_what_is_written(self, name):
        value = {"model": "m", "provider": "openai", "parameters": {"extra": {name: 1}}}

        assert f"nothing in `extra` that is written elsewhere: `{name}`" in refusal(LLMSpec, value)

    def test_refuses_two_limits_of_the_same_thing(self):
        value = {"model": "m", "provider": "openai", "parameters": {"maxTokens": 1, "maxCompletionTokens": 1}}

        assert "one of `maxTokens` and `maxCompletionTokens`" in refusal(LLMSpec, value)

    def test_refuses_a_parameter_that_the_provider_would_silently_ignore(self):
        value = {"model": "m", "provider": "anthropic", "parameters": {"seed": 7}}

        assert "takes and ignores: `seed`" in refusal(LLMSpec, value)

    def test_refuses_a_parameter_in_extra_that_the_provider_would_silently_ignore(self):
        value = {"model": "m", "provider": "anthropic", "parameters": {"extra": {"logit_bias": {"1": 1}}}}

        assert "takes and ignores: `logit_bias`" in refusal(LLMSpec, value)

    def test_refuses_a_temperature_that_the_provider_would_silently_lower(self):
        value = {"model": "m", "provider": "anthropic", "parameters": {"temperature": 1.5}}

        assert "a `temperature` up to 1" in refusal(LLMSpec, value)


class TestEmbedderSpec:
    @pytest.mark.parametrize("value", [{"kind": "openai"}, {"kind": "openai", "model": "m"}, {"model": "m"}])
    def test_refuses_half_an_endpoint(self, value):
        assert "endpoint fields" in refusal(EmbedderSpec, value) or "`model` and exactly one" in refusal(
            EmbedderSpec, value
        )


class TestAgentSpec:
    def test_wants_a_corpus_for_retrieval(self):
        value = {
            "description": "d",
            "llm": "l",
            "prompts": {"system": "s.md", "user": "u.md"},
            "retrieval": {"mode": "lexical"},
        }

        assert "a corpus" in refusal(AgentSpec, value)


class TestPromptSpec:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ({"user": "u.md"}, "exactly one of `system` and `systemText`"),
            ({"system": "s.md", "systemText": "Be kind.", "user": "u.md"}, "exactly one of `system` and `systemText`"),
            ({"system": "s.md"}, "exactly one of `user` and `userText`"),
            ({"system": "s.md", "user": "u.md", "userText": "{context}{question}"}, "exactly one of `user`"),
        ],
    )
    def test_has_each_prompt_once(self, value, expected):
        assert expected in refusal(PromptSpec, value)

    def test_takes_a_file_and_a_text(self):
        spec = PromptSpec.model_validate({"systemText": "Be kind.", "user": "u.md"})

        assert (spec.system_text, spec.user) == ("Be kind.", "u.md")


class TestRelativePath:
    @pytest.mark.parametrize("path", ["/etc/passwd", "../secret", "a/../../b", "a\\b", ""])
    def test_stays_inside_the_folder(self, path):
        assert "path inside the agent's folder" in refusal(PromptSpec, {"system": path, "user": "u.md"})
        assert "path inside the agent's folder" in refusal(CorpusSpec, {"files": [path]})


class TestGates:
    def test_an_absolute_gate_has_one_bound(self):
        assert "exactly one" in refusal(AbsoluteGate, {"metric": "quality"})
        assert "exactly one" in refusal(AbsoluteGate, {"metric": "quality", "at_least": 0, "at_most": 1})

    @pytest.mark.parametrize(
        "gate",
        [
            {"metric": "quality", "at_least": 45},
            {"metric": "quality", "at_most": 0.5},
            {"metric": "error", "at_least": 0.5},
            {"metric": "cost_usd", "at_most": -1},
        ],
    )
    def test_an_absolute_gate_can_be_kept(self, gate):
        """Forty-five is a percentage, and a ceiling on quality is a slip."""
        assert gate["metric"] in refusal(AbsoluteGate, gate)

    def test_a_champion_gate_has_the_margin_of_its_metric(self):
        assert "`margin`" in refusal(ChampionGate, {"metric": "quality", "margin_ratio": 0.1})
        assert "`margin_ratio`" in refusal(ChampionGate, {"metric": "cost_usd", "margin": 0.1})


class TestCanaryPlan:
    @pytest.mark.parametrize("ratios", [[], [0.05, 0.01], [0.05, 0.05], [0.0], [0.9]])
    def test_refuses_shares_that_do_not_rise_or_are_too_large(self, ratios):
        assert "ratios" in refusal(CanaryPlan, {"ratios": ratios})


class TestGoldRow:
    def test_refuses_an_answer_row_that_every_answer_would_pass(self):
        assert "every answer passes" in refusal(GoldRow, {"id": "a", "question": "q", "expect": "answer"})

    def test_refuses_a_refusal_row_that_names_an_answer(self):
        row = {"id": "a", "question": "q", "expect": "refusal", "relevant": ["x"]}

        assert "expects a refusal" in refusal(GoldRow, row)


class TestRequestLog:
    def test_is_written_with_the_field_names_of_the_playbook(self):
        """The names are an interface: dashboards and other teams' tools read them."""
        names = {field.alias or name for name, field in RequestLog.model_fields.items()}

        assert names >= {
            "trace_id",
            "model_id@version",
            "prompt_id@version",
            "latency_ms_total",
            "latency_ms_llm",
            "tokens_in",
            "tokens_out",
            "cost_usd",
            "retriever_k",
            "hit@k",
            "context_precision",
            "context_use_rate",
            "safety_flags",
            "error",
        }
