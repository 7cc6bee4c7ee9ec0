"""Look for secrets in a candidate's folder. They come from the environment, never from files.

Patterns of well-known keys, and assignments of values that look random to names that sound secret. It cannot find
what looks like nothing: a short password, a word. A finding names the file, the line and the kind, never the value.
"""

import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from goldgate.contracts.bundle import ENVIRONMENT_MARK

KINDS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("private key", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    ("AWS access key id", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("Google API key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])")),
    ("Azure storage key", re.compile(r"\bAccountKey=[0-9A-Za-z+/]{86}==")),
    ("GitHub token", re.compile(r"\b(?:gh[pousr]_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{22,})")),
    ("GitLab token", re.compile(r"\bglpat-[0-9A-Za-z_-]{20,}")),
    ("Slack token", re.compile(r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}")),
    ("API key (`sk-...`)", re.compile(r"\bsk-(?=[0-9A-Za-z_-]*[0-9])[0-9A-Za-z_-]{20,}")),
    ("JSON web token", re.compile(r"\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}")),
    ("password in an address", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@{}<>$]+:[^\s/:@{}<>$]{3,}@[\w.-]+")),
)
"""Kind and pattern. Source: the published formats of the issuers; the same keys as the rules of gitleaks 8."""

_ASSIGNMENT: Final = re.compile(
    r"(?i)(?:api[_-]?key|access[_-]?key|secret|token|passwd|password|credential)[\w-]*[\"']?\s*[:=]\s*[\"']?"
    r"([0-9A-Za-z+/=_.~!@#%^&*-]{16,})"
)

# Random base64 of 20 characters has 4.0 bits a character on average, hex 3.3; English words and names stay below 3.2
# or hold no digits. Measured as Shannon entropy of the value's own characters.
_RANDOM_BITS_PER_CHARACTER: Final = 3.2

_SKIPPED_FOLDERS: Final = frozenset({".git", "__pycache__"})


@dataclass(frozen=True, kw_only=True)
class SecretFound:
    """Where a secret seems to be. It never holds the secret."""

    where: str
    """Path inside the folder, and line: `agent.yaml:12`."""
    kind: str


def find_secrets(folder: Path) -> list[SecretFound]:
    """Scan every file below a folder, by path and line. A line that holds several kinds is told once for each."""
    return [
        SecretFound(where=f"{path.relative_to(folder).as_posix()}:{number}", kind=kind)
        for path in _files(folder)
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        for kind in kinds_in(line)
    ]


def kinds_in(line: str) -> list[str]:
    """Name the kinds of secrets that a line seems to hold."""
    kinds = [kind for kind, pattern in KINDS if pattern.search(line)]
    if not kinds and any(_looks_random(match.group(1)) for match in _ASSIGNMENT.finditer(line)):
        return ["value that looks random, under a name that sounds secret"]
    return kinds


def _looks_random(value: str) -> bool:
    has_both = any(character.isdigit() for character in value) and any(character.isalpha() for character in value)
    return has_both and _bits_per_character(value) >= _RANDOM_BITS_PER_CHARACTER


def _bits_per_character(value: str) -> float:
    """Shannon entropy of a text's characters, in bits. Source: Shannon 1948, section 6."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        kept = sorted(set(folders) - _SKIPPED_FOLDERS)
        folders[:] = [name for name in kept if not (Path(parent) / name / ENVIRONMENT_MARK).exists()]
        yield from (path for name in sorted(files) if (path := Path(parent) / name).is_file())
