"""TaskRuns in memory, with the rules of the real store."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from goldgate.contracts.task_runs import TaskRun
from goldgate.domain.errors import PermanentError
from goldgate.ports.delivery import Clock
from goldgate.ports.task_runs import Lease, LeaseLostError, RecordTooLargeError, RunHeldError, RunWord


@dataclass(kw_only=True)
class _Held:
    epoch: int = 0
    owner: str = ""
    renewed: datetime | None = None
    until: datetime | None = None


class InMemoryTaskRunStore:
    """Implements `goldgate.ports.task_runs.TaskRunStore`. `saved` holds every record ever made, oldest first."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._runs: dict[str, TaskRun] = {}
        self._leases: dict[str, _Held] = {}
        self._words: dict[str, dict[str, RunWord]] = {}
        self._damaged: set[str] = set()
        self.dead: set[str] = set()
        """Owners that are known to be dead."""
        self.saved: list[TaskRun] = []
        self.most_bytes: int | None = None
        """Of a record that is not the last of its run. None: it takes any."""

    def damage(self, name: str) -> None:
        self._damaged.add(name)

    def create(self, run: TaskRun) -> TaskRun:
        with self._lock:
            name = run.metadata.name
            found = self.read(name)
            if found is None:
                self._runs[name] = run
                self._leases[name] = _Held()
                self._words[name] = {}
                return run
            if found.spec != run.spec:
                raise PermanentError(f"Found another run named `{name}`, which asks something else.")
            return found

    def read(self, name: str) -> TaskRun | None:
        if name in self._damaged:
            raise PermanentError(f"The record of run `{name}` cannot be read.")
        return self._runs.get(name)

    def names(self) -> Sequence[str]:
        return sorted(self._runs)

    def take(self, name: str, *, owner: str, for_s: float) -> Lease:
        with self._lock:
            held, now = self._held(name), self._clock.now()
            if held.owner and held.until is not None and held.until > now and held.owner not in self.dead:
                raise RunHeldError(f"Run `{name}` is worked on by `{held.owner}`.", retry_after=held.until - now)
            lease = Lease(run=name, owner=owner, epoch=held.epoch + 1, last_renewed=held.renewed)
            self._leases[name] = _Held(
                epoch=lease.epoch, owner=owner, renewed=now, until=now + timedelta(seconds=for_s)
            )
            return lease

    def renew(self, lease: Lease, *, for_s: float) -> None:
        with self._lock:
            held = self._require_held(lease)
            held.renewed = self._clock.now()
            held.until = held.renewed + timedelta(seconds=for_s)

    def release(self, lease: Lease) -> None:
        with self._lock:
            held = self._held(lease.run)
            if (held.epoch, held.owner) == (lease.epoch, lease.owner):
                held.owner, held.renewed, held.until = "", self._clock.now(), None

    def save(self, lease: Lease, run: TaskRun) -> None:
        with self._lock:
            if run.metadata.name != lease.run:
                raise PermanentError(f"Found a lease of run `{lease.run}`; expected one of `{run.metadata.name}`.")
            if self.most_bytes is not None and not run.status.phase.is_terminal:
                size_bytes = len(run.status.model_dump_json())
                if size_bytes > self.most_bytes:
                    raise RecordTooLargeError(f"record: it would take {size_bytes} bytes")
            self._require_held(lease)
            self._runs[lease.run] = run
            self.saved.append(run)

    def post(self, name: str, word: RunWord) -> None:
        with self._lock:
            self._held(name)
            self._words[name][word.id] = word

    def words(self, name: str) -> Sequence[RunWord]:
        with self._lock:
            return sorted(self._words.get(name, {}).values(), key=lambda word: (word.at, word.id))

    def drop(self, lease: Lease, word: RunWord) -> None:
        with self._lock:
            self._require_held(lease)
            self._words[lease.run].pop(word.id, None)

    def remove(self, lease: Lease) -> None:
        with self._lock:
            self._require_held(lease)
            for kept in (self._runs, self._leases, self._words):
                kept.pop(lease.run, None)

    def close(self) -> None:
        pass

    def _held(self, name: str) -> _Held:
        if name not in self._leases:
            raise PermanentError(f"Found no run named `{name}`.")
        return self._leases[name]

    def _require_held(self, lease: Lease) -> _Held:
        held = self._held(lease.run)
        if (held.epoch, held.owner) != (lease.epoch, lease.owner):
            raise LeaseLostError(f"Run `{lease.run}` is held in epoch {held.epoch}; expected {lease.epoch}.")
        return held
