"""The status of a TaskRun as the API server holds it: whole, or its beginning for people with the whole in parts."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from goldgate.adapters.cluster.objects import Object
from goldgate.adapters.cluster.parts import written_bytes
from goldgate.contracts.base import problems_of
from goldgate.contracts.cluster import NOT_BEGUN, PART_CHARS, WORD_ANNOTATION, HeldStatus, StoredText
from goldgate.contracts.task_runs import CallStatus, RunProgress, TaskRun, TaskRunStatus
from goldgate.domain.errors import PermanentError

C = TypeVar("C", HeldStatus, StoredText)

_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""What kubectl remembers of a resource: all of it once more."""

_OBJECT_BYTES: Final = 1_100_000
"""For question and status together; annotations may take 256 kB beside them, and etcd takes 1.5 MiB."""

_VIEWS: Final = ((30, 4_000), (10, 1_000), (5, 200))
"""So many items of each list, and so many characters of each text: what is shown of a status that is too large."""
_VIEW_BYTES: Final = 150_000


class DamagedTaskRunError(PermanentError):
    """What the API server holds is no TaskRun as it is recorded here. Nothing was changed."""


def run_of(obj: Object, *, status: TaskRunStatus | None = None) -> TaskRun:
    """Read a TaskRun as it was recorded; what the store keeps beside it is left out.

    Args:
        obj: As the API server holds it.
        status: Instead of the one in it.

    Raises:
        DamagedTaskRunError: It breaks its contract.
    """
    metadata, stands = obj["metadata"], dict(obj.get("status") or {})
    stands.pop("held", None)
    stands.pop("whole", None)
    if stands == NOT_BEGUN:
        stands = {}
    annotations = metadata.get("annotations") or {}
    kept = {key: value for key, value in annotations.items() if key != _APPLIED and not key.startswith(WORD_ANNOTATION)}
    written = {
        "apiVersion": obj.get("apiVersion"),
        "kind": obj.get("kind"),
        "metadata": {
            "name": metadata["name"],
            "labels": metadata.get("labels") or {},
            "annotations": kept,
            "creationTimestamp": metadata.get("creationTimestamp"),
        },
        "spec": obj.get("spec"),
        "status": {} if status is not None else stands,
    }
    try:
        run = TaskRun.model_validate(written)
    except ValidationError as error:
        raise damaged(metadata["name"], error) from error
    return run if status is None else run.model_copy(update={"status": status})


def status_of_text(text: str, *, name: str) -> TaskRunStatus:
    """Read a whole status from the text that was stored beside it.

    Raises:
        DamagedTaskRunError: It breaks its contract.
    """
    try:
        return TaskRunStatus.model_validate_json(text)
    except ValidationError as error:
        raise damaged(name, error) from error


def held_of(obj: Object) -> HeldStatus:
    """Read who works on a run.

    Raises:
        DamagedTaskRunError: That breaks its contract.
    """
    return _part_of(obj, "held", HeldStatus) or HeldStatus()


def whole_of(obj: Object) -> StoredText | None:
    """Read where the whole status lies; None if it stands in the run itself.

    Raises:
        DamagedTaskRunError: That breaks its contract.
    """
    return _part_of(obj, "whole", StoredText)


def damaged(name: str, error: ValidationError | PermanentError) -> DamagedTaskRunError:
    """Say that a record cannot be read."""
    found = str(error)
    if isinstance(error, ValidationError):
        found = "; ".join(str(problem) for problem in problems_of(error, where=f"TaskRun `{name}`")[:3])
    return DamagedTaskRunError(
        f"The record of run `{name}` cannot be read, and nothing was changed: {found}. Correct its status, or delete "
        "it with `kubectl delete taskrun` and start the run anew."
    )


def text_of_status(status: TaskRunStatus) -> str:
    """Write a status as it is stored in parts."""
    return status.__pydantic_serializer__.to_json(status, by_alias=True, exclude_none=True).decode()


def object_of_status(status: TaskRunStatus) -> Object:
    """Write a status as the API server takes it."""
    written: Object = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return written


def text_of_time(at: datetime) -> str:
    """Write a time as the API server does."""
    return at.isoformat().replace("+00:00", "Z")


def fits(text: str, *, spec_bytes: int) -> bool:
    """Whether a status can stand in its run, beside a question of that size."""
    return len(text) <= PART_CHARS and written_bytes(text) <= min(PART_CHARS, _OBJECT_BYTES - spec_bytes)


def shown(status: TaskRunStatus, stored: StoredText) -> TaskRunStatus:
    """Shorten a status to what people need to see where it stands. Every cut is marked."""
    short = status
    for items, chars in _VIEWS:
        short = _cut(status, items=items, chars=chars, stored=stored)
        if written_bytes(text_of_status(short)) <= _VIEW_BYTES:
            break
    return short


def _cut(status: TaskRunStatus, *, items: int, chars: int, stored: StoredText) -> TaskRunStatus:
    text = partial(_shortened, chars=chars, stored=stored)
    messages = [
        message.model_copy(update={"content": text(message.content), "tool_calls": []})
        for message in status.context_window[-items:]
    ]
    calls = [_cut_call(call, text) for call in status.calls[:items]]
    events = [event.model_copy(update={"message": text(event.message)}) for event in status.events[-items:]]
    fields: dict[str, Any] = {
        "status_detail": text(status.status_detail),
        "error": None if status.error is None else text(status.error),
        "output": None if status.output is None else text(status.output),
        "citations": [text(each) for each in status.citations[:items]],
        "retrieved": [text(each) for each in status.retrieved[:items]],
        "safety_flags": [text(each) for each in status.safety_flags[:items]],
        "context_window": messages,
        "calls": calls,
        "events": events,
        "events_dropped": status.events_dropped + len(status.events) - len(events),
        "progress": RunProgress(run_id=status.progress.run_id, bundle=status.progress.bundle),
    }
    return status.model_copy(update=fields)


def _cut_call(call: CallStatus, text: Callable[[str], str]) -> CallStatus:
    named = {"arguments": call.arguments, "content": call.content, "question": call.question}
    return call.model_copy(update={**{key: text(whole) for key, whole in named.items()}, "extra": ""})


def _shortened(whole: str, *, chars: int, stored: StoredText) -> str:
    if len(whole) <= chars:
        return whole
    left, where = len(whole) - chars, f"{stored.parts} Parts of {stored.digest[:16]}"
    return f"{whole[:chars]}… [{left} more characters, in {where}]"


def _part_of(obj: Object, key: str, contract: type[C]) -> C | None:
    found = (obj.get("status") or {}).get(key)
    if not found:
        return None
    try:
        return contract.model_validate(found)
    except ValidationError as error:
        raise damaged(obj["metadata"]["name"], error) from error
