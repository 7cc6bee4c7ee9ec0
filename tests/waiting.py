"""How tests wait for what others do in their own time: they look until it is so."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_LOOK_EVERY_S = 0.05


def until(found: Callable[[], T], *, within_s: float = 120, what: str = "waited in vain") -> T:
    """Look again and again, and give what was found; the bound is for a test that fails, not for one that passes."""
    give_up_s = time.monotonic() + within_s
    while not (answer := found()):
        assert time.monotonic() < give_up_s, what
        time.sleep(_LOOK_EVERY_S)
    return answer
