"""TaskRuns as people hand them over in files: as written, or as `kubectl` or `goldgate task get` print them."""

import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

from goldgate.contracts.base import ContractError, Problem
from goldgate.contracts.base import Path as FieldPath
from goldgate.contracts.cluster import (
    POD_ANNOTATION,
    PODS_ANNOTATION,
    ROOT_LABEL,
    TENDED_LABEL,
    WORD_ANNOTATION,
)
from goldgate.contracts.documents import parse, yaml_documents
from goldgate.contracts.task_runs import TaskRun

_Plain: TypeAlias = dict[str, Any]
_Lines: TypeAlias = dict[FieldPath, int]
_Documents: TypeAlias = Iterable[tuple[object, _Lines]]

_LISTS: Final = frozenset({"TaskRunList", "List"})
"""What `goldgate task get` and `kubectl get` write of several."""
_OF_A_SERVER: Final = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
"""What an API server says of an object that is there. Of a run that is to be made it says nothing."""
_OF_ONE_RUN: Final = {
    "labels": (TENDED_LABEL, ROOT_LABEL),
    "annotations": (
        PODS_ANNOTATION,
        POD_ANNOTATION,
        WORD_ANNOTATION,
        "kubectl.kubernetes.io/last-applied-configuration",
    ),
}
"""Beginnings of marks that say who sees to a run, and what was said to it: a copy of it is another run."""

# As the API server makes a name of `generateName`: five letters, none of which makes a word.
_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_GENERATED: Final = 5
_LONGEST_PREFIX: Final = 63 - _GENERATED


def read_runs(path: str, *, namespace: str | None = None) -> list[TaskRun]:
    """Read the TaskRuns of a file, or of standard input for `-`.

    What was written down of a run that is there, is read as the order to make such a run: its status is left out, and
    so is what a server or whoever saw to it noted in its metadata. `generateName` becomes a name.

    Args:
        path: The file.
        namespace: Where the runs are to be. A run that says another is refused. None: there are no namespaces.

    Raises:
        ContractError: There is none, a document is no TaskRun, or one is for another namespace.
    """
    file = Path("/dev/stdin") if path == "-" else Path(path)
    where = "standard input" if path == "-" else path
    runs = []
    for value, lines in _each(yaml_documents(file)):
        asked = _asked_in(value, namespace=namespace, where=where, lines=lines)
        runs.append(parse(asked, TaskRun, where=where, lines=lines))
    if not runs:
        raise ContractError([Problem(where=where, field="", found="no document", expected="a TaskRun")])
    return runs


def _each(documents: _Documents) -> _Documents:
    """Take the items out of a list, with the lines of their own fields."""
    for value, lines in documents:
        items = value.get("items") if isinstance(value, dict) and value.get("kind") in _LISTS else None
        if not isinstance(items, list):
            yield value, lines
            continue
        for number, item in enumerate(items):
            place = ("items", number)
            yield item, {at[2:]: line for at, line in lines.items() if at[:2] == place}


def _asked_in(value: object, *, namespace: str | None, where: str, lines: _Lines) -> object:
    """Leave of a document what asks for a run."""
    if not isinstance(value, dict):
        return value
    asked = {key: part for key, part in value.items() if key != "status"}
    if isinstance(asked.get("metadata"), dict):
        metadata = {key: part for key, part in asked["metadata"].items() if key not in _OF_A_SERVER}
        said = metadata.pop("namespace", None)
        if namespace is not None and said not in {None, namespace}:
            at = lines.get(("metadata", "namespace"))
            raise ContractError(
                [
                    Problem(
                        where=where if at is None else f"{where}:{at}",
                        field="metadata.namespace",
                        found=f"`{said}`",
                        expected=f"`{namespace}`, which -n or GOLDGATE_NAMESPACE names, or none",
                    )
                ]
            )
        asked["metadata"] = _named(_unmarked(metadata))
    return asked


def _unmarked(metadata: _Plain) -> _Plain:
    for part, marks in _OF_ONE_RUN.items():
        if isinstance(metadata.get(part), dict):
            metadata[part] = {key: said for key, said in metadata[part].items() if not str(key).startswith(marks)}
    return metadata


def _named(metadata: _Plain) -> _Plain:
    prefix = metadata.get("generateName")
    if not isinstance(prefix, str):
        return metadata
    rest = {key: part for key, part in metadata.items() if key != "generateName"}
    if not rest.get("name"):
        rest["name"] = prefix[:_LONGEST_PREFIX] + "".join(secrets.choice(_LETTERS) for _ in range(_GENERATED))
    return rest
