"""Who is calling, kept only as a keyed hash: the same caller is recognised, and nobody can be found from it."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from goldgate.domain.errors import PermanentError

_KEY_BYTES = 32


def hash_caller(caller: str, *, key: bytes) -> str:
    """Turn a caller's name into 32 hex digits that only the holder of the key can make again."""
    return hmac.new(key, caller.encode(), hashlib.sha256).hexdigest()[:32]


def caller_key(path: Path) -> bytes:
    """Read the key, or make it once. The file is for its owner alone.

    Raises:
        PermanentError: The file is not a key, or others may read it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_key(path)
    with os.fdopen(descriptor, "wb") as file:
        key = secrets.token_bytes(_KEY_BYTES)
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key


def _read_key(path: Path) -> bytes:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise PermanentError(f"Found the key `{path}` with mode {mode:o}; expected 600. Run `chmod 600 {path}`.")
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise PermanentError(
            f"Found {len(key)} bytes in the key `{path}`; expected {_KEY_BYTES}. Remove the file: a new key is made, "
            "and callers are assigned to arms anew."
        )
    return key
