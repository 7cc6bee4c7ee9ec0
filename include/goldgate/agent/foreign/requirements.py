"""Hold a requirements file to its pins: an environment that is built again is the same one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_PINNED = re.compile(r"^[A-Za-z0-9][\w.-]*(\[[\w.,\s-]+\])?\s*==\s*[\w.!+-]+$")
_HASH = re.compile(r"--hash[= ]\S+")
_COMMENT = re.compile(r"(^|\s)#.*$")


@dataclass(frozen=True, kw_only=True)
class RequirementProblem:
    """A line that pins nothing."""

    line: int
    found: str
    expected: str


def requirement_problems(text: str) -> Iterator[RequirementProblem]:
    """Find every requirement without `==` and a hash, and every option, which another machine may not have."""
    for number, line in _logical_lines(text):
        bare = _HASH.sub("", line).strip()
        name, _, _ = bare.partition(";")
        if bare.startswith("-"):
            yield RequirementProblem(line=number, found=f"`{bare[:60]}`", expected="no options, only pinned packages")
        elif not _PINNED.fullmatch(name.strip()):
            yield RequirementProblem(line=number, found=f"`{bare[:60]}`", expected="`name==version`")
        elif not _HASH.search(line):
            expected = "a hash: `uv pip compile --generate-hashes` writes them"
            yield RequirementProblem(line=number, found=f"`{bare[:60]}` without a hash", expected=expected)


def pins(text: str) -> list[str]:
    """List the pinned packages without their hashes, as MLflow wants them."""
    return [" ".join(_HASH.sub("", line).split()) for _, line in _logical_lines(text)]


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Join lines that end with a backslash; each with the number of its first line."""
    started, held = 0, ""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = _COMMENT.sub("", raw).rstrip()
        started = started if held else number
        held += line.removesuffix("\\") + " "
        if line.endswith("\\"):
            continue
        if held.strip():
            yield started, held.strip()
        held = ""
    if held.strip():
        yield started, held.strip()
