"""The canary step: a rising share of live traffic for the candidate, watched, and taken back when it breaks.

    start_canary  ->  look, look, ...  ->  act on what was decided  ->  look, ...  ->  CanaryRecord

Looks are cheap and hold nothing, so that a waiting task holds no worker. Each look renews the lease of the traffic: if
nobody looks, the router ends the canary by itself. A decision that ends the canary is written down and its traffic is
taken back within the look; the act that follows makes it the step's record. Killed anywhere, the next call goes on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, assert_never

from pydantic import JsonValue

from goldgate.contracts.canary import CanaryDecision, CanaryProgress
from goldgate.contracts.policy import CanaryPlan
from goldgate.contracts.release import CanaryRecord, Registration, ReleaseOrder
from goldgate.domain import canary as decide
from goldgate.domain.canary import Abort, Advance, ArmWindow, Complete, GiveUp, Hold, Step, Window
from goldgate.domain.errors import PermanentError
from goldgate.ports.delivery import Clock
from goldgate.ports.records import Ledger, ReleaseStore, RequestLogReader
from goldgate.ports.registry import CanaryTraffic, Registry
from goldgate.release.canary_progress import (
    figures_of,
    keep_progress,
    plan_of,
    read_progress,
    started_progress,
    state_of,
    window_of,
)
from goldgate.release.records import StepMissingError, needed, note_once, refuse_closed

_STEP: Final = "canary"

_LEAST_LEASE: Final = timedelta(seconds=20)
"""Longer than a registry or a scheduler usually needs to come back."""

_LOOKS_PER_LEASE: Final = 4
"""So many looks in a row may fail before traffic ends."""

_LEASE_UNTIL_PROMOTED: Final = timedelta(seconds=120)
"""A canary that passed keeps its traffic, and so its warm arm, for the seconds until `promote` moves the alias."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a look saw."""

    step: Step
    window: Window


def start_canary(
    release_id: str,
    *,
    plan: CanaryPlan,
    store: ReleaseStore,
    registry: Registry,
    ledger: Ledger,
    clock: Clock,
) -> CanaryRecord | CanaryProgress:
    """Give the registered version its first share of traffic.

    Returns:
        `CanaryProgress` while the canary runs. `CanaryRecord` if it ended before, or if there is no champion to
        compare it with and it is skipped.

    Raises:
        StepMissingError: The candidate is not registered.
        PermanentError: It is the champion already.
    """
    order = needed(store, release_id, ReleaseOrder)
    version = needed(store, release_id, Registration).version
    if (record := store.read(release_id, CanaryRecord)) is not None:
        _note_end(ledger, order, version=version, record=record)
        return record
    refuse_closed(store, release_id)
    progress = read_progress(store, release_id)
    if progress is None:
        champion = registry.traffic(order.agent).champion
        if champion is None:
            return _end(_skipped(order.agent), order=order, version=version, store=store, ledger=ledger)
        progress = _begun(order, version=version, champion=champion, plan=plan, now=clock.now())
        keep_progress(store, release_id, progress)
    evidence: dict[str, JsonValue] = {"version": version, "champion": progress.champion, "ratio": plan.ratios[0]}
    note_once(ledger, order, step=_STEP, outcome="started", evidence=evidence)
    if progress.decision is None:
        _renew(registry, order.agent, progress, now=clock.now())
    return progress


def look(release_id: str, *, store: ReleaseStore, registry: Registry, requests: RequestLogReader, clock: Clock) -> Step:
    """Look at the canary once, and decide what to do next.

    Renews the lease of the traffic while the canary goes on, and ends the traffic at once when it is broken or given
    up. After that, every look returns the same decision.

    Raises:
        StepMissingError: The canary was never started.
        TransientError: The registry cannot be reached. The canary ends by itself if that lasts.
    """
    return observe(release_id, store=store, registry=registry, requests=requests, clock=clock).step


def observe(
    release_id: str, *, store: ReleaseStore, registry: Registry, requests: RequestLogReader, clock: Clock
) -> Observed:
    """Do as `look` does, and return the figures too."""
    order = needed(store, release_id, ReleaseOrder)
    if (record := store.read(release_id, CanaryRecord)) is not None:
        return Observed(step=_step_of(record.outcome, record.reason), window=_EMPTY)
    refuse_closed(store, release_id)
    progress = started_progress(store, release_id)
    if (decision := progress.decision) is not None:
        _settle_traffic(registry, order.agent, progress, decision, now=clock.now())
        return Observed(step=_step_of(decision.outcome, decision.reason), window=_EMPTY)
    window = window_of(requests, order.agent, progress)
    step = _overtaken(registry, order.agent, progress) or decide.next_step(
        plan_of(progress.plan), window, state_of(progress), clock.now()
    )
    if (outcome := _outcome_of(step)) is not None:
        decision = CanaryDecision(
            outcome=outcome,
            reason=step.reason,
            canary=figures_of(window.canary),
            champion=figures_of(window.champion),
        )
        progress = progress.model_copy(update={"decision": decision})
        keep_progress(store, release_id, progress)
        _settle_traffic(registry, order.agent, progress, decision, now=clock.now())
    else:
        _renew(registry, order.agent, progress, now=clock.now())
    return Observed(step=step, window=window)


def act(
    release_id: str, step: Step, *, store: ReleaseStore, registry: Registry, ledger: Ledger, clock: Clock
) -> CanaryRecord | None:
    """Do what a look decided.

    Returns:
        The record if the canary has ended, else None: look again.

    Raises:
        StepMissingError: The canary was never started, or the look that decided its end did not come from here.
    """
    order = needed(store, release_id, ReleaseOrder)
    version = needed(store, release_id, Registration).version
    if (record := store.read(release_id, CanaryRecord)) is not None:
        _note_end(ledger, order, version=version, record=record)
        return record
    progress = started_progress(store, release_id)
    match step:
        case Hold():
            return None
        case Advance():
            _advance(step, order=order, progress=progress, store=store, registry=registry, ledger=ledger, clock=clock)
            return None
        case Abort() | Complete() | GiveUp():
            if progress.decision is None:
                raise StepMissingError(
                    f"No look has decided how the canary of release `{release_id}` ends. Look first."
                )
            _settle_traffic(registry, order.agent, progress, progress.decision, now=clock.now())
            record = CanaryRecord.model_validate(progress.decision.model_dump())
            return _end(record, order=order, version=version, store=store, ledger=ledger)
        case _:
            assert_never(step)


def look_and_act(
    release_id: str,
    *,
    store: ReleaseStore,
    registry: Registry,
    requests: RequestLogReader,
    ledger: Ledger,
    clock: Clock,
) -> tuple[Observed, CanaryRecord | None]:
    """Look, and do at once what the look decided: for callers that need no rest in between."""
    observed = observe(release_id, store=store, registry=registry, requests=requests, clock=clock)
    return observed, act(release_id, observed.step, store=store, registry=registry, ledger=ledger, clock=clock)


def run_canary(
    release_id: str,
    *,
    plan: CanaryPlan,
    store: ReleaseStore,
    registry: Registry,
    requests: RequestLogReader,
    ledger: Ledger,
    clock: Clock,
    sleep_s: Callable[[float], None],
    on_look: Callable[[str], None] = lambda _: None,
) -> CanaryRecord:
    """Run the whole canary in one call, waiting between looks.

    Args:
        release_id: A registered release.
        plan: The policy's canary plan. A canary that was begun keeps the plan that it began with.
        store: Records of the release.
        registry: Where traffic is set.
        requests: What the router logged.
        ledger: Where the steps are noted.
        clock: The time of day.
        sleep_s: Waits so many seconds.
        on_look: Told what each look found.
    """
    begun = start_canary(release_id, plan=plan, store=store, registry=registry, ledger=ledger, clock=clock)
    if isinstance(begun, CanaryRecord):
        return begun
    while True:
        observed, record = look_and_act(
            release_id, store=store, registry=registry, requests=requests, ledger=ledger, clock=clock
        )
        on_look(described(observed))
        if record is not None:
            return record
        sleep_s(begun.plan.look_every_s)


def described(observed: Observed) -> str:
    """Tell a look in one line."""
    canary, champion = observed.window.canary.requests, observed.window.champion.requests
    word = type(observed.step).__name__.lower()
    return f"{word}: {observed.step.reason} (canary {canary}, champion {champion} requests)"


_EMPTY: Final = Window(canary=ArmWindow(), champion=ArmWindow())


def _advance(
    step: Advance,
    *,
    order: ReleaseOrder,
    progress: CanaryProgress,
    store: ReleaseStore,
    registry: Registry,
    ledger: Ledger,
    clock: Clock,
) -> None:
    """Take the next share. The progress is kept first: the next look sets whatever traffic it says."""
    now = clock.now()
    if step.to_ratio > progress.ratio:
        progress = progress.model_copy(update={"ratio": step.to_ratio, "since": now})
        keep_progress(store, order.release_id, progress)
    evidence: dict[str, JsonValue] = {"version": progress.version, "ratio": step.to_ratio, "reason": step.reason}
    note_once(ledger, order, step=_STEP, outcome=f"advanced to {step.to_ratio:g}", evidence=evidence)
    _renew(registry, order.agent, progress, now=now)


def _end(
    record: CanaryRecord, *, order: ReleaseOrder, version: str, store: ReleaseStore, ledger: Ledger
) -> CanaryRecord:
    store.write(order.release_id, record)
    _note_end(ledger, order, version=version, record=record)
    return record


def _note_end(ledger: Ledger, order: ReleaseOrder, *, version: str, record: CanaryRecord) -> None:
    evidence: dict[str, JsonValue] = {"version": version, **record.model_dump(mode="json")}
    note_once(ledger, order, step=_STEP, outcome=record.outcome, evidence=evidence)


def _overtaken(registry: Registry, agent: str, progress: CanaryProgress) -> Abort | None:
    """Stop if the world has moved on under the canary: then it is compared with nobody, or gets no traffic."""
    traffic = registry.traffic(agent)
    if traffic.champion != progress.champion:
        return Abort(
            reason=f"the champion changed from version `{progress.champion}` to `{traffic.champion}` meanwhile"
        )
    if traffic.canary is not None and traffic.canary.version != progress.version:
        return Abort(reason=f"version `{traffic.canary.version}` became the canary instead")
    if traffic.canary is None:
        return Abort(reason="somebody ended the canary's traffic")
    return None


def _settle_traffic(
    registry: Registry, agent: str, progress: CanaryProgress, decision: CanaryDecision, *, now: datetime
) -> None:
    """Leave a canary that passed its traffic until it is promoted; take any other's back, but nobody else's."""
    found = registry.traffic(agent).canary
    is_ours = found is not None and found.version == progress.version
    if not is_ours:
        return
    if decision.outcome == "passed":
        until = now + _LEASE_UNTIL_PROMOTED
        registry.set_canary(agent, CanaryTraffic(version=progress.version, ratio=progress.ratio, until=until))
    else:
        registry.set_canary(agent, None)


def _renew(registry: Registry, agent: str, progress: CanaryProgress, *, now: datetime) -> None:
    lease = max(_LOOKS_PER_LEASE * timedelta(seconds=progress.plan.look_every_s), _LEAST_LEASE)
    traffic = CanaryTraffic(version=progress.version, ratio=progress.ratio, until=now + lease)
    registry.set_canary(agent, traffic)


def _skipped(agent: str) -> CanaryRecord:
    reason = f"agent `{agent}` has no champion to compare with"
    return CanaryRecord(outcome="skipped", reason=reason, canary={}, champion={})


def _begun(order: ReleaseOrder, *, version: str, champion: str, plan: CanaryPlan, now: datetime) -> CanaryProgress:
    if champion == version:
        raise PermanentError(
            f"Version `{version}` of `{order.agent}` is champion already, so release `{order.release_id}` has no "
            "canary. Start a new release."
        )
    return CanaryProgress(
        version=version, champion=champion, plan=plan, started_at=now, ratio=plan.ratios[0], since=now
    )


Ended = Literal["passed", "aborted", "undecided"]


def _outcome_of(step: Step) -> Ended | None:
    match step:
        case Complete():
            return "passed"
        case Abort():
            return "aborted"
        case GiveUp():
            return "undecided"
        case Hold() | Advance():
            return None
        case _:
            assert_never(step)


def _step_of(outcome: Literal["passed", "aborted", "undecided", "skipped"], reason: str) -> Step:
    match outcome:
        case "passed" | "skipped":
            return Complete(reason=reason)
        case "aborted":
            return Abort(reason=reason)
        case "undecided":
            return GiveUp(reason=reason)
        case _:
            assert_never(outcome)
