"""Two launchers, pods that die, an API server that loses requests and answers, and a person, in any order."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from goldgate.agent.driver import TaskRunDriver
from goldgate.agent.run_outside import OutsideRecorder
from goldgate.domain.errors import TransientError
from goldgate.domain.runs.pods import PodPhase
from goldgate.domain.runs.state import Nature, Phase
from goldgate.entrypoints.pod_launcher import OWNER, PodLauncher
from goldgate.ports.task_runs import LeaseLostError, RunWord
from tests.fakes.in_memory_pods import InMemoryLaunchCounts, InMemoryPods
from tests.fakes.launched_runs import RUN, SECRET, SPEC, no_task
from tests.fakes.mortal_runs import Life, MortalAgent, MortalRuns, Plan, wish
from tests.fakes.stepped_actors import Actor, Fate, Stepped

PLANS = {"main": Plan(turns=((wish("look", Nature.PURE), wish("act", Nature.ASK)), (wish("put", Nature.IDEMPOTENT),)))}
LENIENT = SPEC.model_copy(update={"max_losses": 100})
WRITES = frozenset({"take", "save", "drop", "release", "post", "create"})
ALL = frozenset({*WRITES, "read", "words", "last_renewed", "launch", "look", "end", "move"})
TIMES = st.integers(1, 4) | st.integers(5, 30)
"""Requests that are answered before something else happens: few, or as many as a program sends."""
FATES = st.sampled_from([Fate.ANSWERED] * 12 + list(Fate))


class OwnDead:
    """The store as one program opened it: it alone knows whom that program takes for dead."""

    def __init__(self, store: Any, dead: set[str]) -> None:
        self._store, self._dead = store, dead

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def take(self, name: str, **named: Any) -> Any:
        self._store.dead = self._dead
        return self._store.take(name, **named)


class Launchers(RuleBasedStateMachine):
    """One run, and all that works on it."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = MortalRuns(PLANS)
        self.runs.store.create(RUN)
        self.pods, self.counts = InMemoryPods(), InMemoryLaunchCounts()
        self.launchers: dict[int, Actor] = {}
        self.processes: dict[str, Actor] = {}
        self.lives = 0
        self.deaths = 0
        """Pods that did not let go of the run by themselves."""
        self.is_cancelled = False
        self.may_cancel = False

    @initialize(may_cancel=st.sampled_from([False, False, True]))
    def decide_whether_it_is_wanted(self, may_cancel: bool) -> None:
        self.may_cancel = may_cancel

    @rule(which=st.integers(0, 1), fate=FATES, times=TIMES)
    def tend(self, which: int, fate: Fate, times: int) -> None:
        self._launch(which, lambda launcher: launcher.tend("run"))
        for _ in range(times - 1):
            self._step(self.launchers[which], Fate.ANSWERED)
        self._step(self.launchers[which], fate)

    @rule(fate=FATES, times=TIMES)
    @precondition(lambda self: self._working())
    def let_a_pod_go_on(self, fate: Fate, times: int) -> None:
        (name,) = self._working()
        for _ in range(times - 1):
            self._step(self.processes[name], Fate.ANSWERED)
        self._step(self.processes[name], fate)
        self._look_at(name)

    @rule()
    @precondition(lambda self: self._pending())
    def begin_a_pod(self) -> None:
        (name,) = self._pending()
        self.pods.become(name, PodPhase.RUNNING)
        number = int(name.rpartition("-")[2])
        self.processes[name] = Actor(lambda actor: self._work(actor, name, number))
        self._look_at(name)

    @rule(is_forced=st.booleans())
    @precondition(lambda self: self._working() or self._pending())
    def lose_a_pod(self, is_forced: bool) -> None:
        (name,) = self._working() or self._pending()
        self.deaths += 1
        if name in self.processes:
            self.processes.pop(name).kill()
        if is_forced:
            self.pods.vanish(name)
        else:
            self.pods.become(name, PodPhase.ENDED, exit_code=137)

    @rule(seconds=st.sampled_from([1, 20, 40]))
    def wait(self, seconds: int) -> None:
        self.runs.clock.advance(timedelta(seconds=seconds))

    @rule()
    def answer_what_is_asked(self) -> None:
        self.runs.answer_all()

    @rule()
    @precondition(lambda self: self.may_cancel and not self.is_cancelled and len(self.pods.orders) > 1)
    def cancel(self) -> None:
        self.is_cancelled = True
        word = RunWord(id="end", at=self.runs.clock.now(), by="ann", cancels=True, text="not needed")
        self.runs.store.post("run", word)
        self._launch(0, lambda launcher: launcher.cancel("run"))

    @invariant()
    def one_pod_at_a_time_may_work(self) -> None:
        assert sum(pod.is_alive for pod in self.pods.pods.values()) <= 1

    @invariant()
    def no_loss_is_counted_twice(self) -> None:
        count = self.counts.counts.get("run")
        assert count is None or count.lost <= self.deaths

    @invariant()
    def nothing_is_done_twice(self) -> None:
        assert all(times == 1 for times in self.runs.world.effects.values())

    @invariant()
    def no_run_fails_that_could_go_on(self) -> None:
        assert self.is_cancelled or self._phase() is not Phase.FAILED

    def teardown(self) -> None:
        """Whatever happened: left in peace, it comes to its end."""
        for launcher in self.launchers.values():
            self._to_its_end(launcher)
        for _ in range(60):
            self._all_in_turn()
            if self._phase().is_terminal:
                break
        for actor in (*self.launchers.values(), *self.processes.values()):
            actor.kill()
        assert self._phase() is Phase.FINAL_ANSWER or (self.is_cancelled and self._phase() is Phase.FAILED)
        self.nothing_is_done_twice()

    def _all_in_turn(self) -> None:
        for name in self._working():
            self._to_its_end(self.processes[name])
            self._look_at(name)
        self.runs.answer_all()
        self.runs.clock.advance(timedelta(seconds=40))
        self._launch(0, lambda launcher: launcher.tend("run"))
        self._to_its_end(self.launchers[0])
        if self._pending():
            self.begin_a_pod()
        self.one_pod_at_a_time_may_work()

    def _launch(self, which: int, act: Callable[[PodLauncher], object]) -> None:
        if which in self.launchers and not self.launchers[which].is_over:
            return
        self.lives += 1
        owner = f"launcher-{self.lives}"

        def program(actor: Actor) -> None:
            # What it could not do is done by whoever tends the run next.
            with suppress(TransientError, LeaseLostError):
                act(self._launcher(actor, owner))

        self.launchers[which] = Actor(program)

    def _launcher(self, actor: Actor, owner: str) -> PodLauncher:
        dead: set[str] = set()
        store = Stepped(OwnDead(self.runs.store, dead), actor, requests=ALL)
        return PodLauncher(
            recorder=OutsideRecorder(store=store, clock=self.runs.clock, find_task=no_task, owner=owner),
            pods=Stepped(self.pods, actor, requests=ALL),
            counts=Stepped(self.counts, actor, requests=ALL),
            needs=lambda *_: SECRET,
            settings=LENIENT,
            dead=dead,
            sleep_s=lambda s: self.runs.clock.advance(timedelta(seconds=s)),
            monotonic_s=lambda: self.runs.clock.now().timestamp(),
        )

    def _work(self, actor: Actor, name: str, number: int) -> None:
        """Do what the program of a pod does, and leave its exit code."""
        life = Life(OWNER + name)
        before = {f"{OWNER}run-{earlier}" for earlier in range(1, number)}
        driver = TaskRunDriver(
            store=Stepped(OwnDead(self.runs.store, before), actor, requests=WRITES),
            open_agent=lambda agent, _: MortalAgent(agent, PLANS[agent], self.runs.world, life),
            find_task=no_task,
            clock=self.runs.clock,
            owner=OWNER + name,
        )
        try:
            done = driver.go_on("run")
        except (TransientError, LeaseLostError):
            self._end(name, 75)
            return
        self._end(name, {Phase.FINAL_ANSWER: 0, Phase.FAILED: 1}.get(done.status.phase, 6))

    def _end(self, name: str, code: int) -> None:
        if name in self.pods.pods:
            self.pods.become(name, PodPhase.ENDED, exit_code=code)

    def _look_at(self, name: str) -> None:
        """Have the cluster see that a process was killed, or its pod was ended."""
        process = self.processes[name]
        if process.is_dead and name in self.pods.pods and self.pods.pods[name].is_alive:
            self.deaths += 1
            self.pods.become(name, PodPhase.ENDED, exit_code=137)
        if process.is_over:
            del self.processes[name]

    def _step(self, actor: Actor, fate: Fate) -> None:
        self.runs.clock.advance(timedelta(milliseconds=10))
        actor.step(fate)
        for name in [each for each in self.processes if each not in self.pods.pods]:
            # Its pod was ended by a launcher.
            self.processes.pop(name).kill()

    def _to_its_end(self, actor: Actor) -> None:
        for _ in range(500):
            if actor.is_over:
                return
            self._step(actor, Fate.ANSWERED)
        raise AssertionError("a program comes to no end")

    def _working(self) -> list[str]:
        return [name for name in self.processes if name in self.pods.pods]

    def _pending(self) -> list[str]:
        return [name for name, pod in self.pods.pods.items() if pod.phase is PodPhase.PENDING]

    def _phase(self) -> Phase:
        found = self.runs.store.read("run")
        assert found is not None
        return found.status.phase


TestLaunchersInAnyOrder = Launchers.TestCase
TestLaunchersInAnyOrder.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
