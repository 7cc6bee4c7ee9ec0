"""What is to be done for a run, by what is known of it and of its pod: follow, launch, wait, or fail with advice.

Whoever asks has looked at the pod first and at the record after it: a pod that ended has recorded all it will.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from goldgate.domain.runs.pod_troubles import AT_ONCE, CANNOT_RUN, TAKEN_AWAY, trouble_of
from goldgate.domain.runs.pods import Launches, LaunchPolicy, PodFacts, PodPhase

INTERRUPTED: Final = 75
IMPOSSIBLE: Final = 5
WAITS: Final = 6
USAGE: Final = 2
"""Exit codes of the program that works on a run."""

AGENT_AGAIN_S: Final = 30.0
"""Between two pods that look whether the agent is there: each costs a start."""

MOST_IN_VAIN: Final = 20
"""Pods in a row that let go of a run and recorded nothing: something else is wrong."""

NODE_SILENT_S: Final = 60.0
"""A pod that should have been gone for so long is on a node that does not answer. If it runs on, the record of the run
refuses its writes once its lease was taken."""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What matters of a record, read after its pod was looked at."""

    name: str
    is_over: bool = False
    waits_for_person: bool = False
    """And nobody has spoken."""
    waits_for_agent: bool = False
    deadline: datetime | None = None
    """By when it has to be over. None: it never has."""
    moved_at: datetime | None = None
    """When one of its pods last had something happen to it. What launchers record of it does not count."""
    has_let_go: bool = False
    """What happened then was that its pod, which was asked to end, let go of it in good order."""


@dataclass(frozen=True, kw_only=True)
class Follow:
    """Its pod works on it, or is about to."""

    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class WaitForPod:
    """Its pod does not start. It may yet."""

    detail: str
    about: str = ""
    """What tells the cause apart from others, and is in `detail`. Empty: nothing that a history has to tell."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A pod is to be made."""

    count: Launches
    """With it. The same as before: it was counted, and never seen."""


@dataclass(frozen=True, kw_only=True)
class AskPerson:
    """A person has the word; no pod is needed meanwhile."""


@dataclass(frozen=True, kw_only=True)
class WaitForAgent:
    """The agent, or something that it needs, is not there; no pod is needed meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Expire:
    """The run's time is over, and no pod works on it that could end it: whoever looks does."""

    is_left: bool = True
    """Whoever held it is gone for certain. Otherwise its pod may begin this very moment, and ends it itself."""


@dataclass(frozen=True, kw_only=True)
class Over:
    """The run is over."""


@dataclass(frozen=True, kw_only=True)
class Fail:
    """No pod will bring this run to its end."""

    advice: str
    """What was found, and what to do."""


_SIGNALS: Final = {
    137: ", killed (SIGKILL) for a reason that the cluster does not give: want of memory, if it happens again",
    143: ", ended (SIGTERM) before it could record itself",
}

Decision = Follow | WaitForPod | Launch | AskPerson | WaitForAgent | Expire | Over | Fail


@dataclass(frozen=True, kw_only=True)
class _Facts:
    run: RunFacts
    count: Launches
    policy: LaunchPolicy
    now: datetime


def decide(run: RunFacts, *, pod: PodFacts | None, count: Launches, policy: LaunchPolicy, now: datetime) -> Decision:
    """Tell what is to be done.

    Args:
        run: The record, read after the pod was looked at.
        pod: The pod that `count` names. None: there is none of that name.
        count: How many there were.
        policy: What is allowed.
        now: The time.
    """
    if count.launched == 0:
        pod = None  # whatever stands there is none of this run's
    facts = _Facts(run=run, count=count, policy=policy, now=now)
    if run.is_over:
        return Over()
    decision = _by_pod(facts, pod)
    is_past = run.deadline is not None and now >= run.deadline
    if not is_past or isinstance(decision, Fail) or (pod is not None and _works(pod)):
        # What keeps a run from its end for good is told rather than that its time is over, too.
        return decision
    return Expire(is_left=count.is_made if pod is None else pod.phase is not PodPhase.PENDING)


def _by_pod(facts: _Facts, pod: PodFacts | None) -> Decision:
    """Tell what is to be done for a run that has all the time in the world."""
    if facts.count.launched == 0:
        return Launch(count=facts.count.next(facts.run.name, now=facts.now))
    return _gone(facts) if pod is None else _LOOK[pod.phase](facts, pod)


def _works(pod: PodFacts) -> bool:
    """Whether a process is there that obeys its run's deadline, or lets go of it within moments."""
    is_ending = pod.phase is PodPhase.ENDING and pod.overdue_s < NODE_SILENT_S
    return pod.phase is PodPhase.RUNNING or is_ending


def decide_postponed(count: Launches, *, policy: LaunchPolicy, now: datetime, said: str) -> WaitForPod | Fail:
    """Tell what follows when the API server would not make a pod now.

    Args:
        count: With that pod.
        policy: How long may be waited.
        now: The time.
        said: The server's words, such as those of an exceeded quota, and what to do.
    """
    if count.waited_s(now) < policy.start_within_s:
        about = f"Pod `{count.pod}` cannot be made yet"
        return WaitForPod(detail=f"{about}: {said}", about=about)
    return Fail(
        advice=f"Pod `{count.pod}` could not be made within {policy.start_within_s:.0f} s: {said} Put that "
        "right and start the run anew; `startWithinSeconds` of the PodSettings says how long is waited."
    )


def _gone(facts: _Facts) -> Decision:
    count = facts.count
    if not count.is_made:
        return Launch(count=count)
    if (waits := _waits(facts)) is not None:
        return waits
    if count.is_done or (facts.run.has_let_go and _has_moved(facts)):
        # Drained in good order, as often as it may be, is no loss.
        return _again(facts, f"Pod `{count.pod}` let go of the run")
    return _lost(facts, f"Pod `{count.pod}` vanished: it was deleted, drained, or its node is gone.")


def _starting(facts: _Facts, pod: PodFacts) -> Decision:
    policy = facts.policy
    is_late = pod.age_s >= policy.start_within_s
    trouble = trouble_of(pod)
    if trouble is None and not is_late:
        return Follow(detail=pod.message)
    found = f"Pod `{pod.name}` does not start: {trouble or _words(pod) or 'the cluster gives no reason'}."
    if pod.reason in AT_ONCE:
        return Fail(advice=found)
    if not is_late:
        return WaitForPod(detail=found, about=f"Pod `{pod.name}` does not start: {pod.reason}")
    return Fail(
        advice=f"{found} It had {policy.start_within_s:.0f} s (`startWithinSeconds` of the PodSettings). "
        f"`kubectl describe pod {pod.name}` tells more."
    )


def _ending(facts: _Facts, pod: PodFacts) -> Decision:
    if pod.overdue_s < NODE_SILENT_S:
        return Follow(detail="It was asked to end")
    if (waits := _waits(facts)) is not None:
        return waits
    return _lost(facts, f"Pod `{pod.name}` should have ended {pod.overdue_s:.0f} s ago: its node does not answer.")


def _ended(facts: _Facts, pod: PodFacts) -> Decision:
    if (waits := _waits(facts)) is not None:
        return waits
    if pod.reason == "OOMKilled":
        return _starved(facts, pod)
    if pod.reason == "DeadlineExceeded":
        return Fail(
            advice=f"deadline: pod `{pod.name}` was ended by the cluster after all the time that it had. Raise "
            "`deadlineSeconds` of the TaskRun, or that of the PodSettings."
        )
    if pod.exit_code in {INTERRUPTED, WAITS}:
        return _again(facts, f"Pod `{pod.name}` ended with exit code {pod.exit_code}")
    if pod.is_disrupted or pod.reason in TAKEN_AWAY or pod.reason.startswith("OutOf"):
        return _lost(facts, f"Pod `{pod.name}` was taken away by the cluster: {_words(pod)}.{_too_much(pod)}")
    return _exited(facts, pod)


def _exited(facts: _Facts, pod: PodFacts) -> Decision:
    code = pod.exit_code
    if code is None:
        return _lost(facts, f"Pod `{pod.name}` failed, and no more is known than: {_words(pod) or 'nothing'}.")
    found = f"Pod `{pod.name}` ended with exit code {code}"
    if code == IMPOSSIBLE:
        return Fail(advice=pod.message.strip() or f"{found}: the run is impossible as it is. See its log.")
    if code == USAGE or pod.reason in CANNOT_RUN:
        return Fail(
            advice=f"{found}: {_words(pod) or 'its command is not understood'}. The image does not hold the program "
            "that works on runs, or another version of it. Correct `image` of the PodSettings."
        )
    if code in {0, 1}:
        return _lost(facts, f"{found}, and recorded no end of the run.")
    said = f" Its last words: {pod.message.strip()}" if pod.message.strip() else ""
    return _lost(facts, f"{found}{_SIGNALS.get(code, '')}.{said}")


def _waits(facts: _Facts) -> Decision | None:
    """Say for whom a run waits that has no pod; None if there is work."""
    if facts.run.waits_for_person:
        return AskPerson()
    if not facts.run.waits_for_agent:
        return None
    if facts.count.waited_s(facts.now) < AGENT_AGAIN_S:
        return WaitForAgent()
    return Launch(count=facts.count.next(facts.run.name, now=facts.now))


def _again(facts: _Facts, found: str) -> Decision:
    """Launch another pod after one that let go in good order: no loss, if it came on."""
    in_vain = 0 if _has_moved(facts) else facts.count.in_vain + 1
    if in_vain > MOST_IN_VAIN:
        return Fail(
            advice=f"{found}, as the {MOST_IN_VAIN} before it did, and none recorded anything. See the log of the "
            "last, and whether something else works on this run."
        )
    return Launch(count=facts.count.next(facts.run.name, now=facts.now, in_vain=in_vain))


def _has_moved(facts: _Facts) -> bool:
    """Whether the latest pod did anything."""
    moved, since = facts.run.moved_at, facts.count.since
    return moved is not None and since is not None and moved > since


def _starved(facts: _Facts, pod: PodFacts) -> Decision:
    found = f"Pod `{pod.name}` ran out of memory (OOMKilled)"
    if facts.count.starved or facts.policy.max_losses == 0:
        more = ", as one before it did" if facts.count.starved else ""
        return Fail(advice=f"{found}{more}. Raise `resources.limits.memory` of the PodSettings.")
    return _lost(facts, f"{found}.", starved=1)


def _lost(facts: _Facts, why: str, *, starved: int = 0) -> Decision:
    count, most = facts.count, facts.policy.max_losses
    if count.lost >= most:
        return Fail(
            advice=f"{why} No other is launched after {count.lost + 1} lost pods: `maxLosses` of the PodSettings is "
            f"{most}. `kubectl get events` tells what became of them."
        )
    return Launch(count=count.next(facts.run.name, now=facts.now, lost=1, starved=starved, why=why))


def _words(pod: PodFacts) -> str:
    return ": ".join(part.strip().rstrip(".") for part in (pod.reason, pod.message) if part.strip())


def _too_much(pod: PodFacts) -> str:
    if "ephemeral" in pod.message or "EmptyDir" in pod.message:
        return " It wrote more than it may: raise `scratchBytes` of the PodSettings, or write less."
    return ""


_LOOK: Final[Mapping[PodPhase, Callable[[_Facts, PodFacts], Decision]]] = {
    PodPhase.PENDING: _starting,
    PodPhase.RUNNING: lambda *_: Follow(),
    PodPhase.ENDING: _ending,
    PodPhase.ENDED: _ended,
}
