"""An index that asks elsewhere for every question, left alone for a while when there is no answer."""

from datetime import timedelta
from typing import Final

from goldgate.agent.resilience.breakers import Breakers
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.models.breaker import BreakerRule, Outcome
from goldgate.ports.knowledge import ChunkIndex, Scored

RULE: Final = BreakerRule(failures=2, open_s=30.0)
"""A question that waits for an embedder in vain waits for seconds: the third one in a row does not."""


class GuardedIndex:
    """Searches an index, unless it failed twice in a row within the last half minute. Safe to use from many threads."""

    def __init__(self, index: ChunkIndex, *, breakers: Breakers, key: str) -> None:
        """Guard an index by the breaker of that key."""
        self._index = index
        self._breakers = breakers
        self._key = key

    def search(self, question: str, *, limit: int) -> list[Scored]:
        """Search, or say at once that it is no use.

        Raises:
            TransientError: It failed before; `retry_after` says when it is tried again.
        """
        if (wait_s := self._breakers.admit(self._key, RULE)) > 0:
            raise TransientError(
                f"`{self._key}` was not asked: it failed {RULE.failures} times in a row, and is left alone for "
                f"{wait_s:.3g} s more.",
                retry_after=timedelta(seconds=wait_s),
            )
        outcome = Outcome.UNKNOWN
        try:
            found = self._index.search(question, limit=limit)
            outcome = Outcome.ANSWERED
        except (PermanentError, TransientError):
            # A refusal too: it would be the same for the next question, and costs as much time.
            outcome = Outcome.FAILED
            raise
        finally:
            self._breakers.note(self._key, RULE, outcome)
        return found
