"""An agent's knowledge, cut into chunks whose ids stay the same from build to build."""

import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field, JsonValue

from goldgate.agent.folder import AgentFolder, matching_files
from goldgate.agent.memory.tokens import count_tokens, cut_bytes
from goldgate.contracts.base import Contract, ContractError, Problem
from goldgate.contracts.documents import parse, read_jsonl
from goldgate.domain.digest import canonical_json
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.knowledge import Chunk

CORPUS_FILE = "corpus.jsonl"
CHUNK_TOKENS = 300
"""Paragraphs of a section are put together up to this. Five of them fill the default context budget of 1200 tokens."""

LARGEST_CHUNK_TOKENS = 1000
"""A chunk that is written or built as one is split beyond this: the default context budget would cut it anyway."""

_BUILDER_LIMIT_S = 120
_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*\s*$")
_ENDS = tuple(re.compile(end) for end in (r"\n\s*\n", r"\n", r"[.!?]\s", r"\s"))
_FENCE = re.compile(r"^\s*(?:```|~~~)")


class CorpusRow(Contract):
    """One chunk as it is written: a line of `corpus.jsonl`, of a JSON-lines file, or of a builder's output."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")
    """Cited by the model in brackets: no spaces, no brackets."""
    title: str = ""
    text: str = Field(min_length=1)
    fields: dict[str, JsonValue] = Field(default_factory=dict)
    """For people and other programs; not retrieved."""


class BuilderError(PermanentError):
    """The program that makes the corpus did not."""


def build_corpus(agent: AgentFolder, *, env: Mapping[str, str]) -> list[CorpusRow]:
    """Make an agent's corpus from its files or its builder.

    A chunk of more than `LARGEST_CHUNK_TOKENS` is split: its first part keeps the id, the others are `<id>:2`,
    `<id>:3`, and so on, whatever stands before or after them in the corpus.

    Returns:
        Chunks in the order of the files or of the builder's output. Empty for an agent without a corpus.

    Raises:
        ContractError: A chunk is not as it must be, or two have one id.
        BuilderError: The builder failed, took too long, or printed nothing.
    """
    corpus = agent.agent.spec.corpus
    found: list[tuple[str, CorpusRow]] = []
    for pattern in corpus.files:
        for file in matching_files(agent.folder, pattern):
            found.extend(_rows_of(file))
    if corpus.builder is not None:
        found.extend(_built(agent.folder, corpus.builder, env=env))
    found = [(where, part) for where, row in found for part in _split_row(row)]
    first: dict[str, str] = {}
    problems: list[Problem] = []
    for where, row in found:
        if row.id in first:
            expected = f"ids that differ (first in {first[row.id]})"
            problems.append(Problem(where=where, field="id", found=f"`{row.id}` again", expected=expected))
        first.setdefault(row.id, where)
    if problems:
        raise ContractError(problems)
    if not found and (corpus.files or corpus.builder):
        raise BuilderError(f"Found no chunk in the corpus of `{agent.agent.metadata.name}`; expected at least one.")
    return [row for _, row in found]


def write_corpus(rows: list[CorpusRow]) -> bytes:
    """Write chunks, one a line, the same bytes for the same chunks."""
    return b"".join(canonical_json(row.model_dump(mode="json")) + b"\n" for row in rows)


def read_chunks(path: Path) -> list[Chunk]:
    """Read `corpus.jsonl`."""
    return [Chunk(id=row.id, title=row.title, text=row.text) for row in read_jsonl(path, CorpusRow)]


def split_text(stem: str, text: str, *, budget: int = CHUNK_TOKENS) -> Iterator[CorpusRow]:
    """Cut Markdown or plain text at its headings, and long sections between paragraphs.

    A heading in a code fence is none. A paragraph longer than the budget is cut at a line, a sentence or a word. Ids
    are the file's stem and a slug of the heading; a second one alike gets `-2`, and so on.
    """
    used: dict[str, int] = {}
    for trail, body in _sections(text):
        title = " > ".join(trail) or stem
        for part in _parts(body, budget=budget):
            base = "-".join(filter(None, [_slug(stem), _slug(trail[-1] if trail else "")])) or "text"
            used[base] = used.get(base, 0) + 1
            number = f"-{used[base]}" if used[base] > 1 else ""
            yield CorpusRow(id=f"{base}{number}", title=title, text=part)


def _rows_of(file: Path) -> Iterator[tuple[str, CorpusRow]]:
    match file.suffix:
        case ".jsonl":
            for number, row in enumerate(read_jsonl(file, CorpusRow), start=1):
                yield f"{file}:{number}", row
        case ".md" | ".txt":
            try:
                text = file.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                problem = Problem(where=str(file), field="", found=error.reason, expected="UTF-8")
                raise ContractError([problem]) from error
            for row in split_text(file.stem, text):
                yield str(file), row
        case _:
            found = f"`{file.suffix}`" if file.suffix else "no file extension"
            raise ContractError([Problem(where=str(file), field="", found=found, expected="`.md`, `.txt` or `.jsonl`")])


def _built(folder: Path, builder: str, *, env: Mapping[str, str]) -> Iterator[tuple[str, CorpusRow]]:
    where = builder
    command = [sys.executable, "-B", str(Path(builder))]
    try:
        run = subprocess.run(  # noqa: S603 - a reviewed program of the agent, in a reduced environment
            command, cwd=folder, env=dict(env), capture_output=True, timeout=_BUILDER_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TransientError(f"Corpus builder `{where}` ran for {_BUILDER_LIMIT_S} s and was ended.") from error
    if run.returncode != 0:
        tail = run.stderr.decode(errors="replace").strip()[-2000:]
        raise BuilderError(f"Corpus builder `{where}` ended with {run.returncode}; expected 0. It wrote:\n{tail}")
    for number, line in enumerate(run.stdout.decode(errors="replace").splitlines(), start=1):
        at = f"output of {where}:{number}"
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            problem = Problem(where=at, field="", found=f"`{line[:80]}`", expected="one JSON object")
            raise ContractError([problem]) from error
        yield at, parse(value, CorpusRow, where=at)


def _sections(text: str) -> Iterator[tuple[list[str], str]]:
    """Yield each section's headings, outermost first, and its body."""
    trail: list[tuple[int, str]] = []
    body: list[str] = []
    is_code = False
    for line in text.splitlines():
        is_code ^= bool(_FENCE.match(line))
        heading = None if is_code else _HEADING.match(line)
        if heading is None:
            body.append(line)
            continue
        yield [title for _, title in trail], "\n".join(body)
        level = len(heading.group(1))
        trail = [(at, title) for at, title in trail if at < level] + [(level, heading.group(2))]
        body = []
    yield [title for _, title in trail], "\n".join(body)


def _parts(body: str, *, budget: int) -> Iterator[str]:
    part = ""
    for paragraph in filter(None, (piece.strip() for piece in re.split(r"\n\s*\n", body))):
        for piece in _pieces(paragraph, budget=budget):
            joined = f"{part}\n\n{piece}" if part else piece
            if part and count_tokens(joined) > budget:
                yield part
                joined = piece
            part = joined
    if part:
        yield part


def _split_row(row: CorpusRow) -> Iterator[CorpusRow]:
    for number, part in enumerate(_pieces(row.text, budget=LARGEST_CHUNK_TOKENS), start=1):
        yield row if part == row.text else row.model_copy(update={"id": _part_id(row.id, number), "text": part})


def _part_id(row_id: str, number: int) -> str:
    return row_id if number == 1 else f"{row_id}:{number}"


def _pieces(text: str, *, budget: int) -> Iterator[str]:
    """Cut a text that is too long, where it hurts least: between paragraphs, lines, sentences, words, or anywhere."""
    if count_tokens(text) <= budget:
        yield text
        return
    start = 0
    while start < len(text):
        head = cut_bytes(text, start=start, budget=budget)
        # At least one: half a surrogate pair is a letter that no bytes are taken for.
        end = start + max(1, len(head) if start + len(head) == len(text) else _end(head))
        if piece := text[start:end].strip():
            yield piece
        start = end


def _end(head: str) -> int:
    """Find where to cut. An end that leaves a scrap is none: the pieces would be many and say little."""
    ends = (max((found.end() for found in end.finditer(head)), default=0) for end in _ENDS)
    return next((end for end in ends if end * 4 >= len(head)), len(head))


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-")
