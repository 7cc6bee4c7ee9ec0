"""Statuses of TaskRuns that are too large for one object: whole in parts beside it, within bounds."""

import logging
from collections.abc import Callable
from typing import Final

from goldgate.adapters.cluster.connection import Cluster
from goldgate.adapters.cluster.failures import Patience
from goldgate.adapters.cluster.objects import Object
from goldgate.adapters.cluster.parts import ClusterPartStore, written_bytes
from goldgate.adapters.cluster.statuses import DamagedTaskRunError, fits, object_of_status, shown, text_of_status
from goldgate.contracts.cluster import StoredText
from goldgate.contracts.task_runs import TaskRun
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.task_runs import Lease, RecordTooLargeError

_log = logging.getLogger(__name__)

MOST_STATUS_BYTES: Final = 8_000_000
"""Each record is written anew, and etcd keeps what was removed until it compacts, every five minutes by default: a run
that records so much every three seconds takes 800 MB, of the 2 GiB that etcd takes by default before it refuses all
writes. A context window of a million tokens has about half."""

_LAST_BYTES: Final = 1_000_000
"""More for the last record: a run that grew too large has to be able to say so."""

_USE: Final = "status-"
"""What parts of a status are for, with the epoch in which they were stored behind it."""
_SWEEPING: Final = Patience(within_s=5.0, refused_within_s=0.0)
"""What is left of older statuses harms nobody."""


class LargeStatuses:
    """Writes statuses for their objects, and puts beside them what does not fit."""

    def __init__(self, cluster: Cluster, *, patience: Patience) -> None:
        """Open the parts of a namespace.

        Args:
            cluster: The namespace.
            patience: How long requests are tried again.
        """
        self._parts = ClusterPartStore(cluster, patience=patience)
        self._old_parts = ClusterPartStore(cluster, patience=_SWEEPING)

    def written(self, lease: Lease, run: TaskRun, *, check: Callable[[], object]) -> tuple[Object, StoredText | None]:
        """Write a status for its object, and put what is too large for it beside it first.

        Args:
            lease: In whose epoch.
            run: With the status.
            check: Raises if the lease was lost: others find no parts of whoever lost it.

        Raises:
            RecordTooLargeError: It is larger than any may be. Nothing was written.
        """
        text = text_of_status(run.status)
        if fits(text, spec_bytes=written_bytes(run.spec.user_message or "")):
            return object_of_status(run.status), None
        _refuse_too_large(run, size_bytes=len(text.encode()))
        check()
        stored = self._parts.put(text, owner_run=lease.run, use=f"{_USE}{lease.epoch}")
        written = object_of_status(shown(run.status, stored))
        return {**written, "whole": stored.model_dump(mode="json", by_alias=True)}, stored

    def read(self, whole: StoredText, *, name: str) -> str:
        """Read a whole status.

        Raises:
            PartMissingError: Some of it is not there.
            DamagedTaskRunError: It is said to be larger than any is.
        """
        most = MOST_STATUS_BYTES + _LAST_BYTES
        if whole.size_bytes > most:
            raise DamagedTaskRunError(
                f"Found a status of {whole.size_bytes} bytes named by run `{name}`; expected at "
                f"most {most} bytes. Somebody else wrote it: delete the run with `kubectl delete taskrun {name}`."
            )
        return self._parts.get(whole)

    def sweep(self, lease: Lease, *, stands: StoredText | None) -> None:
        """Remove the parts of older statuses. What a later owner has put already is none of them."""
        try:
            for part in self._old_parts.kept(lease.run):
                epoch = part.use.removeprefix(_USE)
                is_status = part.use.startswith(_USE) and epoch.isdecimal()
                if is_status and int(epoch) <= lease.epoch and not part.is_of(stands):
                    self._old_parts.forget(part)
        except (PermanentError, TransientError) as error:
            _log.warning("task_run.parts_left", extra={"run": lease.run, "error": str(error)})


def _refuse_too_large(run: TaskRun, *, size_bytes: int) -> None:
    most = MOST_STATUS_BYTES + (_LAST_BYTES if run.status.phase.is_terminal else 0)
    if size_bytes > most:
        raise RecordTooLargeError(
            f"record: it would take {size_bytes} bytes; expected at most {MOST_STATUS_BYTES}, because all of it is "
            "written anew at each step. Have its tools return less, or ask for less at a time."
        )
