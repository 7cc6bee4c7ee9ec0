"""Hold values to a JSON Schema, by jsonschema-rs.

The draft is that of `$schema`, else 2020-12. Formats are held to where that draft says so: drafts 4 to 7 do, later ones
take them as notes. A reference out of the schema is refused, never fetched.
"""

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

import jsonschema_rs
from pydantic import JsonValue

from goldgate.domain.errors import PermanentError
from goldgate.domain.json_schemas import count_nodes, path_text, schema_problems, work_of
from goldgate.ports.tools import ArgumentCheck

_MOST_PROBLEMS = 5
_MOST_COUNTED = 100
_MOST_WORK = 1_000_000
"""Parts of a schema times parts of a value. Above it only the first problem is looked for: jsonschema-rs copies what
was expected into every problem, which for 2,000 items that miss an enum of 20,000 took 15 s."""
_WORK_OF_A_PROBLEM = 200
_LONGEST_VALUE = 80
_LONGEST_EXPECTED = 300

_PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000)
"""A pattern that goes back and forth for longer does not match: with look-around there is no other bound."""


def compile_schema(schema: Mapping[str, JsonValue] | bool) -> ArgumentCheck:
    """Prepare a schema once, for many checks.

    Returns:
        A check that tells at most 5 problems, each short, and says how many more there are.

    Raises:
        PermanentError: It is no valid JSON Schema, has words of another dialect, or is too large to check by. Every
            problem is told with its path.
    """
    if not isinstance(schema, bool) and (problems := schema_problems(schema)):
        raise PermanentError(_refusal("\n".join(problems)))
    held = schema if isinstance(schema, bool) else dict(schema)
    try:
        validator = jsonschema_rs.validator_for(held, offline=True, pattern_options=_PATTERNS)
    except jsonschema_rs.ValidationError as error:
        where = path_text(tuple(error.instance_path))
        raise PermanentError(_refusal(f"- {_place(where, 'the schema')}: {_cut(_said(error))}.")) from error
    except (jsonschema_rs.ReferencingError, ValueError, TypeError, OverflowError) as error:
        raise PermanentError(_refusal(f"- the schema: {_cut(str(error))}.")) from error

    # A problem costs what it copies of the schema, and there may be one for each schema that a value is held to.
    weight = max(count_nodes(held), work_of(held) * _WORK_OF_A_PROBLEM)

    def problems_of(value: JsonValue) -> list[str]:
        try:
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
            if validator.is_valid(value):
                return []
            return _told(validator, value, is_heavy=weight * count_nodes(value) > _MOST_WORK)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            # No JSON at all: half a surrogate pair, NaN, an object that never ends.
            return [f"- the value: found what is no JSON ({_cut(str(error))}), expected JSON."]

    return problems_of


def _told(validator: Any, value: JsonValue, *, is_heavy: bool) -> list[str]:
    if is_heavy:
        return [_sentence(_first(validator, value)), "and perhaps more"]
    found = list(itertools.islice(validator.iter_errors(value), _MOST_COUNTED))
    told = [_sentence(error) for error in found[:_MOST_PROBLEMS]]
    more = len(found) - _MOST_PROBLEMS
    return [*told, f"and {more}{'+' if len(found) == _MOST_COUNTED else ''} more"] if more > 0 else told


def _first(validator: Any, value: JsonValue) -> jsonschema_rs.ValidationError:
    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        return error
    msg = "a value that fits after all"
    raise ValueError(msg)


def _refusal(problems: str) -> str:
    return f"Found a schema that is no JSON Schema; correct the tool:\n{problems}"


def _said(error: jsonschema_rs.ValidationError) -> str:
    if error.instance is None:
        return error.message
    return f"found {_value(error.instance)}, which is no valid value there ({error.message})"


def _place(path: str, whole: str) -> str:
    return f"`{path}`" if path else whole


def _sentence(error: jsonschema_rs.ValidationError) -> str:
    where = _place(path_text(tuple(error.instance_path)), "the arguments")
    return f"- {where}: found {_value(error.instance)}, expected {_cut(_expected(error))}."


def _value(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return f"`{text[:_LONGEST_VALUE]}…`" if len(text) > _LONGEST_VALUE else f"`{text}`"


def _cut(text: str) -> str:
    first = text.split("\n\n", 1)[0]
    return f"{first[:_LONGEST_EXPECTED]}…" if len(first) > _LONGEST_EXPECTED else first


def _expected(error: jsonschema_rs.ValidationError) -> str:
    kind: Any = error.kind
    if type(kind).__name__.endswith("MultipleValid"):
        return "a value that fits exactly one of its schemas, not several"
    if kind.name in _TOLD:
        return _TOLD[kind.name](error)
    return f"{kind.name} {json.dumps(kind.value, ensure_ascii=False, default=str)}"


def _alternatives(error: jsonschema_rs.ValidationError) -> str:
    branches: list[list[jsonschema_rs.ValidationError]] = error.kind.as_dict()["context"]
    reasons = {each.message for branch in branches for each in branch}
    return f"one of its schemas ({'; '.join(sorted(reasons))})"


def _no_field(error: jsonschema_rs.ValidationError) -> str:
    return f"no field {', '.join(f'`{name}`' for name in error.kind.value)}"


def _kept(error: jsonschema_rs.ValidationError) -> str:
    return f"that it keeps `{error.kind.name}`: {error.message}"


_TOLD: Mapping[str, Callable[[jsonschema_rs.ValidationError], str]] = {
    "required": lambda error: f"the field `{error.kind.value}`",
    "additionalProperties": _no_field,
    "unevaluatedProperties": _no_field,
    "type": lambda error: f"type {' or '.join(error.kind.as_dict()['types'])}",
    "enum": lambda error: f"one of {json.dumps(error.kind.value, ensure_ascii=False)}",
    "anyOf": _alternatives,
    "oneOf": _alternatives,
    "falseSchema": lambda _: "nothing there",
    "uniqueItems": lambda _: "items that differ",
    "dependentRequired": _kept,
    "dependencies": _kept,
    "not": _kept,
    "contains": _kept,
    "propertyNames": _kept,
}
