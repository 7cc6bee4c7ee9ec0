"""What people say to a TaskRun, as its annotations: written without touching its status, and read without it.

Whoever may write annotations may write anything into one. What is no word is set aside: it stays where it is, is told,
and keeps nobody from the words beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from pydantic import TypeAdapter, ValidationError

from goldgate.adapters.cluster.objects import Object
from goldgate.contracts.cluster import WORD_ANNOTATION
from goldgate.domain.errors import PermanentError
from goldgate.ports.task_runs import RunWord

_WORD: Final = TypeAdapter(RunWord)
_LONGEST_BYTES: Final = 100_000
"""The annotations of an object take 256 KiB in all, and several words may wait."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What stands in the annotations of a run."""

    words: tuple[RunWord, ...] = ()
    """Oldest first."""
    set_aside: tuple["SetAside", ...] = ()


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """An annotation that is called a word and is none."""

    mark: str
    """Tells it from others, and from what stood there before."""
    problem: str
    """What was found, and what to do."""


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


def heard_in(metadata: Object) -> Heard:
    """Read what was said to a run."""
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    found = [_read(key, text) for key, text in sorted(annotations.items()) if key.startswith(WORD_ANNOTATION)]
    words = [each for each in found if isinstance(each, RunWord)]
    return Heard(
        words=tuple(sorted(words, key=lambda word: (word.at, word.id))),
        set_aside=tuple(each for each in found if isinstance(each, SetAside)),
    )


def _read(key: str, text: str) -> RunWord | SetAside:
    size_bytes = len(text.encode())
    if size_bytes > _LONGEST_BYTES:
        return _aside(key, text, f"{size_bytes} bytes", f"at most {_LONGEST_BYTES}")
    try:
        word = _WORD.validate_json(text)
    except ValidationError:
        return _aside(key, text, "no word", "what `goldgate task` leaves there")
    if word.at.tzinfo is None:
        return _aside(key, text, "a time without its zone", "one with it")
    if key_of(word) != key:
        # Once acted on it would be looked for by its own name, and stay: it would be heard again and again.
        return _aside(key, text, "a word of another name", f"it in `{key_of(word)}`")
    return word


def _aside(key: str, text: str, found: str, expected: str) -> SetAside:
    return SetAside(
        mark=f"{key}/{sha256(text.encode()).hexdigest()}",
        problem=f"Found {found} in annotation `{key}`; expected {expected}. Nothing was done about it: remove the "
        "annotation, and say it with `goldgate task`.",
    )
