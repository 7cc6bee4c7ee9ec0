"""BM25 over passages, by tantivy."""

import re
from collections.abc import Sequence

import tantivy

from goldgate.ports.knowledge import Chunk, Scored

_WORD = re.compile(r"[^\W_]+")
_MOST_WORDS = 400
"""Beyond this a question is a text, and every further word only adds noise and time."""


class TantivyIndex:
    """Ranks passages by BM25 over stemmed English words of title and text."""

    def __init__(self, index: tantivy.Index) -> None:
        """Take over an index whose writing is done."""
        # Nothing is written after this: without "manual" a thread would watch for changes.
        index.config_reader(reload_policy="manual")
        index.reload()
        self._index = index
        self._searcher = index.searcher()

    @classmethod
    def build(cls, chunks: Sequence[Chunk]) -> "TantivyIndex":
        """Index passages, in memory."""
        schema = tantivy.SchemaBuilder()
        schema.add_text_field("id", stored=True, tokenizer_name="raw")
        schema.add_text_field("title", tokenizer_name="en_stem")
        schema.add_text_field("text", tokenizer_name="en_stem")
        index = tantivy.Index(schema.build())
        # One thread makes one segment, so that equal scores keep the order of the corpus.
        writer = index.writer(heap_size=50_000_000, num_threads=1)
        for chunk in chunks:
            # The tokenizer splits at everything but letters and digits, and so splits snake_case names too.
            writer.add_document(tantivy.Document(id=[chunk.id], title=[chunk.title], text=[chunk.text]))
        writer.commit()
        writer.wait_merging_threads()
        return cls(index)

    def search(self, question: str, *, limit: int) -> list[Scored]:
        """Rank passages that share a word with the question."""
        words = list(dict.fromkeys(word.lower() for word in _WORD.findall(question)))[:_MOST_WORDS]
        if not words:
            return []
        # Words in lower case are never operators of the query language, and nothing else of it is left.
        query = self._index.parse_query(" ".join(words), ["title", "text"])
        hits = self._searcher.search(query, limit=limit).hits
        return [Scored(id=self._searcher.doc(address)["id"][0], score=float(score)) for score, address in hits]
