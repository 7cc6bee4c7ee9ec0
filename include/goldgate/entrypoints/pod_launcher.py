"""Has pods work on runs: looks, decides, acts. Every step may be repeated, and cut off anywhere.

What is done, in this order: the pod is counted in the run's record, the lease of the one before is taken back, the pod
is made, and seen. Killed between any two, the next launcher finds a count without a pod, and makes that very pod.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from goldgate.agent.run_interruptions import deadline_of
from goldgate.agent.run_outside import FROM_OUTSIDE, OutsideRecorder
from goldgate.agent.run_work import INTERRUPTED_REASON
from goldgate.contracts.pods import PodSettingsSpec
from goldgate.contracts.task_runs import TaskRun
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.launching import (
    INTERRUPTED,
    WAITS,
    AskPerson,
    Decision,
    Expire,
    Fail,
    Follow,
    Launch,
    Over,
    RunFacts,
    WaitForAgent,
    WaitForPod,
    decide,
    decide_postponed,
)
from goldgate.domain.runs.pods import Launches, LaunchPolicy, PodFacts, PodPhase, pod_name
from goldgate.entrypoints.pod_orders import PROGRAM, Needed, Needs, PodOrders
from goldgate.ports.pods import Counted, LaunchCounts, PodPostponedError, PodRefusedError, Pods
from goldgate.ports.task_runs import RecordTooLargeError, RunHeldError

OWNER: Final = "pod/"
"""How a pod names itself where it holds a lease: this and its name."""

_ROUNDS: Final = 8
"""So often two launchers may get into each other's way before one of them gives up for now."""

_LETS_GO_WITHIN_S: Final = 3.0
"""A pod that was asked to end lets go of its run within a second."""

_LOOK_EVERY_S: Final = 0.2
_KINDS: Final = ("deadline: ", "record: ")
"""How reasons begin that say themselves of which kind they are."""

_IN_ORDER: Final = frozenset({0, WAITS, INTERRUPTED})
"""Exit codes of pods that nobody need look at."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A run and its pod, as they were found."""

    run: TaskRun
    counted: Counted
    pod: PodFacts | None
    decision: Decision

    @property
    def pod_name(self) -> str:
        """Name of the pod that works on it, or is to; empty if there was none."""
        match self.decision:
            case Launch(count=count):
                return count.pod
            case _:
                return self.counted.launches.pod


@dataclass(frozen=True, kw_only=True)
class Tended:
    """What was done for a run, and how it stands."""

    run: TaskRun
    pod: str
    decision: Decision
    """What it comes to: never a launch or a failure, which were carried out."""


@dataclass(frozen=True, kw_only=True)
class PodLauncher:
    """Carries out what `goldgate.domain.runs.launching` decides."""

    recorder: OutsideRecorder
    pods: Pods
    counts: LaunchCounts
    needs: Needs
    """Variables from Secrets for an agent, by its name. TransientError: the agent is not there."""
    settings: PodSettingsSpec
    dead: set[str]
    """Owners of leases that are known to be dead: the recorder's store takes their leases."""
    program: tuple[str, ...] = PROGRAM
    monotonic_s: Callable[[], float] = time.monotonic
    sleep_s: Callable[[float], None] = time.sleep

    @property
    def policy(self) -> LaunchPolicy:
        """What of the settings decides."""
        return policy_of(self.settings)

    @property
    def orders(self) -> PodOrders:
        """What its pods are made from."""
        return PodOrders(recorder=self.recorder, needs=self.needs, settings=self.settings, program=self.program)

    def tend(self, name: str) -> Tended:
        """Do what is to be done for a run now. Takes a few requests, and waits for nothing.

        Raises:
            PermanentError: There is no such run.
            TransientError: The API server cannot be reached. Nothing is lost: the next time goes on.
        """
        for _ in range(_ROUNDS):
            seen = self.look(name)
            decision = self._acted(seen)
            if decision is not None:
                return Tended(run=seen.run, pod=seen.pod_name, decision=decision)
        raise TransientError(f"Others keep making pods for TaskRun `{name}` at the same time. Look again.")

    def look(self, name: str) -> Seen:
        """Find how a run and its pod stand, and what follows."""
        counted = self.counts.read(name)
        if counted is None:
            raise PermanentError(
                f"Found no TaskRun `{name}` in the cluster. `kubectl get taskruns` shows those there are."
            )
        if counted.is_leaving:
            raise PermanentError(f"TaskRun `{name}` was deleted, and goes once its pods are gone: no other is made.")
        count = counted.launches
        pod = self.pods.look(count.pod, run_uid=counted.uid) if count.launched else None
        # After the pod: one that ended has recorded all it will.
        run = self.recorder.store.read(name)
        if run is None:
            raise PermanentError(f"TaskRun `{name}` was deleted.")
        decision = decide(self._facts(run), pod=pod, count=count, policy=self.policy, now=self.recorder.clock.now())
        return Seen(run=run, counted=counted, pod=pod, decision=decision)

    def cancel(self, name: str, *, within_s: float = _LETS_GO_WITHIN_S) -> Seen:
        """End a run that was told to end, whoever works on it, and its pod.

        Args:
            name: Of the run. The order to end was left for it.
            within_s: How long its pod may take to let go before the run is taken from it.
        """
        seen = self.look(name)
        if seen.pod is not None and seen.pod.is_alive:
            self.pods.end(seen.pod.name)
        until_s = self.monotonic_s() + within_s
        while True:
            is_last = self.monotonic_s() >= until_s or seen.pod is None or not seen.pod.is_alive
            if is_last and seen.counted.launches.launched:
                # From here on the API server refuses what that pod writes.
                self.dead.add(OWNER + seen.counted.launches.pod)
            try:
                self.recorder.settle(name, agent_problem="it is being cancelled")
            except RunHeldError:
                if is_last:
                    break  # a process elsewhere works on it, and hears the order
                self.sleep_s(_LOOK_EVERY_S)
            else:
                break
        return self.look(name)

    def _facts(self, run: TaskRun) -> RunFacts:
        status = run.status
        own = [event for event in status.events if event.reason not in FROM_OUTSIDE]
        return RunFacts(
            name=run.metadata.name,
            is_over=status.phase.is_terminal,
            waits_for_person=not status.phase.is_terminal and not self.recorder.has_work(run),
            waits_for_agent=status.progress.waits_for_agent,
            deadline=deadline_of(run),
            moved_at=own[-1].at if own else None,
            has_let_go=bool(own) and own[-1].reason == INTERRUPTED_REASON,
        )

    def _acted(self, seen: Seen) -> Decision | None:
        """Carry a decision out. None: things have changed, look again."""
        match seen.decision:
            case Launch():
                return self._launched(seen, seen.decision.count)
            case Fail(advice=advice):
                return self._failed(seen, advice)
            case Expire(is_left=is_left):
                return self._expired(seen, is_left=is_left)
            case Over() | AskPerson() | WaitForAgent():
                self._tidy(seen)
                return seen.decision
            case Follow() | WaitForPod():
                self._remember_made(seen)
                return self._told(seen.run, seen.decision)

    def _launched(self, seen: Seen, count: Launches) -> Decision | None:
        name = seen.run.metadata.name
        self._note_dead(name, up_to=count.launched - 1)
        try:
            if self._is_cancelled(name, seen.counted):
                self.recorder.settle(name, agent_problem="it is over")
                return None
            needed = self.orders.needed(seen.run)
            if needed is None:
                return None if self.recorder.store.read(name) != seen.run else WaitForAgent()
            counted = self._counted(seen, count)
            if counted is None:
                return None
            if count.launched > 1:
                self.recorder.free(name, lost=count.why)
        except RunHeldError as error:
            return WaitForPod(detail=str(error))
        except RecordTooLargeError as error:
            return self._failed(seen, str(error))
        return self._made(seen, counted, needed)

    def _expired(self, seen: Seen, *, is_left: bool) -> Decision | None:
        """Have a run end whose time is over, as its own process would."""
        name, launched = seen.run.metadata.name, seen.counted.launches.launched
        self._note_dead(name, up_to=launched if is_left else launched - 1)
        try:
            self.recorder.settle(name, agent_problem="its time is over")
        except RunHeldError as error:
            # Its pod has just begun after all, or somebody else is about to end it.
            return WaitForPod(detail=str(error))
        return None

    def _note_dead(self, name: str, *, up_to: int) -> None:
        """Remember which pods cannot hold a lease any more: all up to that number."""
        self.dead.update(OWNER + pod_name(name, number) for number in range(1, up_to + 1))

    def _is_cancelled(self, name: str, counted: Counted) -> bool:
        """Whether all that is left to do is to end it."""
        if counted.mark is None and not counted.may_have_words:
            return False  # the first count is refused if anything was said since
        return any(word.cancels for word in self.recorder.store.words(name))

    def _counted(self, seen: Seen, count: Launches) -> Counted | None:
        """Count the pod before it is made. None: somebody else was first."""
        if count == seen.counted.launches:
            return seen.counted
        return self.counts.move(seen.run.metadata.name, counted=seen.counted, to=count)

    def _made(self, seen: Seen, counted: Counted, needed: Needed) -> Decision | None:
        count = counted.launches
        try:
            self.pods.launch(self.orders.order(seen.run, counted=counted, needed=needed))
        except PodPostponedError as error:
            postponed = decide_postponed(count, policy=self.policy, now=self.recorder.clock.now(), said=str(error))
            if isinstance(postponed, Fail):
                return self._failed(seen, postponed.advice)
            return self._told(seen.run, postponed)
        except PodRefusedError as error:
            return self._failed(seen, str(error))
        if not self.counts.move(seen.run.metadata.name, counted=counted, to=count.made()):
            now = self.counts.read(seen.run.metadata.name)
            if now is None or now.launches.pod != count.pod:
                # Others saw this very pod come and go before: it is not made twice.
                self.pods.end(count.pod)
                return None
        self._remove(seen.pod)
        return Follow()

    def _told(self, run: TaskRun, decision: Follow | WaitForPod) -> Decision:
        """Have the history tell what is waited for."""
        if isinstance(decision, WaitForPod) and decision.about:
            # Its pod has just begun after all, or its record has no room: the end will tell.
            with suppress(RunHeldError, RecordTooLargeError):
                self.recorder.tell_waiting(run, decision.detail, about=decision.about)
        return decision

    def _failed(self, seen: Seen, advice: str) -> Decision | None:
        """Record that a run failed. Its pod is no more than one of a run that is over: the next look sees to it."""
        now = self.counts.read(seen.run.metadata.name)
        if now is None or now.launches.pod != seen.pod_name:
            return None  # another launcher saw more, and made another pod
        if seen.pod is not None and seen.pod.phase is not PodPhase.PENDING:
            self.dead.add(OWNER + seen.pod.name)
        if seen.pod is None and seen.counted.launches.is_made:
            # One that was never seen may be another launcher's by now, and begin.
            self.dead.add(OWNER + seen.counted.launches.pod)
        why = advice if advice.startswith(_KINDS) else f"pod: {advice}"
        try:
            self.recorder.abandon(seen.run.metadata.name, why)
        except RunHeldError:
            return Follow(detail="It has just begun after all")
        return None

    def _remember_made(self, seen: Seen) -> None:
        """Make good what a launcher that was killed could not."""
        count = seen.counted.launches
        if seen.pod is not None and not count.is_made:
            self.counts.move(seen.run.metadata.name, counted=seen.counted, to=count.made())

    def _tidy(self, seen: Seen) -> None:
        """Remove a pod that nobody need look at, and one that has not begun what is over."""
        pod, name = seen.pod, seen.run.metadata.name
        if pod is None:
            return
        if pod.phase is PodPhase.PENDING and isinstance(seen.decision, Over):
            self.pods.end(pod.name)
        if pod.is_alive or not self._is_removed(pod):
            self._remember_made(seen)
            return
        if self.counts.move(name, counted=seen.counted, to=seen.counted.launches.done()):
            self.pods.end(pod.name)

    def _remove(self, pod: PodFacts | None) -> None:
        """Remove a pod that another has followed."""
        if pod is not None and not pod.is_alive and self._is_removed(pod):
            self.pods.end(pod.name)

    def _is_removed(self, pod: PodFacts) -> bool:
        match self.settings.keep:
            case "always":
                return False
            case "never":
                return True
            case _:
                return pod.exit_code in _IN_ORDER


def policy_of(settings: PodSettingsSpec) -> LaunchPolicy:
    """Take from the settings of pods what decides about them."""
    return LaunchPolicy(start_within_s=settings.start_within_seconds, max_losses=settings.max_losses)
