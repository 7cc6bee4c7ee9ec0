"""Tells the cluster what happens to a TaskRun, so that `kubectl describe taskrun` shows it.

Events of Kubernetes are for people: they are posted from a thread of their own, never on the way of a record, and lost
ones are counted. What happened stands in the status in any case.
"""

import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from goldgate.adapters.cluster.connection import Cluster
from goldgate.adapters.cluster.failures import Patience
from goldgate.adapters.cluster.objects import Object, Objects
from goldgate.contracts.base import API_VERSION
from goldgate.contracts.cluster import RUN_LABEL
from goldgate.contracts.task_runs import RunEvent
from goldgate.domain.errors import PermanentError, TransientError

_log = logging.getLogger(__name__)

COMPONENT: Final = "goldgate-task-run"

SET_ASIDE: Final = "WordSetAside"
"""Reason of what was found where people's words are, and is none. It stands in no history."""

_WARNINGS: Final = (
    "Failed",
    "Lost",
    "Dropped",
    "Cancelled",
    "DeadlinePassed",
    "Abandoned",
    "Refused",
    "Interrupted",
    "SetAside",
)
"""How the reasons of what went wrong end."""
_MESSAGE_BYTES: Final = 1024
"""The API server takes no longer message."""
_MOST_WAITING: Final = 1000
_CLOSE_WITHIN_S: Final = 2.0
_BRIEF: Final = Patience(within_s=10.0, refused_within_s=1.0)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a run's history, and where it stands in it."""

    run: str
    uid: str
    """Of the TaskRun."""
    number: int | str
    """Counted from the beginning of the run: the same line has the same number, whoever tells it. Of what stands in no
    history: a text that is the same for the same."""
    event: RunEvent


class RunEvents:
    """Posts the lines of runs as Events, in their order, from one thread that begins with the first."""

    def __init__(self, cluster: Cluster, *, patience: Patience = _BRIEF, most_waiting: int = _MOST_WAITING) -> None:
        """Open the events of a namespace.

        Args:
            cluster: The namespace.
            patience: How long each is tried again.
            most_waiting: What comes while so many wait is dropped.
        """
        self._events = Objects(cluster, kind="Event", plural="events", group="", version="v1", patience=patience)
        self._namespace = cluster.namespace
        self._waiting: queue.Queue[Line | None] = queue.Queue(most_waiting)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_refused = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """How many were lost since the start."""
        return self._dropped

    def tell(self, lines: Sequence[Line]) -> None:
        """Have lines posted. Returns at once."""
        if lines:
            self._begin()
        for line in lines:
            try:
                self._waiting.put_nowait(line)
            except queue.Full:
                self._drop(1)

    def close(self, *, within_s: float = _CLOSE_WITHIN_S) -> None:
        """Post what is left, within a bounded time; what is not posted by then is dropped."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None:
            return
        until_s = time.monotonic() + within_s
        try:
            self._waiting.put(None, timeout=within_s)
        except queue.Full:
            pass
        else:
            thread.join(max(until_s - time.monotonic(), 0.0))
        self._drop(sum(1 for line in self._emptied() if line is not None))
        if self._dropped:
            _log.warning("task_run.events_dropped", extra={"count": self._dropped})

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._post_all, name="goldgate-events", daemon=True)
                self._thread.start()

    def _post_all(self) -> None:
        while (line := self._waiting.get()) is not None:
            self._post(line)

    def _post(self, line: Line) -> None:
        if self._is_refused:
            self._drop(1)
            return
        try:
            # An Event of that name is there already: another process told the same line.
            self._events.create(event_of(line, namespace=self._namespace))
        except TransientError as error:
            self._drop(1)
            _log.warning("task_run.event_lost", extra={"run": line.run, "error": str(error)})
        except PermanentError as error:
            self._drop(1)
            self._is_refused = True
            _log.warning("task_run.events_refused", extra={"run": line.run, "error": str(error)})

    def _emptied(self) -> list[Line | None]:
        lines: list[Line | None] = []
        while True:
            try:
                lines.append(self._waiting.get_nowait())
            except queue.Empty:
                return lines

    def _drop(self, count: int) -> None:
        with self._lock:
            self._dropped += count


def event_of(line: Line, *, namespace: str) -> Object:
    """Write a line as an Event of Kubernetes, named so that it is there once."""
    told_apart = sha256(f"{line.uid}/{line.number}".encode()).hexdigest()[:16]
    at = line.event.at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{line.run}.{told_apart}", "labels": {RUN_LABEL: line.run}},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": "TaskRun",
            "namespace": namespace,
            "name": line.run,
            "uid": line.uid,
        },
        "reason": line.event.reason,
        "message": _fitting(line.event.message),
        "type": "Warning" if line.event.reason.endswith(_WARNINGS) else "Normal",
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
    }


def _fitting(message: str) -> str:
    raw = message.encode()
    if len(raw) <= _MESSAGE_BYTES:
        return message
    return raw[: _MESSAGE_BYTES - 3].decode(errors="ignore") + "…"
