"""Programs that take turns: each stops before every request that it sends, and is told what comes of it.

One at a time runs, so that the order of their requests is that of a test, and the same again.
"""

import enum
import threading
from collections.abc import Callable, Collection
from typing import Any

from goldgate.domain.errors import TransientError
from tests.fakes.mortal_runs import KilledError

_WITHIN_S = 60.0
"""For what takes a millisecond: a test that hangs ends."""


class Fate(enum.Enum):
    """What comes of a request."""

    ANSWERED = "answered"
    LOST = "lost"
    """It does not arrive."""
    UNHEARD = "unheard"
    """It arrives, and its answer does not."""
    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"


class Actor:
    """A program in a thread of its own."""

    def __init__(self, program: Callable[["Actor"], None]) -> None:
        self.is_dead = False
        self.is_over = False
        self.failure: BaseException | None = None
        self._fate = Fate.ANSWERED
        self._may_go, self._has_stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(program,), daemon=True)
        self._thread.start()
        self._await_stop()

    def step(self, fate: Fate = Fate.ANSWERED) -> None:
        """Let it send its next request, and go on up to the one after."""
        if self.is_over:
            return
        self._fate = fate
        self._may_go.release()
        self._await_stop()

    def kill(self) -> None:
        """End it: it sends nothing any more."""
        self.is_dead = True
        while not self.is_over:
            self.step()

    def ask(self, request: Callable[[], Any]) -> Any:
        """Send a request when told to. What other threads of the program send goes through at once."""
        if threading.current_thread() is not self._thread:
            return request()
        if not self.is_dead:
            self._has_stopped.release()
            self._may_go.acquire()
        fate = self._fate
        self.is_dead = self.is_dead or fate is Fate.KILLED_BEFORE
        if self.is_dead:
            raise KilledError
        if fate is Fate.LOST:
            raise TransientError("The API server could not be reached.")
        answer = request()
        if fate is Fate.KILLED_AFTER:
            self.is_dead = True
            raise KilledError
        if fate is Fate.UNHEARD:
            raise TransientError("The API server did not answer.")
        return answer

    def _run(self, program: Callable[["Actor"], None]) -> None:
        try:
            program(self)
        except KilledError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised where the next step is taken
            self.failure = error
        self.is_over = True
        self._has_stopped.release()

    def _await_stop(self) -> None:
        assert self._has_stopped.acquire(timeout=_WITHIN_S), "a program stands still without having sent a request"
        if self.failure is not None:
            raise self.failure


class Stepped:
    """A port as one program sees it."""

    def __init__(self, port: Any, actor: Actor, *, requests: Collection[str]) -> None:
        self._port, self._actor, self._requests = port, actor, requests

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._port, name)
        if name not in self._requests:
            return method
        return lambda *arguments, **named: self._actor.ask(lambda: method(*arguments, **named))
