"""A small value that fits a JSON Schema: what a model is shown when its own did not."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from goldgate.domain.pattern_examples import matching

_DEEPEST: Final = 8
_MOST_ITEMS: Final = 8

_FORMATS: Final[Mapping[str, str]] = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "name@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.org/",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
}


def example_of(schema: Mapping[str, Any], *, fits: Callable[[Any], bool]) -> Any | None:
    """Write an example: what the schema itself shows first, else the least that it asks for.

    Args:
        schema: A JSON Schema.
        fits: Whether a value keeps it. What does not is never shown.

    Returns:
        A value that fits, or None: then the schema asks for more than can be made up.
    """
    try:
        made = _Example(schema).of(schema, depth=0)
        return made if fits(made) else None
    except (_TooDeepError, RecursionError, ValueError, TypeError, ArithmeticError):
        # Whatever a schema holds in the place of a number or a list: an example is a courtesy.
        return None


class _TooDeepError(Exception):
    """It refers to itself without an end."""


class _Example:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def of(self, schema: Any, *, depth: int) -> Any:
        if depth > _DEEPEST:
            raise _TooDeepError
        if not isinstance(schema, dict):
            return "text"
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        for key in ("examples", "enum"):
            if isinstance(shown := schema.get(key), list) and shown:
                return shown[0]
        if (merged := self._merged(schema)) is not None:
            return self.of(merged, depth=depth + 1)
        return self._typed(schema, depth=depth)

    def _merged(self, schema: dict[str, Any]) -> dict[str, Any] | None:
        """Take in what stands beside: a reference, every `allOf`, the first of `anyOf` and `oneOf`."""
        rest = {key: value for key, value in schema.items() if key not in {"$ref", "allOf", "anyOf", "oneOf"}}
        parts = [self._target(schema["$ref"])] if isinstance(schema.get("$ref"), str) else []
        parts += schema.get("allOf", [])
        parts += [part for key in ("anyOf", "oneOf") for part in schema.get(key, [])[:1]]
        if not parts:
            return None
        for part in parts:
            if isinstance(part, dict):
                rest = _joined(rest, part)
        return rest

    def _target(self, reference: str) -> Any:
        found: Any = self._root if reference.startswith("#") else {}
        for part in reference.split("/")[1:]:
            found = found.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, dict) else {}
        return found

    def _typed(self, schema: dict[str, Any], *, depth: int) -> Any:
        kind = schema.get("type")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        match kind or _guessed(schema):
            case "object":
                return self._object(schema, depth=depth)
            case "array":
                return self._array(schema, depth=depth)
            case "integer" | "number":
                return _number(schema, is_integer=kind == "integer")
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return _text(schema)

    def _object(self, schema: dict[str, Any], *, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        names = list(schema.get("required", []))
        names += [name for name in properties if name not in names][
            : max(schema.get("minProperties", 0) - len(names), 0)
        ]
        return {name: self.of(properties.get(name, {}), depth=depth + 1) for name in names}

    def _array(self, schema: dict[str, Any], *, depth: int) -> list[Any]:
        first = schema.get("prefixItems", [])
        count = max(schema.get("minItems", 0), len(first), 1 if "contains" in schema else 0)
        if count > _MOST_ITEMS:
            raise _TooDeepError
        rest = schema.get("items", schema.get("contains", {}))
        return [self.of(first[i] if i < len(first) else rest, depth=depth + 1) for i in range(count)]


def _joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    joined = {**other, **one}
    if isinstance(one.get("properties"), dict) and isinstance(other.get("properties"), dict):
        joined["properties"] = {**other["properties"], **one["properties"]}
    if isinstance(one.get("required"), list) and isinstance(other.get("required"), list):
        joined["required"] = [*one["required"], *(name for name in other["required"] if name not in one["required"])]
    return joined


def _guessed(schema: dict[str, Any]) -> str:
    if {"properties", "required", "minProperties"} & schema.keys():
        return "object"
    if {"items", "prefixItems", "minItems", "contains"} & schema.keys():
        return "array"
    return "number" if {"minimum", "maximum", "multipleOf"} & schema.keys() else "string"


def _number(schema: dict[str, Any], *, is_integer: bool) -> int | float:
    step = schema.get("multipleOf", 1)
    lows = [-(-schema["minimum"] // step) * step] if "minimum" in schema else []
    # In draft 4 it is a boolean.
    if isinstance(above := schema.get("exclusiveMinimum"), int | float) and not isinstance(above, bool):
        lows.append((above // step + 1) * step)
    highs = [schema["maximum"] // step * step] if "maximum" in schema else []
    if isinstance(below := schema.get("exclusiveMaximum"), int | float) and not isinstance(below, bool):
        highs.append((-(-below // step) - 1) * step)
    number = max(lows) if lows else min([step, *highs])
    return int(number) if is_integer else number


def _text(schema: dict[str, Any]) -> str:
    if isinstance(pattern := schema.get("pattern"), str):
        return matching(pattern) or ""
    text = _FORMATS.get(str(schema.get("format")), "text")
    least, most = schema.get("minLength", 0), schema.get("maxLength", len(text))
    return str((text + "x" * max(least - len(text), 0))[: max(most, least)])
