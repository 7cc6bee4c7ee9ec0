"""What a pod's JSON says, as facts. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from goldgate.domain.runs.pods import PodFacts, PodPhase

CONTAINER: Final = "run"
"""The container that works; what else is put beside it decides nothing."""

_ORDINARY: Final = frozenset({"ContainerCreating", "PodInitializing", "Completed", "Error"})
"""Reasons that say nothing."""

Json = Mapping[str, Any]


def facts_of(pod: Json, *, now: datetime) -> PodFacts:
    """Read a pod.

    Args:
        pod: As the API server gives it.
        now: The time.
    """
    metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
    state = _state(status)
    ended = state.get("terminated")
    phase = _phase(metadata, status, ended)
    disruption = _condition(status, "DisruptionTarget")
    is_disrupted = disruption.get("status") == "True"
    reason, message = _why(status, state, phase, disruption if is_disrupted else {})
    return PodFacts(
        name=metadata.get("name", ""),
        phase=phase,
        reason=reason,
        message=message,
        exit_code=None if ended is None else ended.get("exitCode"),
        is_disrupted=is_disrupted,
        age_s=_since(metadata.get("creationTimestamp"), now),
        overdue_s=_since(metadata.get("deletionTimestamp"), now),
        owner=_owner(metadata),
    )


def _phase(metadata: Json, status: Json, ended: Json | None) -> PodPhase:
    if status.get("phase") in {"Succeeded", "Failed"} or ended is not None:
        return PodPhase.ENDED
    if metadata.get("deletionTimestamp"):
        return PodPhase.ENDING
    # `Unknown`: the node does not answer. What runs there runs, until the cluster takes the pod away.
    return PodPhase.RUNNING if status.get("phase") in {"Running", "Unknown"} else PodPhase.PENDING


def _why(status: Json, state: Json, phase: PodPhase, disruption: Json) -> tuple[str, str]:
    """Find the most telling reason: of the container, the pod, a disruption, or the scheduler."""
    ended, waiting = state.get("terminated") or {}, state.get("waiting") or {}
    scheduled = _condition(status, "PodScheduled")
    candidates: list[Json] = [status] if status.get("reason") == "DeadlineExceeded" else []
    if phase is PodPhase.PENDING:
        candidates += [waiting, *([scheduled] if scheduled.get("status") == "False" else []), *_of_others(status)]
    else:
        candidates += [ended, status, disruption]
    for found in candidates:
        reason = str(found.get("reason") or "")
        if reason and reason not in _ORDINARY:
            return reason, str(found.get("message") or "")
    return "", str(ended.get("message") or waiting.get("message") or status.get("message") or "")


def _of_others(status: Json) -> Iterable[Json]:
    """Give what containers wait for that were put beside ours."""
    for each in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (each.get("state") or {}).get("waiting")
        if waiting:
            yield waiting


def _state(status: Json) -> Json:
    for each in status.get("containerStatuses") or []:
        if each.get("name") == CONTAINER:
            return each.get("state") or {}
    return {}


def _condition(status: Json, kind: str) -> Json:
    return next((each for each in status.get("conditions") or [] if each.get("type") == kind), {})


def _owner(metadata: Json) -> str:
    owners = metadata.get("ownerReferences") or []
    return next((str(each.get("uid") or "") for each in owners if each.get("controller")), "")


def _since(text: str | None, now: datetime) -> float:
    if not text:
        return 0.0
    return max((now - datetime.fromisoformat(text)).total_seconds(), 0.0)
