"""Documents with one thing done to them: everything that can be done to every value."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from tests.fakes.whole_resources import Document


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A whole document with one thing done to it."""

    what: str
    """What was done, such as `a number in quotation marks`."""
    where: tuple[str | int, ...]
    document: Document

    def __str__(self) -> str:
        """Name it for a test's report."""
        return f"{self.document['kind']} {'.'.join(map(str, self.where))}: {self.what}"


_WRONG: Final[dict[str, object]] = {
    "null": None,
    "an empty text": "",
    "a text": "x y/../Z",
    "a long text": "a" * 10_000,
    "a number in quotation marks": "5",
    "a flag in quotation marks": "true",
    "a whole number": 5,
    "a number": 0.5,
    "a whole number with a point": 1.0,
    "a number below": -3,
    "a number above": 10**12,
    "a number beyond 64 bits": 10**19,
    "a flag": True,
    "an empty list": [],
    "a list": [1],
    "a list of names": ["look"],
    "an empty object": {},
    "an object": {"never": "heard of"},
}
"""What is put in the place of every value."""


def broken(whole: Document, *, part: str = "spec") -> Iterator[Broken]:
    """Do to every value of a document all that can be done: remove it, put another there, add to it."""
    for where, value in _values(whole[part], (part,)):
        if where != (part,):
            yield Broken(what="left out", where=where, document=_without(whole, where))
        for what, wrong in _WRONG.items():
            if not _same(wrong, value):
                yield Broken(what=what, where=where, document=_with(whole, where, deepcopy(wrong)))
        if isinstance(value, dict):
            grown = {**deepcopy(value), "un known": "x"}
            yield Broken(what="a key more", where=where, document=_with(whole, where, grown))


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _values(value: object, where: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], object]]:
    yield where, value
    match value:
        case dict():
            for key, inner in value.items():
                yield from _values(inner, (*where, key))
        case list():
            for place, inner in enumerate(value):
                yield from _values(inner, (*where, place))


def _with(whole: Document, where: tuple[str | int, ...], value: object) -> Document:
    copy = deepcopy(whole)
    _parent(copy, where)[where[-1]] = value
    return copy


def _without(whole: Document, where: tuple[str | int, ...]) -> Document:
    copy = deepcopy(whole)
    del _parent(copy, where)[where[-1]]
    return copy


def _parent(document: Document, where: tuple[str | int, ...]) -> Any:
    found: Any = document
    for step in where[:-1]:
        found = found[step]
    return found
