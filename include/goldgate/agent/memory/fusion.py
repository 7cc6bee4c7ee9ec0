"""Merge rankings whose scores do not compare."""

from collections.abc import Sequence

from goldgate.domain.errors import PermanentError


class DuplicateChunkError(PermanentError):
    """A ranking names one id twice, so its rank is ambiguous."""

    def __init__(self, chunk_id: str) -> None:
        """Name the id."""
        super().__init__(
            f"Found `{chunk_id}` twice in one ranking; expected every id once. Rebuild the index it came from."
        )
        self.chunk_id = chunk_id


def fuse_rankings(
    rankings: Sequence[Sequence[str]], *, weights: Sequence[float] | None = None, k: int = 60
) -> list[str]:
    """Merge rankings of chunk ids by the weighted sum of their reciprocal ranks.

    An id at rank r (1 is best) of ranking i gains weight_i / (k + r).

    Args:
        rankings: Lists of ids, best first, ids distinct within a list; an id may miss from some lists.
        weights: One for each ranking, at least 0; all 1 if left out. A ranking of weight 0 is not read.
        k: Damping, at least 1. A larger k makes the top ranks weigh less.

    Returns:
        Every id seen, once, best first. Ties keep the order of first appearance. Empty for no input.

    Raises:
        DuplicateChunkError: A ranking names one id twice.

    Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion", SIGIR 2009; k = 60 is their choice.
    """
    gained: dict[str, float] = {}
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        if weight == 0:
            continue
        seen: set[str] = set()
        for rank, chunk_id in enumerate(ranking, start=1):
            if chunk_id in seen:
                raise DuplicateChunkError(chunk_id)
            seen.add(chunk_id)
            gained[chunk_id] = gained.get(chunk_id, 0.0) + weight / (k + rank)
    return sorted(gained, key=lambda chunk_id: -gained[chunk_id])
