"""Check that a gold set can be trusted: it is whole, it fits its corpus, and its questions do not give the answer away.

A question in the words of its answer measures the index, not the agent. Nothing here asks a model.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from goldgate.contracts.base import ContractError, Problem
from goldgate.contracts.gold import GoldRow
from goldgate.domain.digest import Digest, digest_bytes

MAX_OVERLAP_WORDS = 4
"""How many words in a row a question may share with a passage that answers it.

Four words are idiom ("be able to be", "set this to the"); five are a quotation. Over the configuration reference of
Airflow 3.3, questions written without a look at it share at most three.
"""

_WORD = re.compile(r"[^\W_]+")
_NAME = re.compile(r"\w+(?:[.-]\w+)*")


def check_gold_set(
    rows: Sequence[GoldRow],
    *,
    chunks: Mapping[str, str],
    max_overlap: int = MAX_OVERLAP_WORDS,
    where: str = "gold.jsonl",
) -> list[Problem]:
    """Find everything that makes a gold set unfit.

    Args:
        rows: The gold set, in the order of its file.
        chunks: Text of every passage, by id.
        max_overlap: Longest run of words, whatever the case, that a question may share with a relevant passage.
        where: The file, for the problems' addresses; line n is row n.

    Returns:
        The problems in the order of the rows; empty for a sound set. An id or question used twice is told at its
        second use. Rows that need a tool may name what they ask about: the tool reads it off the question.
    """
    seen: dict[str, dict[str, str]] = {"id": {}, "question": {}}
    problems: list[Problem] = []
    for line, row in enumerate(rows, start=1):

        def problem(field: str, *, found: str, expected: str, at: str = f"{where}:{line}") -> Problem:
            return Problem(where=at, field=field, found=found, expected=expected)

        problems += _repeats(row, seen, problem)
        problems += _unknown_passages(row, chunks, problem)
        problems += _underivable_answers(row, chunks, problem)
        if row.needs_tool is None:
            problems += _given_away(row, chunks, max_overlap, problem)
    return problems


def digest_gold(path: Path) -> Digest:
    """Name a gold set by the bytes of its file.

    Raises:
        ContractError: The file cannot be read.
    """
    try:
        return digest_bytes(path.read_bytes())
    except OSError as error:
        found = error.strerror or str(error)
        raise ContractError([Problem(where=str(path), field="", found=found, expected="a gold set")]) from error


def longest_shared_run(question: str, text: str) -> tuple[str, ...]:
    """Return the longest run of words that stands in both texts, in lower case; the first of equally long ones."""
    left, right = _words(question), _words(text)
    best: tuple[str, ...] = ()
    # Length of the run that ends at each word of `right` and at the word of `left` before: dynamic programming.
    ends_before = [0] * (len(right) + 1)
    for position, word in enumerate(left, start=1):
        ends_here = [0] * (len(right) + 1)
        for other, candidate in enumerate(right, start=1):
            if word == candidate:
                ends_here[other] = ends_before[other - 1] + 1
                if ends_here[other] > len(best):
                    best = left[position - ends_here[other] : position]
        ends_before = ends_here
    return best


_Tell = Callable[..., Problem]


def _repeats(row: GoldRow, seen: dict[str, dict[str, str]], problem: _Tell) -> Iterator[Problem]:
    question = " ".join((*_words(row.question), *row.context))
    for field, value in (("id", row.id), ("question", question)):
        if value in seen[field]:
            yield problem(field, found=f"the {field} of row `{seen[field][value]}` again", expected="each once")
        seen[field].setdefault(value, row.id)


def _unknown_passages(row: GoldRow, chunks: Mapping[str, str], problem: _Tell) -> Iterator[Problem]:
    for position, chunk in enumerate(row.relevant):
        if chunk not in chunks:
            yield problem(f"relevant.{position}", found=f"`{chunk}`", expected="the id of a passage of the corpus")


def _underivable_answers(row: GoldRow, chunks: Mapping[str, str], problem: _Tell) -> Iterator[Problem]:
    known = [chunk for chunk in row.relevant if chunk in chunks]
    if not known or row.needs_tool is not None:
        return
    source = "\n".join(f"{chunk}\n{chunks[chunk]}" for chunk in known).lower()
    for position, choice in enumerate(row.must_contain):
        if not any(text.lower() in source for text in choice):
            expected = "at least one text that a relevant passage holds"
            yield problem(f"must_contain.{position}", found=f"`{choice}`", expected=expected)


def _given_away(row: GoldRow, chunks: Mapping[str, str], max_overlap: int, problem: _Tell) -> Iterator[Problem]:
    names = set(_NAME.findall(row.question.lower()))
    for chunk in row.relevant:
        if _full_names(chunk) & names:
            yield problem("question", found=f"the name of its answer, `{chunk}`", expected="a question without it")
        run = longest_shared_run(row.question, chunks.get(chunk, ""))
        if len(run) > max_overlap:
            found = f"{len(run)} words in a row of its answer `{chunk}`: `{' '.join(run)}`"
            yield problem("question", found=found, expected=f"at most {max_overlap}")


def _full_names(chunk: str) -> set[str]:
    """Names by which nobody calls a thing in passing: a whole id, and its last part if it is made of several words."""
    last = chunk.rpartition(".")[2].lower()
    return {name for name in (chunk.lower(), last) if len(_words(name)) > 1}


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.lower()))
