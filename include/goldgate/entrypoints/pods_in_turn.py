"""Follow the pod that asks a gold set; have another do it when one is lost; say why when none will.

How long something lasts is told by the clock of this process alone: those of the cluster may be ahead of it or behind.
"""

import contextlib
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar

from pydantic import ValidationError

from goldgate.contracts.evaluation import Progress, Spent
from goldgate.contracts.pods import PodSettingsSpec
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.launching import NODE_SILENT_S, USAGE
from goldgate.domain.runs.pod_troubles import AT_ONCE, CANNOT_RUN, trouble_of
from goldgate.domain.runs.pods import PodFacts, PodPhase
from goldgate.entrypoints.evaluation_pod import ASKED, IMPOSSIBLE, PROGRESS, TRY_AGAIN
from goldgate.ports.delivery import Clock
from goldgate.ports.parts import PartMissingError
from goldgate.ports.pods import PodOrder, PodPostponedError, Pods
from goldgate.release.trial import OnRow

log = logging.getLogger(__name__)
T = TypeVar("T")

_LAST_LINES: Final = 20
"""Of the log of a pod that did not do its work: they are told, since the pod may be gone when somebody looks."""
_LOOK_EVERY_S: Final = 1.0
_AFTER_A_LOSS_S: Final = 5.0
"""Twice as long after each: a node that is short of memory turns pods away in a moment, one after the other."""
_OVERLAP: Final = timedelta(seconds=2)
"""So much of a log is read twice: the node stamps its lines, and they come a little later."""


@dataclass(frozen=True, kw_only=True)
class PodsInTurn:
    """Has one thing done by pods of one name, one after the other, until one has done it."""

    pods: Pods
    settings: PodSettingsSpec
    clock: Clock
    pause: Callable[[float], None] = field(default=time.sleep)
    monotonic_s: Callable[[], float] = field(default=time.monotonic)

    def done(self, name: str, *, order: Callable[[Spent], PodOrder], take: Callable[[str], T], on_row: OnRow) -> T:
        """Follow pods until one has done its work, or no other would; give what it did.

        Args:
            name: Of the pods.
            order: Lays down what a pod needs, and says how it is made, by what those before it spent.
            take: Takes what a pod did by its last word.
            on_row: Told of progress.

        Raises:
            PermanentError: No pod will do it.
            TransientError: The cluster cannot be reached: asked again, the same pod is found. Or what the pod needs
                does not answer: asked again, another is made.
        """
        self._clear(name)
        lost = _Lost(self.settings.max_losses)
        while True:
            listening = _Listening(self.pods, name, clock=self.clock, on_row=on_row)
            ended = self._ended(order(lost.spent), listening, lost)
            if ended is not None and ended.exit_code == ASKED:
                try:
                    return take(ended.message)
                except PartMissingError as error:
                    lost.note(f"its results are gone: {error}", listening.latest)
            else:
                listening.tell_last_lines()
                _refuse_hopeless(name, ended)
                lost.note("it vanished" if ended is None else _why(ended), listening.latest)
            lost.refuse_more(name, starved=ended is not None and ended.reason == "OOMKilled")
            self._remove(name)
            self.pause(lost.pause_s)

    def _clear(self, name: str) -> None:
        """Make room: a pod that failed was left for people to look at; one that leaves does nothing any more."""
        found = self.pods.look(name, run_uid="")
        if found is not None and found.phase is PodPhase.ENDING:
            found = self._await_end(name)
        if found is not None and found.phase is PodPhase.ENDED and found.exit_code != ASKED:
            self._remove(name)

    def _ended(self, order: PodOrder, listening: "_Listening", lost: "_Lost") -> PodFacts | None:
        """Make a pod, or find it, and wait for its end. None: it vanished."""
        self._launch(order)
        phases = _Phases(self.monotonic_s)
        while True:
            found = self.pods.look(order.name, run_uid="")
            listening.hear()
            if found is None or found.phase is PodPhase.ENDED:
                lost.seconds += phases.worked_s
                return found
            in_phase_s = phases.now(found.phase)
            self._refuse_no_start(found, in_phase_s)
            self._refuse_silence(found, in_phase_s)
            self.pause(_LOOK_EVERY_S)

    def _launch(self, order: PodOrder) -> None:
        began_s, told = self.monotonic_s(), ""
        while True:
            try:
                return self.pods.launch(order)
            except PodPostponedError as error:
                if self.monotonic_s() - began_s > self.settings.start_within_seconds:
                    raise
                if str(error) != told:
                    log.warning("evaluation.pod_waits pod=%s %s", order.name, error)
                told = str(error)
            self.pause(_LOOK_EVERY_S)

    def _remove(self, name: str) -> None:
        self.pods.end(name)
        phases = _Phases(self.monotonic_s)
        while (found := self.pods.look(name, run_uid="")) is not None:
            self._refuse_silence(found, phases.now(PodPhase.ENDING))
            self.pause(_LOOK_EVERY_S)

    def _await_end(self, name: str) -> PodFacts | None:
        phases = _Phases(self.monotonic_s)
        while True:
            found = self.pods.look(name, run_uid="")
            if found is None or found.phase is not PodPhase.ENDING:
                return found
            self._refuse_silence(found, phases.now(found.phase))
            self.pause(_LOOK_EVERY_S)

    def _refuse_no_start(self, found: PodFacts, in_phase_s: float) -> None:
        """End a pod that has had its time to start, or that no time would help, and raise."""
        is_late = in_phase_s > self.settings.start_within_seconds
        if found.phase is not PodPhase.PENDING or not (is_late or found.reason in AT_ONCE):
            return
        self.pods.end(found.name)
        trouble = trouble_of(found) or found.reason or "the cluster gives no reason"
        within = f"did not start within {in_phase_s:.0f} s" if is_late else "does not start"
        raise PermanentError(f"Pod `{found.name}` {within}: {trouble}.")

    def _refuse_silence(self, found: PodFacts, in_phase_s: float) -> None:
        """Raise if a pod that was asked to end is still there long after its grace."""
        overdue_s = in_phase_s - self.settings.grace_seconds
        if overdue_s < NODE_SILENT_S:
            return
        if found.phase is PodPhase.ENDED:
            raise TransientError(
                f"Pod `{found.name}` was deleted and is still there {overdue_s:.0f} s after its time: something holds "
                "it back (`metadata.finalizers`). Take that away, or wait for whoever put it there."
            )
        if found.phase is PodPhase.ENDING:
            raise TransientError(
                f"Pod `{found.name}` should have ended {overdue_s:.0f} s ago: its node does not answer, and there can "
                "be no other of that name. Mend or remove the node; the same evaluation then goes on."
            )


class _Phases:
    """How long a pod has been in its phase."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._phase: PodPhase | None = None
        self._since_s = 0.0
        self._worked_since_s: float | None = None

    def now(self, phase: PodPhase) -> float:
        """Note the phase that it is in; for how many seconds?"""
        if phase is not self._phase:
            self._phase, self._since_s = phase, self._monotonic_s()
        if phase is PodPhase.RUNNING and self._worked_since_s is None:
            self._worked_since_s = self._since_s
        return self._monotonic_s() - self._since_s

    @property
    def worked_s(self) -> float:
        """Since it was first seen to work."""
        return 0.0 if self._worked_since_s is None else self._monotonic_s() - self._worked_since_s


class _Lost:
    """The pods that did not come to their end, and what they spent."""

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._why: list[str] = []
        self._usd = 0.0
        self.seconds = 0.0

    @property
    def spent(self) -> Spent:
        return Spent(usd=self._usd, seconds=self.seconds)

    @property
    def pause_s(self) -> float:
        """Before the next."""
        return float(_AFTER_A_LOSS_S * 2 ** min(len(self._why) - 1, 5))

    def note(self, why: str, latest: Progress | None) -> None:
        self._why.append(why)
        self._usd += latest.spent_usd if latest else 0.0

    def refuse_more(self, name: str, *, starved: bool) -> None:
        if len(self._why) > self._at_most or starved:
            raise PermanentError(
                f"Pod `{name}` did not come to its end: {'; '.join(self._why)}. `maxLosses` of the PodSettings grants "
                "others; one that needs more memory gets it by `resources.limits.memory` there."
            )


class _Listening:
    """Reads what a pod says of its progress. That it cannot be heard is no reason to give it up."""

    def __init__(self, pods: Pods, name: str, *, clock: Clock, on_row: OnRow) -> None:
        self._pods, self._name, self._clock, self._on_row = pods, name, clock, on_row
        self._heard_until: datetime | None = None
        self.latest: Progress | None = None

    def hear(self) -> None:
        """Read on from where it was read before; tell what is new."""
        began = self._clock.now()
        with contextlib.suppress(TransientError, PermanentError):
            found = _latest(self._pods.log(self._name, since=self._heard_until), after=self.latest)
            self._heard_until = began - _OVERLAP
            if found is not None:
                self.latest = found
                self._on_row(found)

    def tell_last_lines(self) -> None:
        """Write the pod's last lines into our own log."""
        with contextlib.suppress(TransientError, PermanentError):
            for line in deque(self._pods.log(self._name), maxlen=_LAST_LINES):
                log.warning("evaluation.pod_said pod=%s %s", self._name, line)


def _latest(lines: Iterable[str], *, after: Progress | None) -> Progress | None:
    """Find the latest that a log tells of progress, if it is further than it was."""
    found = after
    for line in lines:
        # An agent writes into the same log, and may write whatever it likes: JSON without a bottom, for one.
        with contextlib.suppress(ValueError, TypeError, KeyError, ValidationError, RecursionError):
            told = json.loads(line)
            if told["event"] == PROGRESS:
                now = Progress(done=told["done"], of=told["of"], spent_usd=told["spent_usd"])
                found = now if found is None or now.done > found.done else found
    return None if found is after else found


def _refuse_hopeless(name: str, ended: PodFacts | None) -> None:
    """Raise if another pod would do no better now."""
    if ended is None:
        return
    if ended.exit_code == IMPOSSIBLE:
        raise PermanentError(f"Pod `{name}` could not evaluate: {ended.message}")
    if ended.exit_code == TRY_AGAIN:
        raise TransientError(f"Pod `{name}` could not evaluate now: {ended.message}")
    if ended.exit_code == USAGE or ended.reason in CANNOT_RUN:
        raise PermanentError(
            f"Pod `{name}` could not evaluate: {_why(ended)}. Its image does not hold the program that evaluates, or "
            "another version of it. Correct `image` of the PodSettings."
        )


def _why(pod: PodFacts) -> str:
    said = f" ({pod.message.strip()[:300]})" if pod.message.strip() else ""
    return f"{pod.reason or f'ended with {pod.exit_code}'}{said}"
