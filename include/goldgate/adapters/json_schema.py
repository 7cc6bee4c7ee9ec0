"""Hold arguments to a JSON Schema, by jsonschema-rs."""

import json
from collections.abc import Mapping

import jsonschema_rs
from pydantic import JsonValue

from goldgate.domain.errors import PermanentError
from goldgate.ports.tools import ArgumentCheck

_MOST_PROBLEMS = 5
_LONGEST_VALUE = 80


def compile_schema(schema: Mapping[str, JsonValue]) -> ArgumentCheck:
    """Prepare a schema once, for many checks. References out of the schema are refused, never fetched.

    Raises:
        PermanentError: It is no valid JSON Schema.
    """
    try:
        validator = jsonschema_rs.validator_for(dict(schema), validate_formats=True, offline=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise PermanentError(f"Found an input schema that is no JSON Schema: {error}. Correct the tool.") from error

    def problems(arguments: Mapping[str, JsonValue]) -> list[str]:
        found = list(validator.iter_errors(dict(arguments)))
        told = [_sentence(error) for error in found[:_MOST_PROBLEMS]]
        return [*told, f"and {len(found) - _MOST_PROBLEMS} more"] if len(found) > _MOST_PROBLEMS else told

    return problems


def _sentence(error: jsonschema_rs.ValidationError) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path).lstrip(".")
    where = f"`{path}`" if path else "the arguments"
    return f"- {where}: found {_value(error.instance)}, expected {_expected(error)}."


def _value(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return f"`{text[:_LONGEST_VALUE]}…`" if len(text) > _LONGEST_VALUE else f"`{text}`"


def _expected(error: jsonschema_rs.ValidationError) -> str:
    match error.kind.name:
        case "required":
            return f"the field `{error.kind.value}`"
        case "additionalProperties" | "unevaluatedProperties":
            return f"no field {', '.join(f'`{name}`' for name in error.kind.value)}"
        case "type":
            return f"type {' or '.join(error.kind.as_dict()['types'])}"
        case "enum":
            return f"one of {json.dumps(error.kind.value, ensure_ascii=False)}"
        case "anyOf" | "oneOf":
            branches: list[list[jsonschema_rs.ValidationError]] = error.kind.as_dict()["context"]
            reasons = {each.message for branch in branches for each in branch}
            return f"one of its schemas ({'; '.join(sorted(reasons))})"
        case name:
            return f"{name} {json.dumps(error.kind.value, ensure_ascii=False, default=str)}"
