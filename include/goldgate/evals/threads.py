"""Answer many asks on a few threads, in order of asking, and never wait longer than the time that is left."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

_Todo = queue.SimpleQueue[tuple[A] | None]
_Answered = queue.SimpleQueue[tuple[A, B] | Exception]


def answer_concurrently(
    asks: Sequence[A], answer: Callable[[A], B], *, threads: int, remaining_s: Callable[[], float]
) -> Iterator[tuple[A, B]]:
    """Yield each ask with its answer as soon as it is there; end early when no time is left.

    An ask is begun only when one before it is done and taken, so whoever stops iterating stops the asking. The threads
    are daemons: an answer that never comes keeps neither the caller nor the process.

    Args:
        asks: Begun in this order.
        answer: Called on the threads.
        threads: How many asks are open at a time, at least 1.
        remaining_s: Seconds left, by a clock of the caller.

    Raises:
        Exception: What `answer` raised, on the calling thread.
    """
    todo: _Todo[A] = queue.SimpleQueue()
    answered: _Answered[A, B] = queue.SimpleQueue()
    for number in range(threads):
        threading.Thread(target=_work, args=(todo, answered, answer), name=f"answer-{number}", daemon=True).start()
    try:
        waiting = iter(asks)
        _begin(waiting, todo, count=threads)
        for _ in asks:
            found = _next_answer(answered, within_s=remaining_s())
            if found is None:
                return
            yield found
            _begin(waiting, todo, count=1)
    finally:
        for _ in range(threads):
            todo.put(None)


def _begin(waiting: Iterator[A], todo: "_Todo[A]", *, count: int) -> None:
    for ask in islice(waiting, count):
        todo.put((ask,))


def _next_answer(answered: "_Answered[A, B]", *, within_s: float) -> tuple[A, B] | None:
    if within_s <= 0:
        return None
    try:
        found = answered.get(timeout=min(within_s, threading.TIMEOUT_MAX))
    except queue.Empty:
        return None
    if isinstance(found, Exception):
        raise found
    return found


def _work(todo: "_Todo[A]", answered: "_Answered[A, B]", answer: Callable[[A], B]) -> None:
    while (ask := todo.get()) is not None:
        try:
            answered.put((ask[0], answer(ask[0])))
        except Exception as error:  # noqa: BLE001 - raised again on the calling thread
            answered.put(error)
