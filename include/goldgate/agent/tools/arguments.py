"""The arguments of a call, read strictly: what JSON leaves open is an error that the model can mend."""

import json
import math
from typing import Final

from pydantic import JsonValue

from goldgate.domain.json_schemas import depth_of

_MOST_CHARS: Final = 1_000_000
_MOST_DEPTH: Final = 64
_LONGEST_FOUND: Final = 80


def read_arguments(raw: str) -> tuple[dict[str, JsonValue], str | None]:
    """Read the JSON text that a model wrote; no text is no arguments.

    Numbers keep the form they were written in: `1.0` stays a float, and a long integer keeps all its digits.

    Returns:
        The arguments and no problem, or nothing and a sentence: no JSON, no object, a name twice in one object, NaN or
        an infinity, half a surrogate pair, too deep or too long.
    """
    try:
        value = _parsed(raw)
    except UnicodeEncodeError:
        return {}, "found half a surrogate pair (such as `\\ud83d`) in a text; expected whole characters."
    except RecursionError:
        return {}, f"found more than {_MOST_DEPTH} levels; expected a flatter value."
    except ValueError as error:
        return {}, f"found `{raw[:_LONGEST_FOUND]}`, which is not JSON ({str(error)[:200]}); expected one JSON object."
    if not isinstance(value, dict):
        return {}, f"found a JSON {_kind(value)}; expected one JSON object, such as `{{}}`."
    return value, None


def _parsed(raw: str) -> JsonValue:
    if len(raw) > _MOST_CHARS:
        msg = f"it has {len(raw)} characters, and at most {_MOST_CHARS} are read"
        raise ValueError(msg)
    value: JsonValue = json.loads(
        raw or "{}", object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite
    )
    if depth_of(value) > _MOST_DEPTH:
        raise RecursionError
    json.dumps(value, ensure_ascii=False).encode()
    return value


def _once(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    read = dict(pairs)
    if len(read) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"the field `{twice[:_LONGEST_FOUND]}` stands there twice"
        raise ValueError(msg)
    return read


def _no_constant(word: str) -> float:
    msg = f"{word} is no number of JSON"
    raise ValueError(msg)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        msg = f"{digits[:20]} is too large a number"
        raise ValueError(msg)
    return number


def _kind(value: object) -> str:
    names = {str: "text", int: "number", float: "number", bool: "boolean", list: "array"}
    return names.get(type(value), "null")
