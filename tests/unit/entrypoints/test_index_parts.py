import resource
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldgate.adapters.faiss_index import FaissIndex
from goldgate.adapters.tantivy_index import TantivyIndex
from goldgate.contracts.resources import RetrievalSpec
from goldgate.entrypoints.index_parts import open_indexes
from goldgate.entrypoints.knowledge_parts import open_knowledge
from goldgate.ports.knowledge import Chunk
from tests.fakes.in_memory_knowledge import InMemoryEmbedder

WORDS = ["port", "server", "task", "key", "runs", "log", "worker", "queue"]
QUESTIONS = ["port", "server task", "which key runs the log", "worker queue port server", "task task"]


def chunk(number: int, text: str = "") -> Chunk:
    return Chunk(id=f"c{number}", title=f"title {number}", text=text or f"The port of worker {number}.")


CHUNKS = [chunk(number) for number in range(20)]

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
edits = st.dictionaries(st.integers(0, 50), st.none() | texts, min_size=1, max_size=6)
"""By number: another text, or none any more."""


def rankings(lexical: TantivyIndex, vectors: FaissIndex, *, limit: int = 5) -> list[list[str]]:
    return [[scored.id for scored in index.search(q, limit=limit)] for q in QUESTIONS for index in (lexical, vectors)]


class TestOpenIndexes:
    def open(self, folder: Path | None, chunks: Sequence[Chunk] = CHUNKS) -> tuple[list[list[str]], list[str]]:
        embedder = InMemoryEmbedder()
        lexical, vectors = open_indexes(chunks, folder=folder, embedder=embedder, made_by={})
        embedded = list(embedder.texts)
        return rankings(lexical, vectors), embedded

    def test_embeds_passages_once_for_all_that_open_them(self, tmp_path):
        first, embedded = self.open(tmp_path)
        second, embedded_again = self.open(tmp_path)

        assert first == second == self.open(None)[0]
        assert (len(embedded), embedded_again) == (len(CHUNKS), [])

    def test_embeds_only_what_changed(self, tmp_path):
        self.open(tmp_path)
        changed = [chunk(3, "Something else."), *CHUNKS[4:], chunk(99)]

        found, embedded = self.open(tmp_path, changed)

        assert embedded == ["title 3\nSomething else.", "title 99\nThe port of worker 99."]
        assert found == self.open(None, changed)[0]

    def test_embeds_nothing_when_passages_only_move_or_are_named_anew(self, tmp_path):
        self.open(tmp_path)
        moved = [Chunk(id=f"new-{c.id}", title=c.title, text=c.text) for c in reversed(CHUNKS)]

        found, embedded = self.open(tmp_path, moved)

        assert embedded == []
        assert found == self.open(None, moved)[0]

    @pytest.mark.parametrize("name", ["vectors/vectors.faiss", "lexical/meta.json"])
    def test_builds_a_damaged_index_anew(self, tmp_path, name):
        first, _ = self.open(tmp_path)
        [file] = tmp_path.glob(f"*/{name}")
        file.write_bytes(file.read_bytes()[:-7] + b"damaged")

        assert self.open(tmp_path) == (first, [f"{c.title}\n{c.text}" for c in CHUNKS])

    def test_builds_in_memory_where_nothing_can_be_written(self, tmp_path, caplog):
        no_folder = tmp_path / "file"
        no_folder.touch()

        found, _ = self.open(no_folder / "indexes")

        assert found == self.open(None)[0]
        assert [record.message for record in caplog.records] == ["agent.index.not_kept"]

    @pytest.mark.parametrize("most_bytes", [0, 100, 700, 4_000])
    def test_builds_in_memory_where_the_disk_is_full(self, tmp_path, most_bytes):
        """No file may grow beyond so many bytes: the write that would fails, whichever library makes it."""
        chunks = [chunk(number) for number in range(200)]
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
        try:
            found, _ = self.open(tmp_path, chunks)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

        assert found == self.open(None, chunks)[0]
        assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".lock-")]

    def test_embeds_nothing_where_an_index_can_be_read_only(self, tmp_path):
        first, _ = self.open(tmp_path)
        [lock] = tmp_path.glob("*/lexical/.tantivy-meta.lock")
        lock.unlink()
        lock.mkdir()  # stands for a folder that cannot be written: tests may run as root

        assert self.open(tmp_path) == (first, [])

    def test_needs_no_embedder_for_words_alone(self, tmp_path):
        lexical, vectors = open_indexes(CHUNKS, folder=tmp_path, embedder=None, made_by={})

        assert vectors is None
        assert lexical.search("worker 7", limit=1)[0].id == "c7"

    def test_shares_the_files_of_unchanged_segments(self, tmp_path):
        many = [chunk(number) for number in range(5_000)]
        open_indexes(many, folder=tmp_path, embedder=None, made_by={})
        open_indexes([*many, chunk(9_999)], folder=tmp_path, embedder=None, made_by={})

        stores = [file.stat().st_nlink for file in tmp_path.glob("*/lexical/*.store")]

        assert sorted(stores) == [1, 1, *[2] * 10]


class TestOpenKnowledge:
    def test_keeps_indexes_under_the_home_of_its_environment(self, tmp_path):
        held = open_knowledge(RetrievalSpec(mode="lexical"), chunks=CHUNKS, env={"GOLDGATE_HOME": str(tmp_path)})

        assert held.find("worker 7").ids[0] == "c7"
        assert len(list((tmp_path / "indexes").glob("*/index.json"))) == 1

    def test_keeps_nothing_without_a_home(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

        held = open_knowledge(RetrievalSpec(mode="lexical"), chunks=CHUNKS, env={})

        assert held.find("worker 7").ids[0] == "c7"
        assert list(tmp_path.iterdir()) == []


class TestUpdates:
    @settings(max_examples=6, deadline=None)
    @given(st.lists(texts, min_size=40, max_size=40), st.lists(edits, min_size=1, max_size=4))
    def test_rank_as_an_index_made_from_nothing_after_any_changes(self, tmp_path_factory, first, changes):
        embedder = InMemoryEmbedder()
        base: Path | None = None
        held: list[Chunk] = []
        version: dict[int, str | None] = dict(enumerate(first))
        for edit in ({}, *changes):
            version = {at: text for at, text in {**version, **edit}.items() if text is not None}
            chunks = [chunk(at, text) for at, text in version.items()]
            folder = tmp_path_factory.mktemp("version")
            changed = {c.id for c in [*chunks, *held] if (c in chunks) != (c in held)}
            rows = {c.id: held.index(c) for c in chunks if c in held}
            lexical_base, vector_base = (base / "l", base / "v") if base else (None, None)
            TantivyIndex.write(chunks, folder / "l", base=lexical_base, changed=changed, large=1)
            embedded = FaissIndex.write(chunks, folder / "v", embedder=embedder, base=vector_base, rows=rows)
            assert embedded == len(chunks) - len(rows)
            base, held = folder, chunks
        ids = [c.id for c in held]

        updated = rankings(
            TantivyIndex.open(base / "l", ids), FaissIndex.open(base / "v", ids, embedder=embedder), limit=4
        )
        rebuilt = rankings(TantivyIndex.build(held), FaissIndex.build(held, embedder=embedder), limit=4)

        assert updated == rebuilt

    def test_index_only_the_buckets_that_changed(self, tmp_path):
        many = [chunk(number) for number in range(600)]
        TantivyIndex.write(many, tmp_path / "a", large=1)

        indexed = TantivyIndex.write(many[1:], tmp_path / "b", base=tmp_path / "a", changed={"c0"}, large=1)

        assert 50 < indexed < 200

    def test_embed_all_anew_when_the_embedder_gives_another_width(self, tmp_path):
        FaissIndex.write(CHUNKS, tmp_path / "a", embedder=InMemoryEmbedder(dimensions=8))
        rows = {c.id: row for row, c in enumerate(CHUNKS[1:], start=1)}

        embedded = FaissIndex.write(CHUNKS, tmp_path / "b", embedder=InMemoryEmbedder(), base=tmp_path / "a", rows=rows)

        assert embedded == len(CHUNKS)

    def test_take_vectors_from_the_base_as_they_are(self, tmp_path):
        class Constant(InMemoryEmbedder):
            def embed(self, texts: Sequence[str]) -> np.ndarray:
                return np.ones((len(texts), 4), dtype=np.float32) / 2

        FaissIndex.write(CHUNKS[:2], tmp_path / "a", embedder=Constant())
        FaissIndex.write(
            CHUNKS[:2], tmp_path / "b", embedder=InMemoryEmbedder(dimensions=4), base=tmp_path / "a", rows={"c0": 1}
        )

        found = FaissIndex.open(tmp_path / "b", ["c0", "c1"], embedder=Constant()).search("x", limit=2)

        assert found[0].id == "c0"
        assert found[0].score == pytest.approx(1)
