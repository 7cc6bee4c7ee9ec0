"""JSON Schemas of contracts, written as a Kubernetes API server wants the schema of a custom resource.

Its schemas are *structural*: no references, one type for each value, every field named once; what holds between fields
is said by rules in CEL. Nothing here gives a field a default: what somebody applied stays as it was written.

Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Schema = dict[str, Any]

_KEPT: Final = ("enum", "minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems")
_KEPT_OF_MAPS: Final = ("minProperties", "maxProperties")
_READ: Final = frozenset(
    {
        *("type", "$ref", "$defs", "anyOf", "const", "properties", "required", "items", "format", "not"),
        *("additionalProperties", "patternProperties", "propertyNames", "exclusiveMinimum", "exclusiveMaximum"),
        *("title", "description", "default", *_KEPT, *_KEPT_OF_MAPS),
    }
)
_FORMATS: Final = frozenset({"date-time"})
_NOT_RE2: Final = re.compile(r"\(\?[=!<]|\\[1-9]|\\Z")
_MOST_DESCRIPTION_CHARS: Final = 400
"""What `kubectl explain` shows on one screen."""

RULES: Final = "x-kubernetes-validations"
EXPECTED: Final = "expected "
"""Before each message of a rule: the server puts `Invalid value:` or the like before what it shows."""

ANYTHING: Final[Mapping[str, Any]] = {"x-kubernetes-preserve-unknown-fields": True, "nullable": True}
"""Where a contract takes any JSON value."""


class NotStructuralError(Exception):
    """A schema says what no structural schema can say: the generator has to learn it, or the contract to go without."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What holds between the fields of a value, as the API server checks it."""

    cel: str
    """An expression of `self` that is true for what is accepted."""
    message: str
    """What was expected, as the contract says it."""
    at: str = ""
    """The field that is told, such as `.taskRef`. Empty: the value itself."""
    reason: Literal["", "FieldValueRequired", "FieldValueForbidden"] = ""

    def written(self) -> Schema:
        """Write it as it stands in a schema."""
        message = f"{EXPECTED}{self.message}"
        said = {"rule": self.cel, "message": message, "fieldPath": self.at, "reason": self.reason}
        return {key: value for key, value in said.items() if value}


@dataclass(frozen=True, kw_only=True)
class Demands:
    """What a schema demands beside what its JSON Schema says."""

    rules: Sequence[Rule] = ()
    schema: Mapping[str, Any] = field(default_factory=dict)
    """What is added as it is, where no rule can look: into fields that hold any value."""


def structural(schema: Mapping[str, Any], *, name: str, demands: Mapping[str, Demands]) -> Schema:
    """Write a JSON Schema as a structural one.

    Args:
        schema: What pydantic makes of a contract: references into `$defs` only, none that comes back to itself.
        name: What the schema itself is called in `demands`; those in `$defs` are called by their key there.
        demands: What is added, by that name.

    Raises:
        NotStructuralError: It says something that cannot be said so, which is named.
    """
    return _Writer(schema.get("$defs", {}), demands).named(name, schema)


class _Writer:
    def __init__(self, definitions: Mapping[str, Any], demands: Mapping[str, Demands]) -> None:
        self._definitions = definitions
        self._demands = demands
        self._above: list[str] = []

    def named(self, name: str, schema: Mapping[str, Any]) -> Schema:
        if name in self._above:
            raise NotStructuralError(f"`{name}` holds itself, expected schemas that end: {' > '.join(self._above)}")
        self._above.append(name)
        written = self.written(schema)
        self._above.pop()
        if (demands := self._demands.get(name)) is not None:
            _add(written, demands.schema)
            _add_rules(written, [rule.written() for rule in demands.rules])
        return written

    def written(self, schema: Mapping[str, Any]) -> Schema:
        if unknown := sorted(set(schema) - _READ):
            raise NotStructuralError(f"`{'`, `'.join(unknown)}` in {dict(schema)}, which is not known here")
        written = self._content(schema)
        if text := _description(schema, below=written.get("description", "")):
            written = {"description": text} | {key: value for key, value in written.items() if key != "description"}
        return written

    def _content(self, schema: Mapping[str, Any]) -> Schema:
        if (reference := schema.get("$ref")) is not None:
            name = str(reference).removeprefix("#/$defs/")
            return self.named(name, self._definitions[name])
        if (choices := schema.get("anyOf")) is not None:
            return self._nullable(choices)
        match schema.get("type"):
            case "object":
                return self._object(schema)
            case "array":
                return {"type": "array", **_limits(schema), "items": self.written(schema.get("items", {}))}
            case "string" | "integer" | "number" | "boolean" as kind:
                return {"type": kind, **_limits(schema)}
            case None if not set(schema) - {"title", "description", "default"}:
                return dict(ANYTHING)
        raise NotStructuralError(f"no single type in {dict(schema)}, expected one")

    def _nullable(self, choices: Sequence[Mapping[str, Any]]) -> Schema:
        others = [choice for choice in choices if choice.get("type") != "null"]
        if len(others) != 1 or len(others) == len(choices):
            raise NotStructuralError(f"`anyOf` of {choices}, expected one type and null")
        written = self.written(others[0])
        # A null is held to `enum` where it may stand, and no `enum` can name it. Where it may not, the server drops it.
        return written if "enum" in written else written | {"nullable": True}

    def _object(self, schema: Mapping[str, Any]) -> Schema:
        written: Schema = {"type": "object"}
        if "properties" in schema:
            if required := schema.get("required"):
                written["required"] = list(required)
            written["properties"] = {key: self.written(value) for key, value in schema["properties"].items()}
            return written
        written |= {key: schema[key] for key in _KEPT_OF_MAPS if key in schema}
        values, keys = _values_and_keys(schema)
        written["additionalProperties"] = self.written({} if values is True else values)
        if keys is not None:
            _add_rules(written, [keys.written()])
        return written


def _values_and_keys(schema: Mapping[str, Any]) -> tuple[Any, Rule | None]:
    """Give the schema of a map's values, and what its keys must be: there is no keyword for that."""
    names = schema.get("propertyNames", {})
    if patterns := schema.get("patternProperties"):
        ((pattern, values),) = patterns.items()
        names = {"pattern": pattern, **names}
    else:
        values = schema.get("additionalProperties", True)
    if "pattern" not in names:
        return values, None
    pattern = _re2(names["pattern"])
    return values, Rule(cel=f"self.all(key, key.matches({cel_text(pattern)}))", message=f"keys that match `{pattern}`")


def cel_text(text: str) -> str:
    """Write a text as a literal of CEL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def _limits(schema: Mapping[str, Any]) -> Schema:
    limits = {key: schema[key] for key in _KEPT if key in schema}
    if "const" in schema:
        limits["enum"] = [schema["const"]]
    if "pattern" in limits:
        limits["pattern"] = _re2(limits["pattern"])
    for key, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if key in schema:  # a number in JSON Schema, a flag beside the bound here
            limits |= {bound: schema[key], key: True}
    if schema.get("format") in _FORMATS:
        limits["format"] = schema["format"]
    return limits


def _re2(pattern: str) -> str:
    """Refuse what Go's regular expressions do not know."""
    if _NOT_RE2.search(pattern):
        raise NotStructuralError(f"the pattern `{pattern}`, expected one without look-around and references")
    return pattern


def _description(schema: Mapping[str, Any], *, below: str) -> str:
    """Say what a field is and what stands for it if it is left out; what stands below is said if it says nothing."""
    text = " ".join(str(schema.get("description") or below).split())
    if len(text) > _MOST_DESCRIPTION_CHARS:
        text = text[: _MOST_DESCRIPTION_CHARS - 1] + "…"
    default = schema.get("default")
    if isinstance(default, bool | int | float) or (isinstance(default, str) and default):
        word = str(default).lower() if isinstance(default, bool) else str(default)
        text = f"{text} Default: {word}".strip()
    return text


def _add(schema: Schema, more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(schema.get(key), dict):
            _add(schema[key], value)
        else:
            schema[key] = value


def _add_rules(schema: Schema, rules: Sequence[Schema]) -> None:
    if rules:
        schema[RULES] = [*schema.get(RULES, []), *rules]
