"""Answers come as they are ready, and nobody waits longer than the time that is left."""

import threading
from itertools import count

import pytest

from goldgate.evals.threads import answer_concurrently


class TestAnswerConcurrently:
    @pytest.mark.parametrize("threads", [1, 3, 20])
    def test_answers_every_ask_once(self, threads):
        found = list(answer_concurrently(range(10), lambda ask: ask * ask, threads=threads, remaining_s=lambda: 60))

        assert sorted(found) == [(ask, ask * ask) for ask in range(10)]

    def test_has_as_many_asks_open_as_it_may(self):
        """Four asks meet at a barrier that only four can open."""
        barrier = threading.Barrier(4)

        found = list(
            answer_concurrently(range(8), lambda _: barrier.wait(timeout=30), threads=4, remaining_s=lambda: 60)
        )

        assert len(found) == 8

    def test_begins_an_ask_only_when_one_before_it_is_taken(self):
        begun = []
        answers = answer_concurrently(range(9), begun.append, threads=2, remaining_s=lambda: 60)

        next(answers)
        answers.close()

        assert sorted(begun) in ([0], [0, 1])

    def test_raises_what_an_answer_raised(self):
        def answer(ask: int) -> int:
            return 1 // ask

        with pytest.raises(ZeroDivisionError):
            list(answer_concurrently([1, 0, 1], answer, threads=1, remaining_s=lambda: 60))

    def test_ends_when_no_time_is_left(self):
        left = count(3, -1)

        found = list(answer_concurrently(range(9), str, threads=1, remaining_s=lambda: next(left)))

        assert found == [(0, "0"), (1, "1"), (2, "2")]
