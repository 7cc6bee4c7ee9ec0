"""Which arm answers a caller."""

import hashlib

from goldgate.contracts.request_log import Arm

_STEPS = 2**64


def choose_arm(caller_hash: str, *, ratio: float, salt: str) -> Arm:
    """Pick the arm for a caller.

    The same caller gets the same arm at every request, and one that is on the canary stays there when the ratio rises.

    Args:
        caller_hash: Any text that stands for the caller.
        ratio: Share of callers, not of requests, that the canary gets; 0..1.
        salt: Names the canary, so that it is not always the same callers who try new versions.
    """
    digest = hashlib.sha256(f"{salt}\0{caller_hash}".encode()).digest()
    return "canary" if int.from_bytes(digest[:8], "big") < ratio * _STEPS else "champion"


def salt_of(agent: str, version: str) -> str:
    """Name a canary for `choose_arm`."""
    return f"{agent}@{version}"
