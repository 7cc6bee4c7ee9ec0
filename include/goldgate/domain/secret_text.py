"""Secrets in what others wrote: cut out whole, line by line, in pieces, and as code prints them.

A secret that was encoded, or taken apart by whoever printed it, is not found.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

CUT: Final = "[secret]"

_SHORTEST: Final = 4
"""Shorter ones stand in any text by chance."""
_LONG: Final = 128
"""A longer one may be printed on a line that is cut, so that its whole is never seen: keys and service accounts."""
_PIECE: Final = 32

_DEEPEST: Final = 100
"""No answer of an agent is; well below what Python can follow."""


class SecretText:
    """Takes secrets out of text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Prepare every form of the secrets that is looked for, longest first."""
        forms = {form for secret in secrets for form in _forms(secret)}
        self._forms = sorted((form for form in forms if len(form) >= _SHORTEST), key=len, reverse=True)

    def cut_from(self, text: str) -> str:
        """Replace every secret, and every line or piece of a long one."""
        for form in self._forms:
            text = text.replace(form, CUT)
        while CUT + CUT in text:
            text = text.replace(CUT + CUT, CUT)
        return text

    def cut_from_value(self, value: Any, *, depth: int = 0) -> Any:
        """Replace them in every text of a JSON value, names of fields included.

        Raises:
            ValueError: It is nested too deeply to be looked through.
        """
        if depth > _DEEPEST:
            msg = f"found a value nested more than {_DEEPEST} deep"
            raise ValueError(msg)
        match value:
            case str():
                return self.cut_from(value)
            case list():
                return [self.cut_from_value(each, depth=depth + 1) for each in value]
            case dict():
                return {self.cut_from(str(k)): self.cut_from_value(v, depth=depth + 1) for k, v in value.items()}
            case _:
                return value


def _forms(secret: str) -> Iterator[str]:
    yield secret
    lines = [line.strip() for line in secret.splitlines()]
    for whole in (*lines, repr(secret)[1:-1], json.dumps(secret)[1:-1]):
        yield whole
        if len(whole) > _LONG:
            yield from (whole[at : at + _PIECE] for at in range(0, len(whole) - _PIECE + 1, _PIECE))
