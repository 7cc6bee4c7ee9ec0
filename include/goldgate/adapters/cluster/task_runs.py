"""TaskRuns as resources of a cluster, each recorded by one request.

status            the record, as a person reads it; whole in Parts beside it where it is too large for one object
status.held       who works on it, and since which epoch
annotations       what people said to it, one each, until it was acted on
Events            what happened to it, for `kubectl describe`

Every write of a status is one JSON patch that tests the TaskRun's identity, `held.epoch` and `held.holder` first: the
API server itself refuses whoever lost the lease, however long it slept before. Whether a lease has ended is decided by
the clock of whoever wants it, against the time that its holder wrote: clocks that differ by more than the lease let
somebody take over too soon, and even then the first holder cannot write any more. The patch of a record is the same
however often it arrives, so that one whose answer was lost is sent again.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter, ValidationError

from goldgate.adapters.cluster.connection import Cluster
from goldgate.adapters.cluster.events import SET_ASIDE, Line, RunEvents
from goldgate.adapters.cluster.failures import Patience
from goldgate.adapters.cluster.large_statuses import LargeStatuses
from goldgate.adapters.cluster.leases import (
    KnownRun,
    conditions_of,
    known_of,
    next_holder,
    refused,
    require_held,
    taking,
)
from goldgate.adapters.cluster.objects import AbsentError, Object, Objects, UnfitPatchError, expect, pointer
from goldgate.adapters.cluster.parts import owner_of
from goldgate.adapters.cluster.statuses import (
    damaged,
    held_of,
    run_of,
    status_of_text,
    text_of_time,
    whole_of,
)
from goldgate.adapters.cluster.words import SetAside, heard_in, key_of, text_of
from goldgate.contracts.base import API_VERSION
from goldgate.contracts.cluster import PARENT_ANNOTATION, ROOT_LABEL, StoredText
from goldgate.contracts.resource_parts import Name
from goldgate.contracts.task_runs import RunEvent, TaskRun, TaskRunStatus
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.delivery import Clock
from goldgate.ports.parts import PartMissingError
from goldgate.ports.task_runs import Lease, RunWord

_log = logging.getLogger(__name__)

_NAME: Final = TypeAdapter(Name)
_RENEWAL: Final = Patience(within_s=2.0)
"""Whoever renews tries again by itself, and may not be kept from ending."""
_LISTEN_WITHIN_S: Final = 5.0
"""Whoever works on a run asks again soon, and meanwhile has to hear that its own process is to end."""


class ClusterTaskRunStore:
    """The TaskRuns of one namespace; see `goldgate.ports.task_runs.TaskRunStore`. For many threads."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        clock: Clock,
        is_dead: Callable[[str], bool] = lambda _: False,
        patience: Patience = Patience(),  # noqa: B008 - frozen
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        """Open the runs of a namespace.

        Args:
            cluster: The namespace.
            clock: By which leases end.
            is_dead: Whether an owner is known to have ended: its lease then ends at once. By default nobody is.
            patience: How long requests are tried again.
            on_close: Called at the end of `close`, by whoever has no other use for the cluster.
        """
        self._on_close = on_close
        self._clock = clock
        self._is_dead = is_dead
        self._patience = patience
        self._runs = Objects(cluster, kind="TaskRun", plural="taskruns", patience=patience)
        brief = replace(patience, within_s=min(patience.within_s, _LISTEN_WITHIN_S))
        self._heard = Objects(cluster, kind="TaskRun", plural="taskruns", patience=brief)
        self._large = LargeStatuses(cluster, patience=patience)
        self._events = RunEvents(cluster)
        self._known: dict[Lease, KnownRun] = {}
        self._set_aside: set[tuple[str, str]] = set()
        """What was told of it: the run by its uid, and what was found."""
        self._own_root = cluster.labels.get(ROOT_LABEL)

    def create(self, run: TaskRun) -> TaskRun:
        """Record a new run, or find the same."""
        name = _checked(run.metadata.name)
        given = run.metadata.model_dump(mode="json", exclude={"creation_timestamp"})
        metadata = {**given, "ownerReferences": self._owners_of(run)}
        spec = run.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        made = self._runs.create({"apiVersion": API_VERSION, "kind": "TaskRun", "metadata": metadata, "spec": spec})
        if made is not None:
            if run.status != TaskRunStatus():
                self._begin_with(run, made)
            return _dated(run, made)
        found = self.read(name)
        if found is None:
            raise TransientError(f"Run `{name}` was there, and is gone again. Try once more.")
        if found.spec != run.spec:
            raise PermanentError(
                f"Found another run named `{name}` in the cluster, which asks something else; expected a new name or "
                "the same `spec`. Rename the run."
            )
        maker = found.metadata.labels.get(ROOT_LABEL)
        if maker not in {None, self._own_root}:
            raise PermanentError(
                f"Found run `{name}` in the cluster, which a pod of run `{maker}` made; expected none, or one's own: "
                f"what it says is the word of that pod. Look at `{maker}`, delete `{name}`, and try again."
            )
        return found

    def read(self, name: str) -> TaskRun | None:
        """Read a run as it was last recorded."""
        before: StoredText | None = None
        while (obj := self._runs.get(_checked(name))) is not None:
            whole = whole_of(obj)
            if whole is None:
                return run_of(obj)
            try:
                text = self._large.read(whole, name=name)
            except PartMissingError as error:
                if whole == before:
                    raise damaged(name, error) from error
                before = whole  # perhaps the run was recorded anew meanwhile: look again
            else:
                return run_of(obj, status=status_of_text(text, name=name))
        return None

    def names(self) -> list[str]:
        """Name all runs."""
        return sorted(metadata["name"] for metadata in self._runs.all_metadata())

    def take(self, name: str, *, owner: str, for_s: float) -> Lease:
        """Take the lease, if nobody has it."""
        attempts, wanted, before = self._patience.attempts(), None, None
        while True:
            obj = self._required(name)
            held = held_of(obj)
            if wanted is None or held != wanted:
                now, before = self._clock.now(), held.renew_time
                wanted = next_holder(name, held=held, owner=owner, for_s=for_s, now=now, is_dead=self._is_dead)
                try:
                    self._runs.patch(name, taking(obj, wanted), is_of_status=True)
                except AbsentError:
                    continue
                except UnfitPatchError as error:
                    # Somebody was first, or wrote something else: look again. Only what may have arrived can be ours.
                    wanted = wanted if error.lost_an_answer else None
                    if not attempts.paused():
                        raise TransientError(f"Run `{name}` is written by others all the time. Try again.") from error
                    continue
            lease = Lease(run=name, owner=owner, epoch=wanted.epoch, last_renewed=before)
            self._known[lease] = known_of(obj, predecessor=held)
            return lease

    def renew(self, lease: Lease, *, for_s: float) -> None:
        """Keep the lease."""
        operations: list[Object] = [
            {"op": "add", "path": "/status/held/renewTime", "value": text_of_time(self._clock.now())},
            {"op": "add", "path": "/status/held/leaseSeconds", "value": for_s},
        ]
        self._write(lease, operations, patience=_RENEWAL)

    def release(self, lease: Lease) -> None:
        """Give the lease back."""
        operations = [
            {"op": "add", "path": "/status/held/holder", "value": ""},
            {"op": "add", "path": "/status/held/renewTime", "value": text_of_time(self._clock.now())},
        ]
        try:
            self._runs.patch(lease.run, [*self._conditions(lease), *operations], is_of_status=True)
        except (AbsentError, UnfitPatchError):
            _log.debug("task_run.lease_not_given_back", extra={"run": lease.run})
        self._known.pop(lease, None)

    def save(self, lease: Lease, run: TaskRun) -> None:
        """Record a run whole, if the lease is held. That also renews the lease."""
        if run.metadata.name != lease.run:
            raise PermanentError(f"Found a lease of run `{lease.run}`; expected one of `{run.metadata.name}`.")
        status, stored = self._written(lease, run)
        operations: list[Object] = [
            {"op": "add", "path": "/status/held/renewTime", "value": text_of_time(self._clock.now())},
            # Who works on it stays as it is, whatever a renewal writes at the same time.
            {"op": "add", "path": "/recorded", "value": status},
            {"op": "copy", "from": "/status/held", "path": "/recorded/held"},
            {"op": "move", "from": "/recorded", "path": "/status"},
        ]
        self._write(lease, operations)
        if (known := self._known.get(lease)) is not None:
            self._known[lease] = self._followed_up(lease, run, known, stored)

    def post(self, name: str, word: RunWord) -> None:
        """Leave a word."""
        try:
            self._runs.merge(_checked(name), {"metadata": {"annotations": {key_of(word): text_of(word)}}})
        except AbsentError as error:
            raise _unknown(name) from error

    def words(self, name: str) -> list[RunWord]:
        """Read the words, oldest first."""
        metadata = self._heard.metadata(_checked(name)) or {}
        heard = heard_in(metadata)
        for each in heard.set_aside:
            self._tell_set_aside(name, each, uid=metadata["uid"])
        return list(heard.words)

    def _tell_set_aside(self, name: str, found: SetAside, *, uid: str) -> None:
        """Tell once what is no word. Runs are looked at once a second."""
        if (uid, found.mark) in self._set_aside:
            return
        self._set_aside.add((uid, found.mark))
        _log.warning("task_run.word_set_aside", extra={"run": name, "found": found.problem})
        event = RunEvent(at=self._clock.now(), reason=SET_ASIDE, message=found.problem)
        self._events.tell([Line(run=name, uid=uid, number=found.mark, event=event)])

    def drop(self, lease: Lease, word: RunWord) -> None:
        """Forget a word."""
        operations = [
            *self._conditions(lease),
            {"op": "remove", "path": pointer("metadata", "annotations", key_of(word))},
        ]
        try:
            self._runs.patch(lease.run, operations)
        except (AbsentError, UnfitPatchError) as error:
            found = self._held_by(lease)
            if key_of(word) in found["metadata"].get("annotations", {}):
                raise refused(lease) from error
        except PermanentError:
            self._held_by(lease)
            raise

    def remove(self, lease: Lease) -> None:
        """Forget a run; its parts, pods and Events follow it."""
        while True:
            metadata = self._held_by(lease)["metadata"]
            if self._runs.delete(lease.run, uid=metadata["uid"], version=metadata["resourceVersion"]):
                self._known.pop(lease, None)
                return

    def close(self) -> None:
        """Post the Events that are left, within a bounded time."""
        self._events.close()
        self._on_close()

    def _owners_of(self, run: TaskRun) -> list[Object]:
        """Name the run that asked for this one, if it is worked on here: nobody would end this one without it."""
        above = run.metadata.annotations.get(PARENT_ANNOTATION)
        return [owner_of(above, known.uid) for lease, known in tuple(self._known.items()) if lease.run == above][:1]

    def _begin_with(self, run: TaskRun, made: Object) -> None:
        """Record the status that a new run comes with, if nobody has taken it up meanwhile."""
        lease = Lease(run=run.metadata.name, owner="", epoch=0)
        status, _ = self._written(lease, run)
        unchanged = expect("/metadata/resourceVersion", made["resourceVersion"])
        operations: list[Object] = [unchanged, {"op": "add", "path": "/status", "value": status}]
        try:
            self._runs.patch(lease.run, operations, is_of_status=True)
        except (AbsentError, UnfitPatchError):
            _log.debug("task_run.taken_up_at_once", extra={"run": lease.run})

    def _followed_up(self, lease: Lease, run: TaskRun, known: KnownRun, stored: StoredText | None) -> KnownRun:
        """Do what comes after a record: it stands, whatever becomes of this."""
        lines = run.status.events
        count = run.status.events_dropped + len(lines)
        new = lines[len(lines) - min(max(count - known.told, 0), len(lines)) :]
        first = count - len(new)
        self._events.tell(
            [Line(run=lease.run, uid=known.uid, number=first + at, event=event) for at, event in enumerate(new)]
        )
        if known.may_have_parts or stored is not None:
            self._large.sweep(lease, stands=stored)
        return replace(known, told=count, may_have_parts=stored is not None)

    def _write(self, lease: Lease, operations: Sequence[Object], *, patience: Patience | None = None) -> None:
        tested = [*self._conditions(lease), *operations]
        try:
            self._runs.patch(lease.run, tested, is_of_status=True, patience=patience)
        except (AbsentError, UnfitPatchError) as error:
            self._held_by(lease)
            raise refused(lease) from error
        except PermanentError:
            # A policy may forbid a pod what another one works on, before the tests are looked at.
            self._held_by(lease)
            raise

    def _written(self, lease: Lease, run: TaskRun) -> tuple[Object, StoredText | None]:
        """Write a status for its object; a lease of no epoch was never taken, and cannot be lost."""
        return self._large.written(lease, run, check=lambda: lease.epoch and self._held_by(lease))

    def _conditions(self, lease: Lease) -> list[Object]:
        return conditions_of(lease, self._known.get(lease))

    def _held_by(self, lease: Lease) -> Object:
        """Read a run that a lease is held of; raise `LeaseLostError` if it is not."""
        return require_held(self._runs.get(lease.run), lease, self._known.get(lease))

    def _required(self, name: str) -> Object:
        if (obj := self._runs.get(_checked(name))) is None:
            raise _unknown(name)
        return obj


def _dated(run: TaskRun, metadata: Object) -> TaskRun:
    at = metadata.get("creationTimestamp")
    if at is None:
        return run
    born = run.metadata.model_copy(update={"creation_timestamp": datetime.fromisoformat(at)})
    return run.model_copy(update={"metadata": born})


def _checked(name: str) -> str:
    try:
        return _NAME.validate_python(name)
    except ValidationError as error:
        raise PermanentError(
            f"Found the run name `{name}`; expected at most 63 lower-case letters, digits and dashes, beginning and "
            "ending with a letter or digit."
        ) from error


def _unknown(name: str) -> PermanentError:
    return PermanentError(f"Found no run named `{name}`; expected that TaskRun in the cluster.")
