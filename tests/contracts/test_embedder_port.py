"""Every embedder keeps the promises of `goldgate.ports.knowledge.Embedder`."""

import numpy as np
import pytest

from goldgate.adapters.openai_embedder import OpenAIEmbedder
from goldgate.adapters.wordllama_embedder import WordLlamaEmbedder
from goldgate.contracts.resources import EmbedderSpec
from tests.fakes.in_memory_knowledge import InMemoryEmbedder
from tests.fakes.scripted_endpoint import Answer, ScriptedEndpoint


def _embeddings(body: dict) -> dict:
    vectors = InMemoryEmbedder().embed(body["input"])
    rows = [{"object": "embedding", "index": n, "embedding": (3 * v).tolist()} for n, v in enumerate(vectors)]
    return {"object": "list", "data": rows[::-1], "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}


@pytest.fixture(params=["in memory", "wordllama", "openai"])
def embedder(request):
    match request.param:
        case "wordllama":
            yield WordLlamaEmbedder()
        case "openai":
            with ScriptedEndpoint(Answer(body=_embeddings)) as endpoint:
                yield OpenAIEmbedder(EmbedderSpec(kind="openai", model="m", base_url=endpoint.url), env={})
        case _:
            yield InMemoryEmbedder()


class TestEmbedder:
    def test_gives_a_row_of_unit_length_for_each_text(self, embedder):
        vectors = embedder.embed(["tasks at once", "the port", "a key"])

        assert vectors.dtype == np.float32
        assert vectors.shape[0] == 3
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def test_gives_zeros_for_a_text_without_words(self, embedder):
        vectors = embedder.embed(["", "tasks", " \n"])

        assert not vectors[0].any()
        assert not vectors[2].any()
        assert vectors[1].any()

    def test_does_not_depend_on_the_other_texts(self, embedder):
        alone = embedder.embed(["tasks at once"])[0]
        together = embedder.embed(["something much longer than the other text", "tasks at once"])[1]

        assert np.allclose(alone, together, atol=1e-6)

    def test_takes_no_texts(self, embedder):
        assert embedder.embed([]).shape[0] == 0

    def test_has_a_name(self, embedder):
        assert embedder.name
