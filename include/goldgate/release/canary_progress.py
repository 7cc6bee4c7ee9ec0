"""What the canary step reads and remembers: its progress on disk, and its window of the request log."""

from datetime import timedelta
from pathlib import Path
from typing import Final

from goldgate.contracts.canary import CanaryProgress
from goldgate.contracts.documents import read_json
from goldgate.contracts.durable import write_durably
from goldgate.contracts.policy import CanaryPlan
from goldgate.contracts.prediction import QUESTION_REFUSED, RATE_LIMITED
from goldgate.contracts.request_log import RequestLog
from goldgate.domain.canary import ArmWindow, Bounds, Plan, State, Window
from goldgate.ports.records import ReleaseStore, RequestLogReader
from goldgate.release.records import StepMissingError

_PROGRESS: Final = "canary_progress.json"


def window_of(requests: RequestLogReader, agent: str, progress: CanaryProgress) -> Window:
    """Read what both arms did since the canary got its present share.

    A question that the champion refuses is its caller's fault and counts for neither arm. One that only the canary
    refuses is the canary's error: it would turn away what is answered today. A request that was one too many was
    refused before an arm was asked, and counts nowhere.
    """
    entries = [entry for entry in requests.since(agent, progress.since) if not _was_one_too_many(entry)]
    champion = [e for e in entries if e.arm == "champion" and e.model == f"{agent}@{progress.champion}"]
    canary = [e for e in entries if e.arm == "canary" and e.model == f"{agent}@{progress.version}"]
    # A caller may send many requests under one trace id of its own: the span tells them apart.
    faulty = {(e.trace_id, e.span_id) for e in champion if _refuses_question(e)}
    return Window(
        canary=_arm_window([e for e in canary if not (_refuses_question(e) and (e.trace_id, e.span_id) in faulty)]),
        champion=_arm_window([e for e in champion if not _refuses_question(e)]),
        lost=requests.lost(agent, progress.since),
    )


def _refuses_question(entry: RequestLog) -> bool:
    return entry.error is not None and entry.error.startswith(QUESTION_REFUSED)


def _was_one_too_many(entry: RequestLog) -> bool:
    return entry.error is not None and entry.error.startswith(RATE_LIMITED)


def _arm_window(entries: list[RequestLog]) -> ArmWindow:
    answered = [entry for entry in entries if entry.error is None]
    return ArmWindow(
        errors=len(entries) - len(answered),
        safety_blocks=sum(bool(entry.safety_flags) for entry in answered),
        latencies_ms=tuple(entry.latency_ms_total for entry in answered),
        costs_usd=tuple(entry.cost_usd for entry in answered if entry.is_metered),
    )


def figures_of(arm: ArmWindow) -> dict[str, float]:
    """Name what was measured; what was not is left out."""
    measured = {
        "error_ratio": arm.error_ratio,
        "latency_p95_ms": arm.latency_p95_ms,
        "cost_usd": arm.cost_mean_usd,
        "safety_block_ratio": arm.safety_block_ratio,
    }
    return {"requests": arm.requests, **{name: value for name, value in measured.items() if value is not None}}


def plan_of(plan: CanaryPlan) -> Plan:
    """Translate the policy's plan for the domain."""
    bounds = plan.guardrails
    return Plan(
        ratios=tuple(plan.ratios),
        dwell=timedelta(seconds=plan.dwell_s),
        min_requests=plan.min_requests,
        give_up_after=timedelta(seconds=plan.give_up_after_s),
        bounds=Bounds(
            max_error_ratio=bounds.max_error_ratio,
            max_latency_p95_ratio=bounds.max_latency_p95_ratio,
            max_cost_ratio=bounds.max_cost_ratio,
            max_safety_block_excess_ratio=bounds.max_safety_block_excess_ratio,
        ),
    )


def state_of(progress: CanaryProgress) -> State:
    """Translate the progress for the domain."""
    return State(started_at=progress.started_at, ratio=progress.ratio, since=progress.since)


def started_progress(store: ReleaseStore, release_id: str) -> CanaryProgress:
    """Read the progress of a canary that must have been started."""
    progress = read_progress(store, release_id)
    if progress is None:
        raise StepMissingError(f"The canary of release `{release_id}` was never started. Start it first.")
    return progress


def read_progress(store: ReleaseStore, release_id: str) -> CanaryProgress | None:
    """Read the progress, if the canary was started."""
    path = _path(store, release_id)
    return read_json(path, CanaryProgress) if path.exists() else None


def keep_progress(store: ReleaseStore, release_id: str, progress: CanaryProgress) -> None:
    """Replace the progress. It changes with every step, so it is no record, which is written once."""
    write_durably(_path(store, release_id), progress.model_dump_json(indent=1).encode() + b"\n")


def _path(store: ReleaseStore, release_id: str) -> Path:
    return store.folder(release_id) / _PROGRESS
