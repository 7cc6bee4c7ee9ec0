"""Documents made up by hypothesis from the schema of a resource: sound in most fields, at odds as a whole."""

import re
from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st

WORDS: Final = (
    *("look", "act", "a", "KEY", "HOME", "agent:predict", "prompts/system.md", "../x", "https://h/v1", "h", "3.11"),
    *("openai", "(a)|b", "{question}", "0" * 64, "", " ", "A b"),
)
"""Some fit most patterns of the contracts; some fit none."""
ANYTHING: Final = st.sampled_from([None, 1, "x", [1, None], {"a": {"b": None}}])
KEYS: Final = ("KEY", "HOME", "other", "model", "logit_bias")


def values_of(schema: Mapping[str, Any], *, near: Any = None) -> st.SearchStrategy[Any]:
    """Make values that fit a structural schema, but for what its rules and patterns say.

    Args:
        schema: As an API server has it.
        near: A sound value, of which parts are taken.
    """
    if "properties" in schema:
        return _objects(schema, near=near if isinstance(near, dict) else {})
    made = _made(schema)
    return made if near is None else st.one_of(st.just(near), made)


def _made(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object":
            return st.dictionaries(st.sampled_from(KEYS), values_of(schema["additionalProperties"]), max_size=2)
        case "array":
            return st.lists(values_of(schema["items"]), min_size=schema.get("minItems", 0), max_size=3)
        case "string":
            return _texts(schema)
        case "integer" | "number" as kind:
            return _numbers(schema, whole=kind == "integer")
    return st.booleans() if schema.get("type") == "boolean" else ANYTHING


def _objects(schema: Mapping[str, Any], *, near: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    made = {name: values_of(inner, near=near.get(name)) for name, inner in schema["properties"].items()}
    there = {name: made.pop(name) for name in schema.get("required", ())}
    anything = st.fixed_dictionaries(there, optional=made)
    return st.one_of(st.just(dict(near)), anything) if near else anything


def _texts(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    if schema.get("format") == "date-time":
        return st.just("2026-01-02T03:04:05Z")
    pattern = schema.get("pattern", "")
    fitting = [word for word in WORDS if r"\p" in pattern or re.search(pattern, word)]
    return st.sampled_from([word for word in fitting if len(word) >= schema.get("minLength", 0)])


def _numbers(schema: Mapping[str, Any], *, whole: bool) -> st.SearchStrategy[float]:
    low, high = schema.get("minimum", -5), schema.get("maximum", 5_000)
    inside = [number for number in (low, low + 1, high - 1, high, (low + high) / 2) if low <= number <= high]
    if schema.get("exclusiveMinimum"):
        inside.remove(low)
    return st.sampled_from([int(number) for number in inside] if whole else inside)
