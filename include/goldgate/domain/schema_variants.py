"""Several structural schemas of one kind of resource, merged into one.

A structural schema cannot choose between two: it names every field of all of them, and rules say which belong together.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from goldgate.domain.structural_schemas import EXPECTED, RULES, NotStructuralError, Rule, Schema

_LIMITS: Final = {"minimum": ">=", "maximum": "<=", "minLength": ">=", "maxLength": "<="}
_STRICT: Final = {"minimum": ("exclusiveMinimum", ">"), "maximum": ("exclusiveMaximum", "<")}
_MAY_DIFFER: Final = frozenset({*_LIMITS, "exclusiveMinimum", "exclusiveMaximum", "nullable", "description", RULES})


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One of several schemas of an object."""

    name: str
    """How people call what it describes, such as `an agent that is a Python callable`."""
    key: str | None
    """The field whose presence chooses it, unless an earlier variant is chosen. None: it is what is left."""
    schema: Schema


def merged(variants: Sequence[Variant]) -> Schema:
    """Merge schemas of objects into one that accepts what the chosen one accepts.

    Raises:
        NotStructuralError: Two name a field alike and mean what cannot be told apart by rules.
    """
    return _Merge(variants).whole()


class _Merge:
    def __init__(self, variants: Sequence[Variant]) -> None:
        self._variants = variants
        self._rules: list[Rule] = []

    def whole(self) -> Schema:
        schema = self._object("", dict(enumerate(variant.schema for variant in self._variants)))
        shared = schema.pop(RULES, [])
        return schema | {RULES: [*shared, *(rule.written() for rule in self._rules)]}

    def _when(self, numbers: Sequence[int]) -> str:
        return " || ".join(f"({self._chosen(number)})" for number in numbers)

    def _chosen(self, number: int) -> str:
        earlier = [f"!has(self.{variant.key})" for variant in self._variants[:number]]
        key = self._variants[number].key
        return " && ".join([f"has(self.{key})", *earlier] if key else earlier)

    def _say(self, path: str, cel: str, *, only: Sequence[int], message: str, **told: Any) -> None:
        """Add a rule on the value at a path, that holds for some variants if the value is there; no CEL: it may not."""
        parents = path.split(".")[1:]
        absent = [f"!has(self.{'.'.join(parents[: end + 1])})" for end in range(len(parents))]
        others = [number for number in range(len(self._variants)) if number not in only]
        unless = [*absent, *([self._when(others)] if others else [])]
        self._rules.append(
            Rule(
                **{
                    "cel": " || ".join([*unless, *([f"({cel})"] if cel else [])]),
                    "message": message,
                    "at": path,
                    **told,
                }
            )
        )

    def _object(self, path: str, schemas: Mapping[int, Schema]) -> Schema:
        whole: Schema = {"type": "object"}
        if description := self._description(schemas):
            whole = {"description": description, **whole}
        names = list(dict.fromkeys(name for schema in schemas.values() for name in schema["properties"]))
        if required := self._required(path, schemas, names):
            whole["required"] = required
        whole["properties"] = {name: self._field(f"{path}.{name}", name, schemas) for name in names}
        return whole | self._shared_rules(path, schemas)

    def _required(self, path: str, schemas: Mapping[int, Schema], names: Sequence[str]) -> list[str]:
        everywhere = []
        for name in names:
            by = [number for number, schema in schemas.items() if name in schema.get("required", ())]
            if len(by) == len(self._variants):
                everywhere.append(name)
                continue
            for number in by:
                if path or self._variants[number].key != name:
                    message = f"`{name}`, required in {self._variants[number].name}"
                    cel = f"has(self{path}.{name})"
                    at = f"{path}.{name}"
                    self._say(path, cel, only=[number], message=message, at=at, reason="FieldValueRequired")
        return everywhere

    def _field(self, path: str, name: str, schemas: Mapping[int, Schema]) -> Schema:
        having = {
            number: schema["properties"][name] for number, schema in schemas.items() if name in schema["properties"]
        }
        lacking = [number for number in range(len(self._variants)) if number not in having]
        if lacking:
            of = " or ".join(self._variants[number].name for number in having)
            message = f"`{path.removeprefix('.')}` only in {of}"
            self._say(path, "", only=lacking, message=message, reason="FieldValueForbidden")
        first, *others = having.values()
        if all(other == first for other in others):
            return dict(first)
        if all("properties" in schema for schema in having.values()):
            return self._object(path, having)
        return self._value(path, having)

    def _value(self, path: str, having: Mapping[int, Schema]) -> Schema:
        first, *others = having.values()
        for other in others:
            if {key: other[key] for key in other.keys() - _MAY_DIFFER} != {
                key: first[key] for key in first.keys() - _MAY_DIFFER
            }:
                raise NotStructuralError(f"`{path}` is {first} and {other}, expected two that differ in their limits")
        whole = {key: first[key] for key in first if all(other.get(key) == first[key] for other in others)}
        if any(schema.get("nullable") for schema in having.values()):
            whole["nullable"] = True
        if "description" not in whole and (text := self._description(having)):
            whole = {"description": text, **whole}
        for number, schema in having.items():
            self._limit(path, number, {key: schema[key] for key in schema if key not in whole}, schema)
        return whole | self._shared_rules(path, having)

    def _description(self, having: Mapping[int, Schema]) -> str:
        """Tell what each variant says of a value, which often differs in what stands for it if it is left out."""
        texts: dict[str, list[str]] = {}
        for number, schema in having.items():
            texts.setdefault(schema.get("description", ""), []).append(self._variants[number].name)
        if len(texts) == 1:
            return next(iter(texts))
        return " ".join(f"In {' or '.join(names)}: {text}" for text, names in texts.items() if text)

    def _limit(self, path: str, number: int, limits: Mapping[str, Any], schema: Schema) -> None:
        for key in _LIMITS.keys() & limits.keys():
            flag, strict = _STRICT.get(key, ("", ""))
            word = strict if schema.get(flag) else _LIMITS[key]
            bound = float(limits[key]) if schema["type"] == "number" else limits[key]
            value = f"size(self{path})" if key.endswith("Length") else f"self{path}"
            name = self._variants[number].name
            told = "a length" if key.endswith("Length") else "a value"
            message = f"{told} {word} {limits[key]} in {name}"
            self._say(path, f"{value} {word} {bound}", only=[number], message=message)

    def _shared_rules(self, path: str, schemas: Mapping[int, Schema]) -> Schema:
        """Keep the rules that all have; say the others where the variant is known."""
        lists = [schema.get(RULES, []) for schema in schemas.values()]
        shared = [rule for rule in lists[0] if all(rule in others for others in lists)]
        for number, schema in schemas.items():
            for rule in schema.get(RULES, []):
                if rule not in shared:
                    cel = re.sub(r"\bself\b", f"self{path}", rule["rule"])
                    at = f"{path}{rule.get('fieldPath', '')}"
                    reason = rule.get("reason", "")
                    message = rule["message"].removeprefix(EXPECTED)
                    self._say(path, cel, only=[number], message=message, at=at, reason=reason)
        return {RULES: shared} if shared else {}
