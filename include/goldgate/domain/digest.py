"""Digests: the names that cannot lie.

Every digest in Goldgate is the lower-case hex SHA-256 of bytes that are the same on every machine.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import NewType

Digest = NewType("Digest", str)
"""64 lower-case hex digits."""


def digest_bytes(content: bytes) -> Digest:
    """Name some bytes."""
    return Digest(hashlib.sha256(content).hexdigest())


def canonical_json(value: object) -> bytes:
    """Write a JSON value the one way that is digested: sorted keys, no spaces, UTF-8, no NaN.

    Raises:
        ValueError: The value holds NaN or an infinity, which JSON cannot carry.
        TypeError: The value holds something that is not JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_json(value: object) -> Digest:
    """Name a JSON value, whatever the order of its keys."""
    return digest_bytes(canonical_json(value))


def digest_tree(files: Mapping[str, Digest]) -> Digest:
    """Name a folder by its files.

    Args:
        files: Relative POSIX path to the digest of that file's bytes. Order does not matter.
    """
    return digest_json(dict(files))


def short(digest: str) -> str:
    """Abbreviate a digest for people: 12 digits, as git does for large repositories."""
    return digest[:12]
