"""JSON Schemas that others wrote: whether they are in the dialect of JSON Schema, and small enough to be checked by.

Schemas of tools come from servers, from data sets, and from models' guides that have words of their own for types. Such
a word is refused with the right one: a checker that does not know it would let everything pass.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")

_RIGHT_WORD: Final[Mapping[str, str]] = {
    **dict.fromkeys(("dict", "dictionary", "map", "hashmap", "hashtable", "struct", "record", "json"), "`object`"),
    **dict.fromkeys(("float", "double", "decimal", "real", "num"), "`number`"),
    **dict.fromkeys(("int", "long", "short", "byte", "int32", "int64", "uint", "bigint"), "`integer`"),
    **dict.fromkeys(("str", "text", "char", "varchar", "date", "datetime", "time", "uuid", "url"), "`string`"),
    **dict.fromkeys(("bool",), "`boolean`"),
    **dict.fromkeys(("list", "arraylist", "vector"), "`array`"),
    **dict.fromkeys(("tuple", "set"), "`array`, with `prefixItems` or `uniqueItems`"),
    **dict.fromkeys(("none", "nil", "nonetype", "void", "undefined"), "`null`"),
    **dict.fromkeys(("any", "mixed", "unknown"), "no `type`, which lets any value pass"),
}
"""What data sets of function calls and their like write. Source: the words in BFCL, Glaive and xLAM."""

_MANY: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_ONE: Final = (
    "items",
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_IN_PLACE_LISTS: Final = ("allOf", "anyOf", "oneOf")
_IN_PLACE: Final = ("if", "then", "else", "not")

_CHECKED: Final = {
    "type", "enum", "const", "required", "dependentRequired", "format", "pattern", "id", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems",
    "uniqueItems", "minContains", "maxContains", "minProperties", "maxProperties", "contentEncoding",
    "contentMediaType",
}  # fmt: skip
_KEYWORDS: Final = frozenset({*_MANY, *_LISTS, *_ONE, *_CHECKED})
_NOTES: Final = frozenset({"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"})

MOST_BYTES: Final = 512_000
"""A larger schema would fill the window of the model that reads it several times over."""
MOST_DEPTH: Final = 100
_MOST_WORK: Final = 10_000
"""Schemas that one value may be held to: more double themselves by references until nothing ends."""
_MOST_NAMED: Final = 24
"""References by name rather than by place, which are not followed here. So many can ask for at most e^(24/e), about
7,000, schemas for one value: the largest product of numbers whose sum is 24."""
_MOST_PROBLEMS: Final = 10

Path = tuple[str | int, ...]


def schema_problems(schema: Mapping[str, Any]) -> list[str]:
    """Say what a checker of JSON Schema would not see, or could not bear: a sentence for each, none if it is sound.

    What a checker itself refuses is left to it.
    """
    if (size := _size(schema)) is None or size > MOST_BYTES:
        found = "one that is no JSON" if size is None else f"{size} bytes"
        return [f"- the schema: found {found}, expected at most {MOST_BYTES} bytes of JSON."]
    if _depth(schema) > MOST_DEPTH:
        return [f"- the schema: found more than {MOST_DEPTH} levels, expected at most so many."]
    problems = [*_unknown_words(schema), *_wrong_types(schema)]
    if not problems and (endless := _Work(schema).problem()):
        problems.append(endless)
    return problems[:_MOST_PROBLEMS]


def work_of(schema: Mapping[str, Any] | bool) -> int:
    """Tell how many schemas one value is held to at most, of a schema without problems."""
    return _Work(schema).most() if isinstance(schema, Mapping) else 1


def path_text(path: Path) -> str:
    """Write a path as people do: `a.b[0]`; empty for the value itself."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def depth_of(value: object) -> int:
    """Count the levels of a JSON value: 0 for one that holds no others."""
    return _depth(value)


def count_nodes(value: object) -> int:
    """Count the values within a JSON value, itself included."""
    count, waiting = 0, [value]
    while waiting:
        each = waiting.pop()
        count += 1
        if isinstance(each, dict | list):
            waiting.extend(each.values() if isinstance(each, dict) else each)
    return count


def _size(schema: Mapping[str, Any]) -> int | None:
    try:
        return len(json.dumps(schema, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError):
        return None


def _depth(value: object) -> int:
    deepest, level = -1, [value]
    while level and deepest <= MOST_DEPTH:
        deepest += 1
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
    return deepest


def _unknown_words(schema: Mapping[str, Any]) -> Iterator[str]:
    unknown = [key for key in schema if key not in _NOTES]
    if unknown and not any(key in _KEYWORDS or key.startswith("$") for key in unknown):
        names = ", ".join(f"`{key[:40]}`" for key in unknown[:5])
        yield (
            f"- the schema: found only {names}, which say nothing to a checker; expected keywords of JSON Schema, such "
            "as `type: object` with `properties`."
        )


def _wrong_types(schema: Mapping[str, Any]) -> Iterator[str]:
    for path, each in _subschemas(schema):
        written = each.get("type")
        for word in written if isinstance(written, list) else [written]:
            if isinstance(word, str) and word not in _TYPES:
                right = _RIGHT_WORD.get(word.lower()) or (f"`{word.lower()}`" if word.lower() in _TYPES else None)
                expected = right or "one of " + ", ".join(_TYPES)
                yield f"- `{path_text((*path, 'type'))}`: found `{word[:40]}`, expected {expected}."
        if isinstance(required := each.get("required"), bool) and path:
            rest = "the object above to name it in its list `required`" if required else "nothing there"
            yield f"- `{path_text((*path, 'required'))}`: found `{str(required).lower()}`, expected {rest}."


def _subschemas(schema: object) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield every schema within a schema, itself first; never what a keyword like `default` or `enum` holds."""
    waiting: list[tuple[Path, object]] = [((), schema)]
    while waiting:
        path, each = waiting.pop()
        if not isinstance(each, dict):
            continue
        yield path, each
        inner: list[tuple[Path, object]] = [((key,), each[key]) for key in _ONE if key in each]
        inner += [((key, i), one) for key in _LISTS for i, one in enumerate(_list(each.get(key)))]
        inner += [((key, name), one) for key in _MANY for name, one in _dict(each.get(key)).items()]
        waiting.extend(((*path, *below), one) for below, one in reversed(inner))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


class _Work:
    """How many schemas a checker holds one value to, following references within the schema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._known: dict[int, int] = {}
        self._above: set[int] = set()
        # Within a schema of its own name, `#/...` means another document: such references are left to the checker.
        self._has_names = any(path and {"$id", "id"} & each.keys() for path, each in _subschemas(schema))

    def problem(self) -> str | None:
        if (named := sum(map(self._named, (each for _, each in _subschemas(self._schema))))) > _MOST_NAMED:
            return f"- the schema: found {named} references by name, expected at most {_MOST_NAMED}; write `#/...`."
        try:
            most = self.most()
        except (_EndlessError, RecursionError):
            return "- the schema: found a `$ref` that comes back to itself at the same value, expected it to end."
        if most > _MOST_WORK:
            return f"- the schema: found {most} schemas for one value, expected at most {_MOST_WORK}."
        return None

    def most(self) -> int:
        return max((self._of(each) for _, each in _subschemas(self._schema)), default=0)

    def _named(self, schema: Mapping[str, Any]) -> int:
        """Count the references of a schema that lead where this does not look."""
        reference = schema.get("$ref")
        is_place = isinstance(reference, str) and (reference == "#" or reference.startswith("#/"))
        is_named = isinstance(reference, str) and (self._has_names or not is_place)
        return is_named + sum(key in schema for key in ("$dynamicRef", "$recursiveRef"))

    def _of(self, schema: object) -> int:
        if not isinstance(schema, dict):
            return 1
        key = id(schema)
        if key in self._above:
            raise _EndlessError
        if key not in self._known:
            self._above.add(key)
            self._known[key] = 1 + sum(map(self._of, self._in_place(schema)))
            self._above.remove(key)
        return self._known[key]

    def _in_place(self, schema: Mapping[str, Any]) -> Iterator[object]:
        for key in _IN_PLACE_LISTS:
            yield from _list(schema.get(key))
        yield from (schema[key] for key in _IN_PLACE if key in schema)
        yield from _dict(schema.get("dependentSchemas")).values()
        if isinstance(reference := schema.get("$ref"), str) and not self._has_names:
            yield self._target(reference)

    def _target(self, reference: str) -> object:
        if reference != "#" and not reference.startswith("#/"):
            return None
        found: object = self._schema
        for part in reference.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict):
                found = found.get(name)
            elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            else:
                return None
        return found


class _EndlessError(Exception):
    """A reference came back to where it began."""
