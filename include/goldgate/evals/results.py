"""Keep a results table so that nobody can mistake a part of it, or a changed one, for the whole.

Beside `results.jsonl` lies `results.jsonl.sha256` as `sha256sum` writes it. It is written last: a table without it, or
with another content, is refused.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from goldgate.contracts.documents import read_jsonl
from goldgate.contracts.evaluation import ResultRow
from goldgate.domain.digest import Digest, digest_bytes, short
from goldgate.domain.errors import PermanentError


class ResultsTableError(PermanentError):
    """A results table is missing, truncated or altered."""


def write_results(results: Sequence[ResultRow], path: Path) -> Digest:
    """Write a table durably (written, synced, renamed), one JSON object a line, and return its digest.

    A table that is there already is replaced.
    """
    content = "".join(f"{result.model_dump_json()}\n" for result in results).encode()
    digest = digest_bytes(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, content)
    _write(_seal(path), f"{digest}  {path.name}\n".encode())
    return digest


def read_results(path: Path, *, digest: str | None = None) -> list[ResultRow]:
    """Read a table back, whole.

    Args:
        path: The table.
        digest: What the caller knows its digest to be; the seal beside it is held to that, too.

    Raises:
        ResultsTableError: The table or its seal is missing, or the table is not the one that was sealed.
        ContractError: A line breaks the contract: the table was sealed by another version.
    """
    try:
        found = digest_bytes(path.read_bytes())
        sealed = _seal(path).read_text(encoding="utf-8").split(maxsplit=1)[0]
    except (OSError, UnicodeDecodeError, IndexError) as error:
        raise ResultsTableError(
            f"Found no whole table with its seal at `{path}` ({error}); expected both files. Evaluate again."
        ) from error
    for expected in (sealed, digest or sealed):
        if found != expected:
            raise ResultsTableError(
                f"Found a results table with digest {short(found)} at `{path}`, but it was written with "
                f"{short(expected)}: it was cut off or altered, and decides nothing. Evaluate again."
            )
    return read_jsonl(path, ResultRow)


def _seal(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
