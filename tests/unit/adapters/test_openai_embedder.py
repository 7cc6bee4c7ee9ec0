import traceback

import pytest

from goldgate.adapters.openai_embedder import OpenAIEmbedder
from goldgate.contracts.resource_parts import FromEnv
from goldgate.contracts.resources import EmbedderSpec
from goldgate.domain.errors import PermanentError, TransientError
from tests.fakes.scripted_endpoint import Answer, ScriptedEndpoint


def vectors(body: dict, *, missing: int = 0) -> dict:
    rows = [{"object": "embedding", "index": n, "embedding": [1.0, n]} for n in range(len(body["input"]) - missing)]
    return {"object": "list", "data": rows, "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}


def embedder(endpoint: ScriptedEndpoint, *, key: str = "k-1") -> OpenAIEmbedder:
    spec = EmbedderSpec(kind="openai", model="m-1", base_url=endpoint.url, api_key_from=FromEnv(env="KEY"))
    return OpenAIEmbedder(spec, env={"KEY": key})


class TestOpenAIEmbedder:
    def test_asks_for_a_few_texts_at_a_time_and_leaves_out_empty_ones(self):
        with ScriptedEndpoint(Answer(body=vectors)) as endpoint:
            found = embedder(endpoint).embed(["x", " "] * 150)

        assert [len(request["input"]) for request in endpoint.requests] == [128, 22]
        assert found.shape == (300, 2)
        assert not found[1].any()

    def test_refuses_an_answer_that_lacks_a_vector(self):
        with (
            ScriptedEndpoint(Answer(body=lambda body: vectors(body, missing=1))) as endpoint,
            pytest.raises(PermanentError, match="gave 1 vectors for 2 texts"),
        ):
            embedder(endpoint).embed(["a", "b"])

    def test_never_tells_the_key_even_when_the_endpoint_echoes_it(self):
        key = "very-" + "secret"  # not in one piece: a traceback shows the lines of this test
        echo = Answer(status=401, body={"error": {"message": f"no such key: {key}"}})
        with ScriptedEndpoint(echo) as endpoint, pytest.raises(PermanentError) as caught:
            embedder(endpoint, key=key).embed(["a"])

        told = "".join(traceback.format_exception(caught.value))
        assert "no such key: [key]" in told
        assert key not in told

    @pytest.mark.parametrize("texts", [["a"], ["a", "b"]])
    def test_sends_nothing_that_stands_in_the_environment_for_another(self, texts, monkeypatch):
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway: secret\nAuthorization: Bearer other")
        monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
        with ScriptedEndpoint(Answer(body=vectors)) as endpoint:
            embedder(endpoint).embed(texts)

        assert endpoint.headers[0]["authorization"] == "Bearer k-1"
        assert not {"x-gateway", "openai-organization"} & endpoint.headers[0].keys()

    def test_tells_a_refusal(self):
        with (
            ScriptedEndpoint(Answer(status=404, body={"error": {"message": "no such model"}})) as endpoint,
            pytest.raises(PermanentError, match=r"Embedding model `m-1` at .*no such model"),
        ):
            embedder(endpoint).embed(["a"])

    def test_tells_which_variable_is_missing(self):
        spec = EmbedderSpec(kind="openai", model="m-1", base_url_from=FromEnv(env="EMBED_URL"))

        with pytest.raises(PermanentError, match="no environment variable `EMBED_URL`"):
            OpenAIEmbedder(spec, env={})

    def test_gives_a_question_up_that_nobody_answers(self):
        with ScriptedEndpoint(Answer(hang=True)) as endpoint:
            spec = EmbedderSpec(kind="openai", model="m-1", base_url=endpoint.url)

            with pytest.raises(TransientError, match="APITimeoutError"):
                OpenAIEmbedder(spec, env={}, question_timeout_s=0.05).embed(["a question"])

        assert len(endpoint.requests) == 2
