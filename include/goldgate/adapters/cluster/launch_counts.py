"""How many pods a TaskRun had, in an annotation of it that is moved by compare-and-set."""

from typing import Final

from pydantic import TypeAdapter, ValidationError

from goldgate.adapters.cluster.connection import Cluster
from goldgate.adapters.cluster.failures import Patience
from goldgate.adapters.cluster.objects import AbsentError, Object, Objects, UnfitPatchError, expect, pointer
from goldgate.adapters.cluster.pods import SHORT
from goldgate.contracts.cluster import POD_ANNOTATION, PODS_ANNOTATION, WORD_ANNOTATION
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.pods import Launches, pod_name
from goldgate.ports.pods import Counted

_LAUNCHES: Final = TypeAdapter(Launches)
_MOST_LAUNCHED: Final = 100_000
"""The names of all pods before the latest are gone through: a count that somebody made up must not cost a machine."""
_MARK: Final = pointer("metadata", "annotations", PODS_ANNOTATION)
_SHOWN: Final = pointer("metadata", "annotations", POD_ANNOTATION)


class ClusterLaunchCounts:
    """Implements `goldgate.ports.pods.LaunchCounts`."""

    def __init__(self, cluster: Cluster, *, patience: Patience = SHORT) -> None:
        """Count the pods of the runs of a namespace."""
        self._runs = Objects(cluster, kind="TaskRun", plural="taskruns", patience=patience)

    def read(self, run: str) -> Counted | None:
        """Read the count of a run."""
        metadata = self._runs.metadata(run)
        return None if metadata is None else _counted(metadata, run=run)

    def move(self, run: str, *, counted: Counted, to: Launches) -> Counted | None:
        """Write another count, if it is still the one that was read."""
        mark = written(to)
        try:
            return _counted(self._runs.patch(run, _operations(counted, mark, pod=to.pod)), run=run)
        except AbsentError:
            return None
        except UnfitPatchError:
            # Somebody else was first: or this very count, if the answer to it was lost.
            now = self.read(run)
            return now if now is not None and now.mark == mark else None


def _counted(metadata: Object, *, run: str) -> Counted:
    annotations = metadata.get("annotations") or {}
    mark = annotations.get(PODS_ANNOTATION)
    return Counted(
        uid=metadata["uid"],
        launches=Launches() if mark is None else launches_in(mark, run=run),
        version=metadata["resourceVersion"],
        mark=mark,
        has_annotations="annotations" in metadata,
        may_have_words=any(key.startswith(WORD_ANNOTATION) for key in annotations),
        is_leaving="deletionTimestamp" in metadata,
    )


def written(launches: Launches) -> str:
    """Write a count as people may read it: what is nothing is left out."""
    return _LAUNCHES.dump_json(launches, exclude_defaults=True).decode()


def launches_in(mark: str, *, run: str) -> Launches:
    """Read the annotation of a run.

    Raises:
        PermanentError: Somebody else wrote it.
    """
    try:
        found = _LAUNCHES.validate_json(mark)
    except ValidationError as error:
        raise _not_ours(mark, run=run) from error
    if not 0 <= found.launched <= _MOST_LAUNCHED or found.pod != (
        pod_name(run, found.launched) if found.launched else ""
    ):
        raise _not_ours(mark, run=run)
    return found


def _not_ours(mark: str, *, run: str) -> PermanentError:
    return PermanentError(
        f"Found `{mark[:200]}` in annotation `{PODS_ANNOTATION}` of TaskRun `{run}`; expected the count of its "
        "pods. Remove the annotation if no pod of the run is there."
    )


def _operations(counted: Counted, mark: str, *, pod: str) -> list[Object]:
    shown: Object = {"op": "add", "path": _SHOWN, "value": pod}
    if counted.mark is not None:
        return [expect(_MARK, counted.mark), {"op": "replace", "path": _MARK, "value": mark}, shown]
    # There is nothing of ours yet to compare: the whole object is.
    missing: Object = {"op": "add", "path": "/metadata/annotations", "value": {}}
    return [
        expect("/metadata/resourceVersion", counted.version),
        *([] if counted.has_annotations else [missing]),
        {"op": "add", "path": _MARK, "value": mark},
        shown,
    ]
