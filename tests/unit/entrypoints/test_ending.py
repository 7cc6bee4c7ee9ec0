"""An order to end that comes at any instruction of whoever waits for it."""

import signal
import sys
import threading
from types import FrameType
from typing import Any

import pytest

from goldgate.entrypoints.ending import Ending

WITHIN_S = 20.0
"""For what takes no time at all, on a machine with other work."""
LINES = 16
"""More than waiting and being woken have, in every function that is written in Python."""


def interrupted_at(line: int, ending: Ending) -> tuple[threading.Thread, list[bool]]:
    """Wait in a thread of its own, which sets the event itself before that line of what it runs, as a handler would."""
    said: list[bool] = []
    left = [line]

    def traced(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code is Ending.set.__code__:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                sys.settrace(None)
                ending.set()
        return traced

    def wait() -> None:
        sys.settrace(traced)
        said.append(ending.wait(0.01))
        sys.settrace(None)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(WITHIN_S)
    return waiting, said


class TestEnding:
    @pytest.mark.parametrize("line", range(1, LINES))
    def test_is_set_in_the_midst_of_waiting_for_it(self, line: int):
        """`threading.Event` waits for ever at some of these lines: those under its own lock."""
        ending = Ending()

        waiting, said = interrupted_at(line, ending)

        assert not waiting.is_alive()
        assert said in ([True], [False])
        assert ending.wait(0) is ending.is_set()

    def test_wakes_whoever_waits_by_the_handler_of_a_signal(self):
        ending = Ending()
        before = signal.signal(signal.SIGALRM, lambda *_: ending.set())
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            was_told = ending.wait(WITHIN_S)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

        assert was_told

    def test_wakes_all_that_wait(self):
        ending = Ending()
        told: list[bool] = []
        waiting = [threading.Thread(target=lambda: told.append(ending.wait(WITHIN_S)), daemon=True) for _ in range(3)]
        for each in waiting:
            each.start()

        ending.set()

        for each in waiting:
            each.join(WITHIN_S)
        assert told == [True] * 3

    def test_says_that_nothing_was_asked_when_the_time_is_over(self):
        assert not Ending().wait(0.01)

    def test_stands(self):
        with pytest.raises(NotImplementedError):
            Ending().clear()
