from datetime import timedelta

import pytest

from goldgate.agent.memory.guarded_index import GuardedIndex
from goldgate.agent.resilience.breakers import Breakers
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.knowledge import Scored


class FlakyIndex:
    """Implements `goldgate.ports.knowledge.ChunkIndex`: fails as long as it has an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked = 0

    def search(self, question: str, *, limit: int) -> list[Scored]:  # noqa: ARG002 - as the port names it
        self.asked += 1
        if self.error is not None:
            raise self.error
        return [Scored(id="a", score=1.0)]


class Bench:
    def __init__(self, error: Exception | None) -> None:
        self.now_s = 0.0
        self.index = FlakyIndex(error)
        self.guarded = GuardedIndex(self.index, breakers=Breakers(clock=lambda: self.now_s), key="embedder")

    def fail(self, times: int) -> Exception:
        for _ in range(times):
            with pytest.raises((PermanentError, TransientError)) as caught:
                self.guarded.search("q", limit=1)
        return caught.value


class TestGuardedIndex:
    def test_searches_an_index_that_answers(self):
        bench = Bench(None)

        assert [bench.guarded.search("q", limit=1)[0].id for _ in range(5)] == ["a"] * 5

    @pytest.mark.parametrize("error", [TransientError("hangs"), PermanentError("refused")])
    def test_leaves_an_index_alone_that_failed_twice_in_a_row(self, error):
        bench = Bench(error)

        told = bench.fail(5)

        assert bench.index.asked == 2
        assert isinstance(told, TransientError)
        assert told.retry_after == timedelta(seconds=30)

    def test_tries_it_again_after_a_while(self):
        bench = Bench(TransientError("away"))
        bench.fail(2)
        bench.now_s, bench.index.error = 31.0, None

        assert bench.guarded.search("q", limit=1)[0].id == "a"
        assert bench.guarded.search("q", limit=1)[0].id == "a"
