"""Every way of ranking passages keeps the promises of `goldgate.ports.knowledge.ChunkIndex`."""

import pytest

from goldgate.adapters.faiss_index import FaissIndex
from goldgate.adapters.tantivy_index import TantivyIndex
from goldgate.ports.knowledge import Chunk
from tests.fakes.in_memory_knowledge import InMemoryChunkIndex, InMemoryEmbedder

CHUNKS = [
    Chunk(id="parallelism", title="parallelism", text="How many task instances run at once."),
    Chunk(id="port", title="port", text="The port on which the server listens."),
    Chunk(id="key", title="fernet_key", text="The key with which connections are encrypted."),
]


@pytest.fixture(params=["in memory", "tantivy", "faiss", "tantivy on disk", "faiss on disk"])
def index(request, tmp_path):
    ids = [chunk.id for chunk in CHUNKS]
    match request.param:
        case "tantivy on disk":
            TantivyIndex.write(CHUNKS, tmp_path)
            return TantivyIndex.open(tmp_path, ids)
        case "faiss on disk":
            FaissIndex.write(CHUNKS, tmp_path, embedder=InMemoryEmbedder())
            return FaissIndex.open(tmp_path, ids, embedder=InMemoryEmbedder())
        case "tantivy":
            return TantivyIndex.build(CHUNKS)
        case "faiss":
            return FaissIndex.build(CHUNKS, embedder=InMemoryEmbedder())
        case _:
            return InMemoryChunkIndex(CHUNKS)


class TestChunkIndex:
    def test_puts_the_passage_that_answers_first(self, index):
        assert index.search("on which port", limit=3)[0].id == "port"

    def test_gives_distinct_ids_best_first_and_no_more_than_asked(self, index):
        found = index.search("the port, the key, the task", limit=2)

        assert len({scored.id for scored in found}) == len(found) == 2
        assert [scored.score for scored in found] == sorted((s.score for s in found), reverse=True)

    @pytest.mark.parametrize("question", ["", "  ", "?!", "-- () [] \" ' :"])
    def test_finds_nothing_for_a_question_without_words(self, index, question):
        assert index.search(question, limit=3) == []

    @pytest.mark.parametrize("question", ['port AND "unclosed', "NOT port", "title:port^9", "port OR", "*", "a" * 5000])
    def test_takes_a_question_for_words_whatever_it_looks_like(self, index, question):
        assert len(index.search(question, limit=3)) <= 3

    def test_gives_the_same_ranking_every_time(self, index):
        assert index.search("the server", limit=3) == index.search("the server", limit=3)
