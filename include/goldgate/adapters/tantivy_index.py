"""BM25 over passages, by tantivy.

An index on disk is changed by whole buckets: a passage's id says in which it is, each bucket is one segment, and one
with a change is deleted and written anew. A segment without passages vanishes, so that no deleted passage is left whose
words would still count: the scores are those of an index made from nothing.
"""

import json
import re
import shutil
import zlib
from collections.abc import Collection, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import tantivy

from goldgate.ports.knowledge import Chunk, Scored

_WORD = re.compile(r"[^\W_]+")
_MOST_WORDS = 400
"""Beyond this a question is a text, and every further word only adds noise and time."""

_HEAP_BYTES: Final = 100_000_000
_BUCKETS: Final = 6
"""Of a large index. From eight segments on tantivy would merge them, and a bucket would be no segment any more."""

LARGE: Final = 5_000
"""Passages. Fewer are indexed anew within 50 ms."""

_TIED_DIGITS: Final = 4
"""Scores that differ only beyond are ties: the order in which segments are summed up moves the last bits."""

_META: Final = "meta.json"


class TantivyIndex:
    """Ranks passages by BM25 over stemmed English words of title and text. Ties keep the order of the corpus."""

    def __init__(self, index: tantivy.Index, ids: Sequence[str]) -> None:
        """Take over an index whose writing is done, and the ids of its passages in the order of the corpus."""
        # Nothing is written after this: without "manual" a thread would watch for changes.
        index.config_reader(reload_policy="manual")
        index.reload()
        self._index = index
        self._searcher = index.searcher()
        self._order = {chunk_id: place for place, chunk_id in enumerate(ids)}

    @classmethod
    def build(cls, chunks: Sequence[Chunk]) -> "TantivyIndex":
        """Index passages, in memory."""
        index = tantivy.Index(_schema())
        _write(index, [list(chunks)])
        return cls(index, [chunk.id for chunk in chunks])

    @classmethod
    def write(
        cls,
        chunks: Sequence[Chunk],
        folder: Path,
        *,
        base: Path | None = None,
        changed: Collection[str] = (),
        large: int = LARGE,
    ) -> int:
        """Index passages on disk.

        Args:
            chunks: All of them, in the order of the corpus.
            folder: Empty, or missing.
            base: An index of nearly the same passages, by this function.
            changed: Ids that the base has not, has with another text, or has and `chunks` have not.
            large: From so many passages on there are buckets.

        Returns:
            How many passages were indexed; the others were taken from the base.

        Raises:
            OSError: It cannot be written.
        """
        try:
            return cls._written(chunks, folder, base=base, changed=changed, large=large)
        except ValueError as error:  # how tantivy tells of a full disk, among others
            raise OSError(f"`{folder}` cannot be written: {str(error)[:200]}.") from error

    @classmethod
    def _written(
        cls, chunks: Sequence[Chunk], folder: Path, *, base: Path | None, changed: Collection[str], large: int
    ) -> int:
        buckets = _buckets(chunks, large=large)
        if base is not None and len(buckets) > 1 and _segments(base) == len(buckets):
            stale = sorted({_bucket(chunk_id) for chunk_id in changed})
            _link(base, folder)
            _write(tantivy.Index.open(str(folder)), [buckets[each] for each in stale], instead_of=stale)
            if _is_exact(folder, len(chunks)):
                return sum(len(buckets[each]) for each in stale)
            shutil.rmtree(folder)
        folder.mkdir(exist_ok=True)
        _write(tantivy.Index(_schema(), path=str(folder)), buckets)
        return len(chunks)

    @classmethod
    def open(cls, folder: Path, ids: Sequence[str]) -> "TantivyIndex":
        """Open an index on disk. Its files are mapped into memory, and shared by all who open it.

        Raises:
            OSError: It cannot be read.
        """
        try:
            return cls(tantivy.Index.open(str(folder)), ids)
        except ValueError as error:  # how tantivy tells of what is no index
            raise OSError(f"`{folder}` cannot be opened as an index: {error}.") from error

    def search(self, question: str, *, limit: int) -> list[Scored]:
        """Rank passages that share a word with the question."""
        words = list(dict.fromkeys(word.lower() for word in _WORD.findall(question)))[:_MOST_WORDS]
        if not words:
            return []
        # Words in lower case are never operators of the query language, and nothing else of it is left.
        query = self._index.parse_query(" ".join(words), ["title", "text"])
        hits = self._with_ties(query, limit)
        scored = [(score, self._searcher.doc(address)["id"][0]) for score, address in hits]
        scored.sort(key=lambda each: (-each[0], self._order[each[1]]))
        return [Scored(id=chunk_id, score=score) for score, chunk_id in scored[:limit]]

    def _with_ties(self, query: "tantivy.Query", limit: int) -> list[tuple[float, "tantivy.DocAddress"]]:
        """Find the best, and all that tie with the last of them: which of those come first, the segments do not say."""
        asked = limit + 1
        while True:
            hits = [(round(float(score), _TIED_DIGITS), at) for score, at in self._searcher.search(query, asked).hits]
            if len(hits) < asked or hits[limit - 1][0] > hits[-1][0]:
                return hits
            asked *= 4


def made_by() -> dict[str, str]:
    """Name what an index on disk depends on beside its passages."""
    return {"tantivy": version("tantivy")}


def _schema() -> "tantivy.Schema":
    schema = tantivy.SchemaBuilder()
    schema.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    schema.add_text_field("bucket", tokenizer_name="raw", index_option="basic")
    schema.add_text_field("title", tokenizer_name="en_stem", index_option="freq")
    schema.add_text_field("text", tokenizer_name="en_stem", index_option="freq")
    return schema.build()


def _write(index: "tantivy.Index", buckets: Sequence[Sequence[Chunk]], *, instead_of: Sequence[int] = ()) -> None:
    # One thread and one commit a bucket make one segment.
    writer = index.writer(heap_size=_HEAP_BYTES, num_threads=1)
    for place, bucket in enumerate(buckets):
        number = instead_of[place] if instead_of else place
        if instead_of:
            writer.delete_documents_by_term("bucket", str(number))
        for chunk in bucket:
            # The tokenizer splits at everything but letters and digits, and so splits snake_case names too.
            writer.add_document(
                tantivy.Document(id=[chunk.id], bucket=[str(number)], title=[chunk.title], text=[chunk.text])
            )
        writer.commit()
    writer.garbage_collect_files()
    writer.wait_merging_threads()


def _buckets(chunks: Sequence[Chunk], *, large: int) -> list[list[Chunk]]:
    if len(chunks) < large:
        return [list(chunks)]
    buckets: list[list[Chunk]] = [[] for _ in range(_BUCKETS)]
    for chunk in chunks:
        buckets[_bucket(chunk.id)].append(chunk)
    return buckets


def _bucket(chunk_id: str) -> int:
    return zlib.crc32(chunk_id.encode()) % _BUCKETS


def _link(base: Path, folder: Path) -> None:
    """Begin from the files of another index. Segments are never changed in place, so that they can be shared."""

    def link_or_copy(source: str, target: str) -> None:
        if Path(source).name == _META or Path(source).name.startswith("."):
            shutil.copy2(source, target)
            return
        try:
            Path(target).hardlink_to(source)
        except OSError:
            shutil.copy2(source, target)

    shutil.copytree(
        base, folder, copy_function=link_or_copy, ignore=shutil.ignore_patterns("*.lock"), dirs_exist_ok=True
    )


def _segments(folder: Path) -> int:
    return len(json.loads((folder / _META).read_text(encoding="utf-8"))["segments"])


def _is_exact(folder: Path, passages: int) -> bool:
    """Whether no deleted passage is left in any segment."""
    segments = json.loads((folder / _META).read_text(encoding="utf-8"))["segments"]
    return sum(each["max_doc"] for each in segments) == passages and not any(each["deletes"] for each in segments)
