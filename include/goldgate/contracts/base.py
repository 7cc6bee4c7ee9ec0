"""The base of everything that people write and processes exchange.

Unknown fields are errors, values are frozen, and a problem is told with its file, line and field.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from goldgate.domain.errors import PermanentError

API_VERSION: Final = "goldgate.dev/v1alpha1"

Path = tuple[str | int, ...]
"""Where a value lies inside a document: keys and list positions, outermost first."""


class Contract(BaseModel):
    """A value exchanged between people or processes. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class ResourceContract(Contract):
    """A part of a resource: camelCase on the wire, as every Kubernetes resource is."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong with a document."""

    where: str
    """File and, if known, line: `agents/a/release.yaml:12`."""
    field: str
    """Dotted path inside the document; empty for the document itself."""
    found: str
    expected: str

    def __str__(self) -> str:
        """Read as one line: where, field, found, expected."""
        field = f" `{self.field}`:" if self.field else ""
        return f"{self.where}:{field} found {self.found}, expected {self.expected}"


class ContractError(PermanentError):
    """A document breaks its contract. Nothing of it was used."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Tell every problem at once, one a line."""
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{head} in what was written; correct and try again:\n{lines}")


def problems_of(error: ValidationError, *, where: str, lines: Mapping[Path, int] | None = None) -> list[Problem]:
    """Translate pydantic's report into ours.

    Args:
        error: What pydantic found.
        where: The file, without a line.
        lines: Line (1-based) of each path in the document, if it was read from a file. A path that
            is missing takes the line of its nearest parent.
    """
    return [
        Problem(
            where=_with_line(where, tuple(detail["loc"]), lines or {}),
            field=".".join(str(part) for part in detail["loc"]),
            found=_found(detail["type"], detail.get("input")),
            expected=_expected(detail["type"], detail["msg"]),
        )
        for detail in error.errors()
    ]


def _with_line(where: str, path: Path, lines: Mapping[Path, int]) -> str:
    for length in range(len(path), -1, -1):
        if (line := lines.get(path[:length])) is not None:
            return f"{where}:{line}"
    return where


def _found(kind: str, value: object) -> str:
    if kind == "missing":
        return "nothing"
    if kind == "extra_forbidden":
        return "an unknown field"
    text = repr(value)
    return f"`{text[:80]}…`" if len(text) > 80 else f"`{text}`"  # noqa: PLR2004 - one line of a message


def _expected(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "no such field (see include/docs/schemas)"
    if kind == "missing":
        return "a value"
    return message.removeprefix("Input should be ").removeprefix("Value error, ")
