"""That a process was asked to end, as a handler of signals may say it. Imports next to nothing: it is there first."""

import queue
import threading


class Ending(threading.Event):
    """An event that may be set at any instruction, even one of its own: between those its thread runs signal handlers.

    `threading.Event` is set under a lock. A handler that interrupts the thread which holds that lock waits for ever.
    """

    def __init__(self) -> None:
        """Begin with nothing asked."""
        super().__init__()
        self._is_set = False
        # Its `put` is reentrant, which no other queue's is: it may interrupt a `get` or `put` of the same thread.
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()

    def is_set(self) -> bool:
        """Whether the process was asked to end."""
        return self._is_set

    def set(self) -> None:
        """Note that the process was asked to end, and wake whoever waits."""
        self._is_set = True
        self._wakes.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the process was asked to end, or so many seconds; tell whether it was."""
        if self._is_set:
            return True
        try:
            self._wakes.get(timeout=timeout)
        except queue.Empty:
            return self._is_set
        self._wakes.put(None)  # for others that wait
        return True

    def clear(self) -> None:
        """Refuse: nobody takes back that a process is to end."""
        raise NotImplementedError("Found an order to end that is to be taken back; expected that it stands.")
