"""How often a store is asked what is no step of a run: less often while its answers are slow.

A renewal and a look for words do nothing for a run. Where fifty runs share a small machine with the API server that
keeps their records, such requests at a fixed pace are what makes it slow: so they take a share of the time at most.
"""

from typing import Final

_PAUSES: Final = 20
"""A request is followed by so many times what it took: looking takes a twentieth of the time at most."""


def pause_s(every_s: float, *, took_s: float, longest_s: float) -> float:
    """Tell how long to wait between two requests.

    Args:
        every_s: The pause while answers come fast. 0: there is no pause, whatever they take.
        took_s: What the last request took.
        longest_s: The pause is no longer, however slow they are, unless `every_s` is.
    """
    return min(every_s and max(every_s, took_s * _PAUSES), max(every_s, longest_s))
