"""The parameters of a tool: the part of JSON Schema that is read here, held to its form before anything reads it.

Keywords that are not listed are left alone: the stand-in does not need them, and the agent checks arguments itself.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

MAX_DEPTH = 16
"""How deep schemas may nest."""

_FORMS: dict[str, type | tuple[type, ...]] = {
    "properties": dict,
    "$defs": dict,
    "required": list,
    "enum": list,
    "anyOf": list,
    "oneOf": list,
    "minimum": (int, float),
    "maximum": (int, float),
    "pattern": str,
    "$ref": str,
}


def problem_in(schema: object) -> str | None:
    """Name the first thing that is wrong with the parameters of a tool; None if they can be read."""
    return next(_problems(schema, at="parameters", depth=0), None)


def properties_of(schema: Schema) -> dict[str, Schema]:
    """Return the parameters by name."""
    return dict(schema.get("properties", {}))


def required_of(schema: Schema) -> list[str]:
    """Name the parameters that must be given."""
    return list(schema.get("required", []))


def branches_of(schema: Schema, *, root: Schema, followed: frozenset[str] = frozenset()) -> Iterator[Schema]:
    """Yield the alternatives that one parameter may be.

    Args:
        schema: Of the parameter.
        root: Of all parameters; references lead into it.
        followed: References that led here. None is followed twice, so a schema may refer to itself.
    """
    if "$ref" in schema:
        reference = schema["$ref"]
        if reference not in followed:
            yield from branches_of(_target(reference, root), root=root, followed=followed | {reference})
    elif "anyOf" in schema or "oneOf" in schema:
        for branch in (*schema.get("anyOf", []), *schema.get("oneOf", [])):
            yield from branches_of(branch, root=root, followed=followed)
    elif isinstance(schema.get("type"), list):
        yield from ({**schema, "type": kind} for kind in schema["type"])
    else:
        yield schema


def _target(reference: str, root: Schema) -> Schema:
    """Find what a local reference names. What is not below `$defs` says nothing, as an empty schema does."""
    found: Schema = root.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {})
    return found


def _problems(schema: object, *, at: str, depth: int) -> Iterator[str]:
    if not isinstance(schema, dict):
        yield f"an object at `{at}`"
        return
    if depth > MAX_DEPTH:
        yield f"at most {MAX_DEPTH} levels at `{at}`"
        return
    wrong = [name for name, form in _FORMS.items() if name in schema and not isinstance(schema[name], form)]
    yield from (f"another form of `{name}` at `{at}`" for name in wrong)
    if wrong:
        return
    yield from _wrong_pattern(schema, at=at)
    if not all(isinstance(name, str) for name in schema.get("required", [])):
        yield f"names in `required` at `{at}`"
    for name in ("properties", "$defs"):
        for key, value in schema.get(name, {}).items():
            yield from _problems(value, at=f"{at}.{name}.{key}", depth=depth + 1)
    for name in ("anyOf", "oneOf"):
        for position, value in enumerate(schema.get(name, [])):
            yield from _problems(value, at=f"{at}.{name}[{position}]", depth=depth + 1)


def _wrong_pattern(schema: Schema, *, at: str) -> Iterator[str]:
    try:
        re.compile(schema.get("pattern", ""))
    except (re.error, OverflowError, RecursionError) as error:
        yield f"a `pattern` at `{at}` that Python's `re` can read ({error})"
