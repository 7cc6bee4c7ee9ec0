"""Which variables the prompts of an agent may hold: a system prompt none, a user prompt two, each once. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

VARIABLE_PATTERN: Final = r"\{([A-Za-z_][A-Za-z0-9_]*)\}"
VARIABLE: Final = re.compile(VARIABLE_PATTERN)
USER_VARIABLES: Final = ("question", "context")

NONE_EXPECTED: Final = "no variable in a system prompt"
NO_OTHERS_EXPECTED: Final = "only `{question}` and `{context}`"


@dataclass(frozen=True, kw_only=True)
class VariableProblem:
    """A variable that a prompt holds and should not, or should and does not."""

    line: int
    found: str
    expected: str


def once_expected(name: str) -> str:
    """Say what is expected of a variable of a user prompt."""
    return f"`{{{name}}}` exactly once"


def system_problems(text: str) -> Iterator[VariableProblem]:
    """Find variables in a system prompt, which is sent as it is."""
    for match in VARIABLE.finditer(text):
        yield VariableProblem(line=_line(text, match.start()), found=f"`{match.group()}`", expected=NONE_EXPECTED)


def user_problems(text: str) -> Iterator[VariableProblem]:
    """Find unknown, missing and repeated variables in a user prompt."""
    places: dict[str, list[int]] = {}
    for match in VARIABLE.finditer(text):
        places.setdefault(match.group(1), []).append(_line(text, match.start()))
    for name in USER_VARIABLES:
        if name not in places:
            yield VariableProblem(line=1, found=f"no `{{{name}}}`", expected=once_expected(name))
    for name, lines in places.items():
        if name not in USER_VARIABLES:
            yield VariableProblem(line=lines[0], found=f"`{{{name}}}`", expected=NO_OTHERS_EXPECTED)
        elif len(lines) > 1:
            found = f"`{{{name}}}` {len(lines)} times"
            yield VariableProblem(line=lines[1], found=found, expected=once_expected(name))


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
