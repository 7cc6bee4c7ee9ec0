"""What people do with recorded TaskRuns: find them, answer what they ask, cancel them. Works on none itself."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from goldgate.agent.recorded_delegate import PARENT, sub_runs
from goldgate.contracts.run_mapping import state_of
from goldgate.contracts.task_runs import CallStatus, TaskRun
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.events import Word
from goldgate.domain.runs.state import Fate, Need, Phase
from goldgate.entrypoints.refusals import refused
from goldgate.ports.delivery import Clock
from goldgate.ports.task_runs import RunWord, TaskRunStore

_REMOVE_WITHIN_S: Final = 30.0

FITTING: Final = {
    Need.APPROVAL: frozenset({Word.APPROVE, Word.DENY}),
    Need.ANSWER: frozenset({Word.ANSWER, Word.DENY}),
    Need.FATE: frozenset(Word),
}
"""What may be said to each need. Whatever else is said is refused before it is recorded."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The runs that could be read, and what was wrong with the others."""

    runs: tuple[TaskRun, ...]
    problems: tuple[str, ...] = ()


def _gathered(names: Iterable[str], read: Callable[[str], TaskRun | None]) -> Found:
    runs: list[TaskRun] = []
    problems: list[str] = []
    for name in names:
        try:
            run = read(name)
        except PermanentError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"TaskRun `{name}`: {refused(error)}")
        else:
            runs += [] if run is None else [run]
    return Found(runs=tuple(runs), problems=tuple(problems))


@dataclass(frozen=True, kw_only=True)
class TaskDesk:
    """Reads runs and leaves words for them."""

    store: TaskRunStore
    clock: Clock
    where: str = ""
    """Where the runs are, for whoever looks for one that is not there."""

    def find(self, name: str) -> TaskRun:
        """Read one run.

        Raises:
            PermanentError: There is none of that name, or its record is damaged.
        """
        run = self.store.read(name)
        if run is None:
            there = f" in {self.where}" if self.where else ""
            raise PermanentError(f"Found no TaskRun `{name}`{there}. `goldgate task get` shows those there are.")
        return run

    def find_all(self, *, phases: Sequence[Phase] = (), agent: str | None = None) -> Found:
        """Read all runs, by name. One that is damaged or cannot be read does not hide the others."""
        found = _gathered(self.store.names(), self.store.read)
        chosen = (run for run in found.runs if not phases or run.status.phase in phases)
        chosen = (run for run in chosen if agent is None or run.spec.agent_ref == agent)
        return Found(runs=tuple(chosen), problems=found.problems)

    def find_named(self, names: Sequence[str]) -> Found:
        """Read the runs of those names, in their order. One that is not there does not hide the others."""
        return _gathered(names, self.find)

    def answer(self, name: str, *, call: str | None, word: Word, text: str, by: str) -> RunWord:
        """Leave a person's word for what a run asks now.

        Args:
            name: Name of the run.
            call: Id or key of the call. None: the only one that waits.
            word: What is said.
            text: An answer, or the reason of a refusal.
            by: Who says it.

        Raises:
            PermanentError: Nothing of the kind is asked, it is not clear what is meant, or somebody answered already.
        """
        run = self.find(name)
        asked = self._asked(run, call)
        if word not in FITTING[asked.need]:
            fitting = ", ".join(sorted(each.value for each in FITTING[asked.need]))
            raise PermanentError(
                f"Found `{word.value}` for call `{asked.id}` of `{name}`, which asks for {_asks(asked)}; expected one "
                f"of: {fitting}."
            )
        if word is Word.ANSWER and not text.strip():
            raise PermanentError(f"Found an empty answer to call `{asked.id}` of `{name}`; expected a text.")
        said = RunWord(
            id=f"word-{secrets.token_hex(8)}", at=self.clock.now(), by=by, call_key=asked.key, word=word, text=text
        )
        self.store.post(name, said)
        return said

    def cancel(self, name: str, *, reason: str, by: str) -> RunWord:
        """Leave the order to end a run.

        Raises:
            PermanentError: There is no such run, or it is over.
        """
        run = self.find(name)
        refuse_if_over(run, wanted="cancelled")
        order = RunWord(id=f"word-{secrets.token_hex(8)}", at=self.clock.now(), by=by, cancels=True, text=reason)
        self.store.post(name, order)
        return order

    def remove(self, name: str) -> None:
        """Forget a run and the words left for it.

        Raises:
            RunHeldError: Somebody works on it.
        """
        lease = self.store.take(name, owner=f"remove-{secrets.token_hex(8)}", for_s=_REMOVE_WITHIN_S)
        self.store.remove(lease)

    def unanswered(self, run: TaskRun) -> tuple[CallStatus, ...]:
        """Give the calls that wait for a person to whom nobody has left a word yet."""
        awaited = [call for call in run.status.calls if call.fate is Fate.AWAITED]
        if run.status.phase.is_terminal or not awaited:
            return ()
        answered = {word.call_key for word in self.store.words(run.metadata.name)}
        return tuple(call for call in awaited if call.key not in answered)

    def questions(self, run: TaskRun) -> list[tuple[TaskRun, CallStatus]]:
        """Give all that waits for a person so that a run goes on, that of the agents it asked included."""
        own = [(run, call) for call in self.unanswered(run)]
        below = [found for sub_run in self.below(run) for found in self.questions(sub_run)]
        return [*own, *below]

    def below(self, run: TaskRun) -> list[TaskRun]:
        """Give the runs of other agents that a run waits for."""
        return sub_runs(state_of(run.status), self.store)

    def above(self, run: TaskRun) -> TaskRun | None:
        """Find the run that waits for this one, if there is one and it is not over."""
        name = run.metadata.annotations.get(PARENT)
        found = None if name is None else self.store.read(name)
        return None if found is None or found.status.phase.is_terminal else found

    def _asked(self, run: TaskRun, wanted: str | None) -> CallStatus:
        name = run.metadata.name
        refuse_if_over(run, wanted="answered")
        awaited = [call for call in run.status.calls if call.fate is Fate.AWAITED]
        if not awaited:
            raise PermanentError(
                f"TaskRun `{name}` asks nothing of a person now: it is in phase {run.status.phase.value} "
                f"({run.status.status_detail})."
            )
        listed = "; ".join(f"`{call.id}` asks for {_asks(call)}" for call in awaited)
        if wanted is None:
            left = list(self.unanswered(run))
            if len(left) > 1:
                raise PermanentError(f"TaskRun `{name}` asks several things; name the call. {listed}.")
            # With none left the first says who answered it.
            meant = left[0] if left else awaited[0]
        else:
            matching = [call for call in awaited if wanted in {call.id, call.key}]
            if not matching:
                raise PermanentError(f"Found no call `{wanted}` that waits in TaskRun `{name}`. {listed}.")
            meant = matching[0]
        self._refuse_second(run, meant)
        return meant

    def _refuse_second(self, run: TaskRun, call: CallStatus) -> None:
        for word in self.store.words(run.metadata.name):
            if word.call_key == call.key and not word.cancels:
                raise PermanentError(
                    f"Call `{call.id}` of `{run.metadata.name}` was answered already: {word.by} said "
                    f"`{word.word.value}` at {word.at.isoformat(timespec='seconds')}. The first answer holds; "
                    f"`goldgate task resume {run.metadata.name}` goes on with it if nobody has yet."
                )


def refuse_if_over(run: TaskRun, *, wanted: str) -> None:
    """Refuse to do anything with a run that is over.

    Raises:
        PermanentError: It is.
    """
    if run.status.phase.is_terminal:
        raise PermanentError(
            f"TaskRun `{run.metadata.name}` is over ({run.status.phase.value}) and cannot be {wanted}. Start a new one."
        )


def waits_for_a_person(run: TaskRun) -> bool:
    """Whether all that is left to do is somebody's to say."""
    return state_of(run.status).is_waiting_for_a_person


def _asks(call: CallStatus) -> str:
    what = {Need.APPROVAL: "approval of", Need.ANSWER: "an answer to", Need.FATE: "what became of"}[call.need]
    return f"{what} `{call.name}`"
