"""A port in front of another one, that breaks off at a call of the test's choice."""

from collections.abc import Callable
from typing import Any


class KilledError(BaseException):
    """The process died here. No code under test may catch it."""


class Countdown:
    """Counts the calls of several ports together, and kills before or after the one chosen.

    Positions 0, 2, 4, ... kill before a call, 1, 3, 5, ... right after it.
    """

    def __init__(self, kill_at: int | None) -> None:
        self._kill_at = kill_at
        self.position = 0

    def step(self) -> None:
        position, self.position = self.position, self.position + 1
        if position == self._kill_at:
            raise KilledError


class FailingPort:
    """Passes every call on, through a countdown."""

    def __init__(self, inner: Any, countdown: Countdown) -> None:
        self._inner = inner
        self._countdown = countdown

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._inner, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            self._countdown.step()
            result = call(*arguments, **named)
            self._countdown.step()
            return result

        return counted
