"""A text that a pattern matches, for most patterns that people write in schemas.

The standard library's own reading of a pattern is used. It knows the part of ECMA-262 patterns that Python shares; for
any other there is no example.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

_LONGEST: Final = 200
_CATEGORIES: Final = {"CATEGORY_DIGIT": "0", "CATEGORY_SPACE": " ", "CATEGORY_WORD": "a"}
_CANDIDATES: Final = "aA0 _-./:@~é"


class _NoExampleError(Exception):
    """The pattern has something that cannot be turned round."""


def matching(pattern: str) -> str | None:
    """Write a short text in which a pattern is found; None if that is not known how."""
    try:
        # Of the standard library, though not documented: since Python 3.11 it is the module behind `re.compile`.
        parsed = re._parser.parse(pattern)  # type: ignore[attr-defined]  # noqa: SLF001 - as said above
        text = "".join(_written(parsed))
        return text if len(text) <= _LONGEST and re.search(pattern, text) else None
    except (re.error, RecursionError, OverflowError, AttributeError, _NoExampleError):
        return None


def _written(nodes: Iterable[Any]) -> Iterable[str]:
    return [_node(str(code), value) for code, value in nodes]


def _node(code: str, value: Any) -> str:
    match code:
        case "LITERAL":
            return chr(value)
        case "ANY" | "AT":
            return "a" if code == "ANY" else ""
        case "IN" | "NOT_LITERAL":
            return _one_of(value if code == "IN" else [("NEGATE", None), ("LITERAL", value)])
        case "BRANCH":
            return "".join(_written(value[1][0]))
        case "SUBPATTERN":
            return "".join(_written(value[-1]))
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            least, most, inner = value
            times = least or min(1, most)
            if times > _LONGEST:
                raise _NoExampleError
            return "".join(_written(inner)) * int(times)
        case _:
            raise _NoExampleError


def _one_of(choices: Iterable[tuple[Any, Any]]) -> str:
    told = [(str(code), value) for code, value in choices]
    if not any(code == "NEGATE" for code, _ in told):
        return _chosen(*told[0])
    refused = {_chosen(code, value) for code, value in told if code != "NEGATE"}
    ranges = [value for code, value in told if code == "RANGE"]
    for character in _CANDIDATES:
        if character not in refused and not any(low <= ord(character) <= high for low, high in ranges):
            return character
    raise _NoExampleError


def _chosen(code: str, value: Any) -> str:
    match code:
        case "LITERAL":
            return chr(value)
        case "RANGE":
            return chr(value[0])
        case "CATEGORY" if str(value) in _CATEGORIES:
            return _CATEGORIES[str(value)]
        case _:
            raise _NoExampleError
