"""A folder beside where something is to appear whole: what fails halfway leaves nothing."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def staged(into: Path) -> Iterator[Path]:
    """Give an empty folder below `into`, of a name of its own; it goes with the block."""
    into.mkdir(parents=True, exist_ok=True)
    made = into / f".staging-{secrets.token_hex(8)}"
    made.mkdir()
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
