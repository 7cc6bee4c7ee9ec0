"""Read the arguments of a tool off what the caller wrote. What cannot be read off is never made up."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from goldgate.standin.parameters import Schema, branches_of, properties_of, required_of

MAX_SPAN_WORDS = 8
"""An unquoted value is at most this many words long: `0 3 * * 1-5` has five."""

MAX_SPAN_CHARS = 200

_PROSE_WORDS = ["how", "often", "does", "the", "Airflow", "job", "run", "today"]
PROSE = tuple(" ".join(_PROSE_WORDS[:length]) for length in range(1, MAX_SPAN_WORDS + 1))
"""A pattern that matches one of these cannot tell a value from prose."""

_QUOTED = re.compile(r"`([^`\n]+)`|\"([^\"\n]+)\"|“([^”\n]+)”|(?<!\w)'([^'\n]+)'(?!\w)")
_WORD = re.compile(r"\S+")
_NUMBER = re.compile(r"(?<![\w.\-:/*])-?\d+(?:\.\d+)?(?![\w\-:/*]|\.\d)")
_TRUTH = re.compile(r"\b(true|false)\b", re.IGNORECASE)
_EDGES = "()[]{}<>,;:!?\"'`“”"


@dataclass(frozen=True, kw_only=True)
class Literal:
    """A value as it stands in the text."""

    value: object
    start: int
    end: int


def read_arguments(schema: Schema, text: str) -> dict[str, object] | None:
    """Fill the parameters of a tool from a text.

    A parameter is readable by its `enum` or `const`, by its `pattern`, or, for numbers and booleans, as a literal.
    Required parameters choose first, in the order of the schema; no two parameters take the same words. A parameter
    that may be null and cannot be read is null if it is required, and else left out.

    Returns:
        The arguments; None if a required one cannot be read.
    """
    properties, required = properties_of(schema), required_of(schema)
    taken: list[Literal] = []
    arguments: dict[str, object] = {}
    for name in [*required, *(name for name in properties if name not in required)]:
        branches = list(branches_of(properties.get(name, {}), root=schema))
        found = next(
            (literal for branch in branches for literal in _candidates(branch, text) if _free(literal, taken)), None
        )
        if found is not None:
            taken.append(found)
            arguments[name] = found.value
        elif name in required:
            if not any(branch.get("type") == "null" for branch in branches):
                return None
            arguments[name] = None
    return arguments


def _free(literal: Literal, taken: list[Literal]) -> bool:
    return all(literal.end <= other.start or other.end <= literal.start for other in taken)


def _candidates(schema: Schema, text: str) -> Iterator[Literal]:
    if "enum" in schema or "const" in schema:
        yield from _of_enum(schema.get("enum", [schema.get("const")]), text)
    elif "pattern" in schema:
        yield from _of_pattern(schema["pattern"], text)
    elif schema.get("type") in {"integer", "number"}:
        yield from _of_number(schema, text)
    elif schema.get("type") == "boolean":
        yield from (Literal(value=m[1].lower() == "true", start=m.start(), end=m.end()) for m in _TRUTH.finditer(text))


def _of_enum(values: list[object], text: str) -> Iterator[Literal]:
    """Yield the values that stand in the text as whole words, longest first, whatever the case."""
    for value in sorted(values, key=lambda value: -len(str(value))):
        match = re.search(rf"(?<!\w){re.escape(str(value))}(?!\w)", text, re.IGNORECASE)
        if value not in (None, "") and match:
            yield Literal(value=value, start=match.start(), end=match.end())


def _of_pattern(pattern: str, text: str) -> Iterator[Literal]:
    """Yield what matches: quoted text first, then the longest run of words, leftmost first.

    Of an unquoted run at least one word must stand out from prose; every word, if the pattern matches prose too.
    """
    matcher = re.compile(pattern)
    for quoted in _QUOTED.finditer(text):
        group = next(i for i, value in enumerate(quoted.groups(), start=1) if value is not None)
        if len(quoted[group]) <= MAX_SPAN_CHARS and matcher.search(quoted[group]):
            yield Literal(value=quoted[group], start=quoted.start(group), end=quoted.end(group))
    stands_out = all if any(matcher.search(prose) for prose in PROSE) else any
    spans = list(_WORD.finditer(text))
    for length in range(min(MAX_SPAN_WORDS, len(spans)), 0, -1):
        for first in range(len(spans) - length + 1):
            start, end = _trimmed(text, spans[first].start(), spans[first + length - 1].end())
            value = text[start:end]
            if len(value) <= MAX_SPAN_CHARS and stands_out(map(_is_value, value.split())) and matcher.search(value):
                yield Literal(value=value, start=start, end=end)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave out the punctuation of the sentence around a span."""
    while start < end and text[start] in _EDGES:
        start += 1
    while start < end and text[end - 1] in _EDGES + ".":
        end -= 1
    return start, end


def _is_value(word: str) -> bool:
    """Tell a value from an ordinary word: a digit, a sign, a dot inside, or capitals throughout."""
    return bool(re.search(r"[\d_*@#/\\=+-]|\w\.\w", word)) or (len(word) > 1 and word.isupper())


def _of_number(schema: Schema, text: str) -> Iterator[Literal]:
    for match in _NUMBER.finditer(text):
        is_whole = "." not in match[0]
        if schema["type"] == "integer" and not is_whole:
            continue
        value = int(match[0]) if is_whole else float(match[0])
        if schema.get("minimum", value) <= value <= schema.get("maximum", value):
            yield Literal(value=value, start=match.start(), end=match.end())
