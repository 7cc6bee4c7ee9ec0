"""Two launchers, pods that die, an API server that loses requests and answers, and a person, in any order."""

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from goldgate.agent.driver import TaskRunDriver
from goldgate.agent.run_outside import FROM_OUTSIDE, OutsideRecorder
from goldgate.agent.run_work import INTERRUPTED_REASON
from goldgate.contracts.task_runs import TaskRun
from goldgate.domain.errors import TransientError
from goldgate.domain.runs.pods import Launches, PodPhase
from goldgate.domain.runs.state import Nature, Need, Phase
from goldgate.entrypoints.pod_launcher import OWNER, PodLauncher
from goldgate.ports.pods import PodOrder
from goldgate.ports.task_runs import LeaseLostError, RunWord
from tests.fakes.in_memory_pods import InMemoryLaunchCounts, InMemoryPods
from tests.fakes.launched_runs import RUN, SECRET, SPEC, no_task
from tests.fakes.mortal_runs import Life, MortalAgent, MortalRuns, Plan, wish
from tests.fakes.stepped_actors import Actor, Fate, Stepped

TURN = ((wish("look", Nature.PURE), wish("act", Nature.ASK)), (wish("put", Nature.IDEMPOTENT),))
PLANS = {"main": Plan(turns=(*TURN, (wish("ask", Nature.ASK, need=Need.ANSWER),), *TURN, *TURN))}
"""Long enough that most runs are not over before something happens to them."""
LENIENT = SPEC.model_copy(update={"max_losses": 100})
WRITES = frozenset({"take", "save", "drop", "release", "post", "create"})
ALL = frozenset({*WRITES, "read", "words", "launch", "look", "end", "move"})
TIMES = st.integers(1, 4) | st.integers(5, 16)
"""Requests that are answered before something else happens: few, or as many as a program sends."""
BEGUN = st.sampled_from([0, 1, 1, 1, 2, 2])
"""Pods that a run had."""
FATES = st.sampled_from([Fate.ANSWERED] * 12 + list(Fate))
HAPPENINGS = (
    *("tend",) * 4,
    *("let_a_pod_go_on",) * 4,
    *("begin_a_pod",) * 3,
    *("lose_a_pod", "drain_a_pod", "wait", "answer_what_is_asked", "cancel"),
)
VARIED: Mapping[str, st.SearchStrategy[dict[str, Any]]] = defaultdict(
    lambda: st.just({}),
    {
        "tend": st.fixed_dictionaries({"which": st.integers(0, 1), "fate": FATES, "times": TIMES}),
        "let_a_pod_go_on": st.fixed_dictionaries({"fate": FATES, "times": TIMES}),
        "lose_a_pod": st.fixed_dictionaries({"is_forced": st.booleans()}),
        "wait": st.fixed_dictionaries({"seconds": st.sampled_from([1, 20, 40])}),
    },
)
"""What differs from time to time of what happens."""


class OwnDead:
    """The store as one program opened it: it alone knows whom that program takes for dead."""

    def __init__(self, store: Any, dead: set[str], *, before_take: Callable[[set[str]], object]) -> None:
        self._store, self._dead, self._before_take = store, dead, before_take

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def take(self, name: str, **named: Any) -> Any:
        self._before_take(self._dead)
        self._store.dead = self._dead
        return self._store.take(name, **named)


@dataclass
class PodsMadeLate(InMemoryPods):
    """Pods, with those marked that a slow launcher made after others had seen and given them up.

    No API server can tell them from others. They find the run held, or lose it to the latest pod: such a one may be
    beside it, and is ended by whoever made it, unless that was cut off.
    """

    counts: InMemoryLaunchCounts = field(default_factory=InMemoryLaunchCounts)
    late: set[str] = field(default_factory=set)

    def launch(self, order: PodOrder) -> None:
        now = self.counts.counts["run"]
        if order.name not in self.pods and (now.is_made or now.pod != order.name):
            self.late.add(order.name)
        super().launch(order)


class Launchers(RuleBasedStateMachine):
    """One run, and all that works on it.

    Not here: a run that its launcher fails, and one launcher that stands still while another sees a whole pod through.
    `test_pod_launcher_losses` and `test_pod_launcher_waits` have them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runs = MortalRuns(PLANS)
        self.runs.store.create(RUN)
        self.counts = InMemoryLaunchCounts()
        self.pods = PodsMadeLate(counts=self.counts)
        self.launchers: dict[int, Actor] = {}
        self.processes: dict[str, Actor] = {}
        self.stops: dict[str, threading.Event] = {}
        self.robbed: list[str] = []
        """Pods that worked on the run as a program took it from them."""
        self.lives = 0
        self.deaths = 0
        """Pods that did not let go of the run by themselves."""
        self.is_cancelled = False
        self.may_cancel = False

    @initialize(may_cancel=st.sampled_from([False, False, True]), begun=BEGUN, requests=st.integers(0, 12))
    def come_so_far_undisturbed(self, may_cancel: bool, begun: int, requests: int) -> None:
        """What one step leads to no second one without is seldom come upon: most runs have a pod to begin with."""
        self.may_cancel = may_cancel
        for _ in range(begun):
            self._launch(0, lambda launcher: launcher.tend("run"))
            self._to_its_end(self.launchers[0])
            if self._pending():
                self.begin_a_pod()
            for name in self._working():
                for _ in range(requests):
                    self._step(self.processes[name], Fate.ANSWERED)
                self._look_at(name)

    @rule(what=st.sampled_from(HAPPENINGS).flatmap(lambda name: st.tuples(st.just(name), VARIED[name])))
    def something_happens(self, what: tuple[str, dict[str, Any]]) -> None:
        """One rule: of many, each example has some that are turned off, and without launchers nothing happens.

        What is drawn depends on nothing that a thread does. What cannot happen now does not.
        """
        name, varied = what
        can_happen = {
            "begin_a_pod": self._pending(),
            "let_a_pod_go_on": self._working(),
            "drain_a_pod": self._working(),
            "lose_a_pod": self._working() or self._pending(),
            "cancel": self.may_cancel and not self.is_cancelled and len(self.pods.orders) > 1,
        }
        if can_happen.get(name, True):
            getattr(self, name)(**varied)

    def tend(self, which: int, fate: Fate, times: int) -> None:
        self._launch(which, lambda launcher: launcher.tend("run"))
        for _ in range(times - 1):
            self._step(self.launchers[which], Fate.ANSWERED)
        self._step(self.launchers[which], fate)

    def let_a_pod_go_on(self, fate: Fate, times: int) -> None:
        (name,) = self._working()
        for _ in range(times - 1):
            self._step(self.processes[name], Fate.ANSWERED)
        self._step(self.processes[name], fate)
        self._look_at(name)

    def begin_a_pod(self) -> None:
        (name,) = self._pending()
        self.pods.become(name, PodPhase.RUNNING)
        number = int(name.rpartition("-")[2])
        self.processes[name] = Actor(lambda actor: self._work(actor, name, number))
        self._look_at(name)

    def lose_a_pod(self, is_forced: bool) -> None:
        (name,) = self._working() or self._pending()
        self.deaths += 1
        if name in self.processes:
            self.processes.pop(name).kill()
        if is_forced:
            self.pods.vanish(name)
        else:
            self.pods.become(name, PodPhase.ENDED, exit_code=137)

    def drain_a_pod(self) -> None:
        """It is asked to end, does so in good order, and is gone before anybody looks at it."""
        (name,) = self._working()
        self.stops[name].set()
        process = self.processes[name]
        self._to_its_end(process)
        self._look_at(name)
        if name not in self.pods.pods:
            return
        self.pods.vanish(name)
        told = [each.reason for each in self._recorded().status.events if each.reason not in FROM_OUTSIDE]
        if not told or told[-1] != INTERRUPTED_REASON:
            # Nobody can tell that it had not begun, or had come to its end.
            self.deaths += 1

    def wait(self, seconds: int) -> None:
        self.runs.clock.advance(timedelta(seconds=seconds))

    def answer_what_is_asked(self) -> None:
        self.runs.answer_all()

    def cancel(self) -> None:
        self.is_cancelled = True
        word = RunWord(id="end", at=self.runs.clock.now(), by="ann", cancels=True, text="not needed")
        self.runs.store.post("run", word)
        self._launch(0, lambda launcher: launcher.cancel("run"))

    @invariant()
    def one_pod_at_a_time_may_work(self) -> None:
        alive = {name for name, pod in self.pods.pods.items() if pod.is_alive}
        assert len(alive - self.pods.late) <= 1

    @invariant()
    def no_loss_is_counted_twice(self) -> None:
        count = self.counts.counts.get("run")
        assert count is None or count.lost <= self.deaths

    @invariant()
    def nothing_is_done_twice(self) -> None:
        assert all(times == 1 for times in self.runs.world.effects.values())

    @invariant()
    def no_run_is_taken_from_a_pod_that_works_on_it(self) -> None:
        assert self.is_cancelled or not self.robbed

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
        self._tells_of_every_loss()

    def _tells_of_every_loss(self) -> None:
        told = [event for event in self._recorded().status.events if event.reason == "PodLost"]
        assert self.is_cancelled or len(told) == self.counts.counts["run"].lost, (told, self.counts)

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
        store = Stepped(OwnDead(self.runs.store, dead, before_take=self._note_robbed), actor, requests=ALL)
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
            store=Stepped(OwnDead(self.runs.store, before, before_take=self._note_robbed), actor, requests=WRITES),
            open_agent=lambda agent, _: MortalAgent(agent, PLANS[agent], self.runs.world, life),
            find_task=no_task,
            clock=self.runs.clock,
            owner=OWNER + name,
        )
        self.stops[name] = driver.stop
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
        latest = self.counts.counts.get("run", Launches()).pod
        return [name for name in self.processes if name in self.pods.pods and name == latest]

    def _pending(self) -> list[str]:
        latest = self.counts.counts.get("run", Launches()).pod
        pod = self.pods.pods.get(latest)
        return [latest] if pod is not None and pod.phase is PodPhase.PENDING else []

    def _note_robbed(self, dead: set[str]) -> None:
        """Note pods that are at work though a program takes them for dead, as it takes the run."""
        self.robbed += [name for name in self._working() if OWNER + name in dead and not self.processes[name].is_over]

    def _phase(self) -> Phase:
        return self._recorded().status.phase

    def _recorded(self) -> TaskRun:
        found = self.runs.store.read("run")
        assert found is not None
        return found


TestLaunchersInAnyOrder = Launchers.TestCase
TestLaunchersInAnyOrder.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
