"""What people say to a TaskRun, as its annotations: written without touching its status, and read without it."""

from hashlib import sha256
from typing import Final

from pydantic import TypeAdapter, ValidationError

from goldgate.adapters.cluster.objects import Object
from goldgate.adapters.cluster.statuses import DamagedTaskRunError
from goldgate.contracts.cluster import WORD_ANNOTATION
from goldgate.domain.errors import PermanentError
from goldgate.ports.task_runs import RunWord

_WORD: Final = TypeAdapter(RunWord)
_LONGEST_BYTES: Final = 100_000
"""The annotations of an object take 256 KiB in all, and several words may wait."""


def key_of(word: RunWord) -> str:
    """Name the annotation of a word: its id may hold what no name may."""
    return WORD_ANNOTATION + sha256(word.id.encode()).hexdigest()[:32]


def text_of(word: RunWord) -> str:
    """Write a word.

    Raises:
        PermanentError: It is too long for an annotation.
    """
    raw = _WORD.dump_json(word)
    if len(raw) > _LONGEST_BYTES:
        raise PermanentError(
            f"Found a word of {len(raw)} bytes for a run; expected at most {_LONGEST_BYTES}. Say it in fewer."
        )
    return raw.decode()


def words_in(metadata: Object) -> list[RunWord]:
    """Read the words of a run, oldest first.

    Raises:
        DamagedTaskRunError: An annotation holds something else.
    """
    annotations = metadata.get("annotations") or {}
    found = [_word(key, text) for key, text in annotations.items() if key.startswith(WORD_ANNOTATION)]
    return sorted(found, key=lambda word: (word.at, word.id))


def _word(key: str, text: str) -> RunWord:
    try:
        return _WORD.validate_json(text)
    except ValidationError as error:
        raise DamagedTaskRunError(
            f"Found no word in annotation `{key}`; expected one. Remove the annotation."
        ) from error
