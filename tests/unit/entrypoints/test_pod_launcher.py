"""Pods for runs: launched once each, followed, replaced, and ended, wherever a launcher is cut off."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldgate.agent.run_outside import OutsideRecorder
from goldgate.contracts.cluster import AGENT_LABEL
from goldgate.contracts.pods import PodResources, PodSettingsSpec
from goldgate.contracts.resource_parts import EnvName, FromEnv, Metadata, SecretKey
from goldgate.contracts.task_runs import RunProgress, TaskRun, TaskRunSpec, TaskRunStatus, TaskSpec
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.launching import AskPerson, Follow, Over, WaitForAgent, WaitForPod
from goldgate.domain.runs.pods import PodPhase
from goldgate.domain.runs.state import Nature, Need, Phase
from goldgate.entrypoints.pod_launcher import OWNER, PodLauncher, Tended
from goldgate.ports.pods import PodOrder, PodRefusedError, QuotaExceededError
from goldgate.ports.task_runs import RunWord
from tests.fakes.in_memory_pods import UID, InMemoryLaunchCounts, InMemoryPods
from tests.fakes.mortal_runs import KilledError, Life, MortalAgent, MortalRuns, MortalStore, Plan, wish

RUN = TaskRun(kind="TaskRun", metadata=Metadata(name="run"), spec=TaskRunSpec(agent_ref="main", user_message="go"))
SECRET = {"API_KEY": FromEnv(env="API_KEY", secret=SecretKey(name="model-key", key="token"))}
SPEC = PodSettingsSpec(
    image="registry/agent@sha256:" + "a" * 64,
    resources=PodResources(requests={"memory": "64Mi"}, limits={"memory": "128Mi"}),
    start_within_seconds=300,
    max_losses=3,
)
PLANS = {"main": Plan(turns=((wish("look", Nature.PURE), wish("put", Nature.IDEMPOTENT)),))}
ASKING = {"main": Plan(turns=((wish("question", Nature.ASK, need=Need.ANSWER),),))}


def no_task(name: str) -> TaskSpec:
    raise PermanentError(f"Found no task `{name}`.")


class Mortal:
    """A port as one launcher sees it, which may die before and after everything that is written."""

    def __init__(self, port: Any, life: Life) -> None:
        self._port, self._life = port, life

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._port, name)
        if name not in {"launch", "end", "move"}:
            return method

        def mortal(*arguments: Any, **named: Any) -> Any:
            self._life.point()
            result = method(*arguments, **named)
            self._life.point()
            return result

        return mortal


@dataclass
class Bench:
    """One run, its pods, and any number of launchers."""

    plans: Mapping[str, Plan] = field(default_factory=lambda: PLANS)
    spec: PodSettingsSpec = SPEC
    run: TaskRun = RUN
    find_task: Callable[[str], TaskSpec] = no_task

    def __post_init__(self) -> None:
        self.runs = MortalRuns(dict(self.plans))
        self.pods = InMemoryPods()
        self.counts = InMemoryLaunchCounts()
        self.missing: str | None = None
        self.runs.store.create(self.run)

    def launcher(self, life: Life | None = None) -> PodLauncher:
        life = life or Life("launcher")
        recorder = OutsideRecorder(
            store=MortalStore(self.runs.store, life), clock=self.runs.clock, find_task=self.find_task, owner=life.owner
        )
        return PodLauncher(
            recorder=recorder,
            pods=Mortal(self.pods, life),
            counts=Mortal(self.counts, life),
            needs=self.needs,
            settings=self.spec,
            dead=self.runs.store.dead,
            sleep_s=lambda s: self.runs.clock.advance(timedelta(seconds=s)),
            monotonic_s=lambda: self.runs.clock.now().timestamp(),
        )

    def needs(self, agent: str, run: TaskRun) -> Mapping[EnvName, FromEnv]:
        if self.missing is not None:
            raise TransientError(f"{self.missing} `{agent}`")
        assert run.metadata.name == "run"
        return SECRET

    def tend(self) -> Tended:
        return self.launcher().tend("run")

    def drain(self) -> None:
        """Have the latest pod asked to end in the middle of its work, and removed by the cluster."""
        name = self.pods.orders[-1].name
        self.runs.clock.advance(timedelta(seconds=1))
        driver = self.driver(Life(OWNER + name))
        driver.stop.set()
        driver.go_on("run")
        self.pods.vanish(name)

    def work(self, *, dies_at: int | None = None) -> None:
        """Have the latest pod do its work, as far as it comes; its exit code is that of the program."""
        name = self.pods.orders[-1].name
        life = Life(OWNER + name, dies_at=dies_at)
        self.runs.lives.append(life)
        driver = self.driver(life)
        try:
            done = driver.go_on("run")
        except KilledError:
            self.pods.become(name, PodPhase.ENDED, exit_code=137)
            return
        code = {Phase.FINAL_ANSWER: 0, Phase.FAILED: 1}.get(done.status.phase, 6)
        self.pods.become(name, PodPhase.ENDED, exit_code=code)

    def driver(self, life: Life) -> Any:
        from goldgate.agent.driver import TaskRunDriver

        return TaskRunDriver(
            store=MortalStore(self.runs.store, life),
            open_agent=lambda name, _: MortalAgent(name, self.plans[name], self.runs.world, life),
            find_task=no_task,
            clock=self.runs.clock,
            owner=life.owner,
        )

    def recorded(self) -> TaskRun:
        found = self.runs.store.read("run")
        assert found is not None
        return found

    def reasons(self) -> list[str]:
        return [event.reason for event in self.recorded().status.events]


class TestTend:
    def test_makes_one_pod_however_often_it_is_asked(self):
        bench = Bench()

        tended = [bench.tend() for _ in range(3)]

        assert [each.decision for each in tended] == [Follow()] * 3
        assert [each.pod for each in tended] == ["run-1"] * 3
        assert [order.name for order in bench.pods.orders] == ["run-1"]

    def test_orders_what_the_run_s_agent_needs(self):
        bench = Bench()

        bench.tend()

        order = bench.pods.orders[0]
        assert order == PodOrder(
            name="run-1",
            run="run",
            run_uid=UID,
            command=("python3", "-m", "goldgate.entrypoints.task_run", "run"),
            settings=SPEC,
            env_from=SECRET,
            labels={"goldgate.dev/agent": "main"},
            deadline_s=86_400,
        )

    def test_gives_a_pod_no_more_time_than_its_run_has(self):
        bench = Bench(run=RUN.model_copy(update={"spec": RUN.spec.model_copy(update={"deadline_seconds": 100.0})}))

        bench.tend()

        assert bench.pods.orders[0].deadline_s == 160

    def test_gives_a_pod_no_more_time_than_the_settings_grant(self):
        bench = Bench(run=RUN.model_copy(update={"spec": RUN.spec.model_copy(update={"deadline_seconds": 86_399.0})}))

        bench.tend()

        assert bench.pods.orders[0].deadline_s == 86_400

    def test_tells_that_a_run_is_over_and_removes_the_pod_that_nobody_need_look_at(self):
        bench = Bench()
        bench.tend()
        bench.work()

        tended = bench.tend()

        assert (tended.decision, tended.run.status.phase) == (Over(), Phase.FINAL_ANSWER)
        assert bench.pods.pods == {}

    @pytest.mark.parametrize(("keep", "is_kept"), [("failed", True), ("always", True), ("never", False)])
    def test_keeps_a_pod_that_failed_for_people_to_look_at(self, keep, is_kept):
        bench = Bench(spec=SPEC.model_copy(update={"keep": keep, "max_losses": 0}))
        bench.tend()
        bench.work(dies_at=7)

        tended = bench.tend()

        assert tended.run.status.phase is Phase.FAILED
        assert ("run-1" in bench.pods.pods) is is_kept

    def test_has_another_pod_go_on_where_one_was_lost(self):
        bench = Bench()
        bench.tend()
        bench.work(dies_at=12)
        bench.pods.vanish("run-1")

        tended = bench.tend()
        bench.work()

        assert (tended.decision, tended.pod) == (Follow(), "run-2")
        assert bench.recorded().status.phase is Phase.FINAL_ANSWER
        assert "PodLost" in bench.reasons()
        assert max(bench.runs.world.effects.values()) == 1

    def test_counts_no_loss_where_pods_are_drained_as_often_as_may_be(self):
        bench = Bench()
        for _ in range(6):
            bench.tend()
            bench.drain()

        tended = bench.tend()

        assert tended.pod == "run-7"
        assert bench.counts.counts["run"].lost == 0
        assert "PodLost" not in bench.reasons()

    def test_gives_up_on_pods_that_do_nothing_whatever_is_noted_of_them(self):
        """Taking back a lease is recorded too, and is no sign that the pod did anything."""
        bench = Bench()
        move = bench.counts.move

        def takes_a_moment(run: str, **named: Any) -> bool:
            moved = move(run, **named)
            bench.runs.clock.advance(timedelta(milliseconds=1))
            return moved

        bench.counts.move = takes_a_moment  # type: ignore[method-assign]
        bench.tend()
        bench.work(dies_at=12)
        for _ in range(30):
            tended = bench.tend()
            bench.runs.clock.advance(timedelta(seconds=1))
            if tended.run.status.phase.is_terminal:
                break
            bench.runs.store.release(bench.runs.store.take("run", owner="pod/run-9", for_s=5))
            bench.pods.become(tended.pod, PodPhase.ENDED, exit_code=75)

        assert "none recorded anything" in (tended.run.status.error or "")

    def test_gives_up_on_pods_that_do_nothing_though_each_was_slow_to_begin(self):
        """What keeps a pod from starting is told of each, and is no sign that it did anything."""
        bench = Bench()
        for _ in range(30):
            tended = bench.tend()
            if tended.run.status.phase.is_terminal:
                break
            bench.runs.clock.advance(timedelta(seconds=1))
            bench.pods.become(tended.pod, PodPhase.PENDING, reason="Unschedulable")
            bench.tend()
            bench.runs.clock.advance(timedelta(seconds=1))
            bench.pods.become(tended.pod, PodPhase.ENDED, exit_code=75)

        assert "none recorded anything" in (tended.run.status.error or "")

    def test_ends_the_run_after_too_many_losses_with_what_to_do(self):
        bench = Bench()
        for _ in range(4):
            bench.tend()
            bench.pods.vanish(bench.pods.orders[-1].name)

        tended = bench.tend()

        assert tended.decision == Over()
        assert (tended.run.status.error or "").startswith("pod: Pod `run-4` vanished")
        assert "maxLosses" in (tended.run.status.error or "")

    def test_asks_nothing_of_the_cluster_while_a_person_has_the_word(self):
        bench = Bench(plans=ASKING)
        bench.tend()
        bench.work()

        first, second = bench.tend(), bench.tend()

        assert (first.decision, second.decision) == (AskPerson(), AskPerson())
        assert bench.pods.pods == {}
        assert len(bench.pods.orders) == 1

    def test_goes_on_in_another_pod_once_the_person_has_spoken_and_counts_no_loss(self):
        bench = Bench(plans=ASKING)
        bench.tend()
        bench.work()
        bench.tend()
        bench.runs.answer_all()

        tended = bench.tend()
        bench.work()

        assert tended.pod == "run-2"
        assert bench.counts.counts["run"].lost == 0
        assert bench.recorded().status.phase is Phase.FINAL_ANSWER

    def test_waits_for_an_agent_that_is_missing_without_a_pod_and_goes_on_by_itself(self):
        bench = Bench()
        bench.missing = "Found no Agent"

        waiting = [bench.tend() for _ in range(3)]

        assert [each.decision for each in waiting] == [WaitForAgent()] * 3
        assert waiting[0].run.status.phase is Phase.PENDING
        assert waiting[0].run.status.status_detail == "Waiting for the agent: Found no Agent `main`"
        assert bench.reasons().count("Waiting") == 1
        assert bench.pods.orders == []
        known = Life("launcher")
        bench.launcher(known).tend("run")
        assert known.points == 0, "what is recorded already is written again"
        bench.missing = None
        assert bench.tend().decision == Follow()

    @pytest.mark.parametrize("is_of_task", [False, True])
    def test_gives_no_pod_the_secrets_of_an_agent_that_only_a_pod_named(self, is_of_task: bool):
        """A pod writes the status of its run, and may have been taken over."""
        asked = TaskRunSpec(task_ref="task") if is_of_task else RUN.spec
        task = TaskSpec(agent_ref="another", user_message="go")
        forged = TaskRunStatus(progress=RunProgress(task=task))
        bench = Bench(
            run=RUN.model_copy(update={"spec": asked, "status": forged}),
            find_task=lambda _: TaskSpec(agent_ref="main", user_message="go"),
        )

        bench.tend()

        assert {order.labels[AGENT_LABEL] for order in bench.pods.orders} <= {"main"}

    def test_fails_a_run_of_a_task_that_is_not_there(self):
        bench = Bench(run=RUN.model_copy(update={"spec": TaskRunSpec(task_ref="absent")}))

        tended = bench.tend()

        assert (tended.decision, tended.run.status.error) == (Over(), "Found no task `absent`.")

    def test_fails_at_once_what_the_cluster_refuses_with_its_words(self):
        bench = Bench()
        bench.pods.refuses = PodRefusedError("violates PodSecurity")

        tended = bench.tend()

        assert tended.decision == Over()
        assert tended.run.status.error == "pod: violates PodSecurity"

    def test_waits_for_room_and_then_fails(self):
        bench = Bench()
        bench.pods.refuses = QuotaExceededError("exceeded quota: pods")

        waiting = bench.tend()
        bench.runs.clock.advance(timedelta(seconds=300))
        failed = bench.tend()

        assert isinstance(waiting.decision, WaitForPod)
        assert "exceeded quota: pods" in waiting.decision.detail
        assert bench.reasons() == ["PodWaiting", "Abandoned"]
        assert (failed.decision, failed.run.status.phase) == (Over(), Phase.FAILED)
        assert "exceeded quota: pods" in (failed.run.status.error or "")

    def test_makes_the_pod_once_there_is_room(self):
        bench = Bench()
        bench.pods.refuses = QuotaExceededError("exceeded quota: pods")
        bench.tend()
        bench.pods.refuses = None

        tended = bench.tend()

        assert (tended.decision, tended.pod) == (Follow(), "run-1")

    def test_ends_a_pod_that_did_not_start_in_its_time(self):
        bench = Bench()
        bench.tend()
        bench.pods.pods["run-1"] = bench.pods.pods["run-1"].__class__(
            name="run-1", phase=PodPhase.PENDING, reason="Unschedulable", message="0/1 nodes", age_s=300, owner=UID
        )

        tended = bench.tend()

        assert "0/1 nodes" in (tended.run.status.error or "")
        assert bench.pods.ended == ["run-1"]

    def test_leaves_a_run_to_a_process_elsewhere_that_works_on_it(self):
        bench = Bench()
        bench.tend()
        bench.pods.vanish("run-1")
        bench.runs.store.take("run", owner="laptop", for_s=30)

        tended = bench.tend()

        assert isinstance(tended.decision, WaitForPod)
        assert "laptop" in tended.decision.detail
        assert len(bench.pods.orders) == 1

    def test_ends_a_run_past_its_deadline_without_a_pod(self):
        bench = Bench(
            plans=ASKING, run=RUN.model_copy(update={"spec": RUN.spec.model_copy(update={"deadline_seconds": 60.0})})
        )
        bench.tend()
        bench.work()
        bench.runs.clock.advance(timedelta(seconds=61))

        tended = bench.tend()

        assert tended.decision == Over()
        assert (tended.run.status.error or "").startswith("deadline: ")
        assert len(bench.pods.orders) == 1

    def test_obeys_an_order_to_end_without_a_pod(self):
        bench = Bench()
        bench.runs.store.post("run", RunWord(id="w", at=bench.runs.clock.now(), by="ann", cancels=True, text="no"))

        tended = bench.tend()

        assert (tended.decision, tended.run.status.error) == (Over(), "cancelled by ann: no")
        assert bench.pods.orders == []

    def test_ends_a_pod_that_has_not_begun_what_is_over(self):
        bench = Bench()
        bench.tend()
        bench.launcher().recorder.abandon("run", "not needed")

        bench.tend()

        assert bench.pods.ended == ["run-1"]

    def test_removes_a_pod_that_another_has_followed(self):
        bench = Bench(plans=ASKING)
        bench.tend()
        bench.work()
        bench.runs.answer_all()

        bench.tend()

        assert list(bench.pods.pods) == ["run-2"]

    def test_takes_the_run_from_the_last_pod_that_it_may_lose(self):
        bench = Bench(spec=SPEC.model_copy(update={"max_losses": 0}))
        bench.tend()
        bench.work(dies_at=12)
        bench.pods.vanish("run-1")

        tended = bench.tend()

        assert "vanished" in (tended.run.status.error or "")

    def test_reads_the_record_after_the_pod_which_may_just_have_come_to_its_end(self):
        """The other way round a pod that ended in between is taken for lost."""
        bench = Bench()
        bench.tend()
        look = bench.pods.look

        def ends_just_now(name: str, *, run_uid: str) -> Any:
            if bench.pods.pods[name].is_alive:
                bench.work()
            return look(name, run_uid=run_uid)

        bench.pods.look = ends_just_now  # type: ignore[method-assign]

        tended = bench.tend()

        assert tended.decision == Over()
        assert bench.counts.counts["run"].lost == 0

    def test_does_not_fail_a_run_for_which_another_launcher_has_made_a_pod_meanwhile(self):
        bench = Bench(spec=SPEC.model_copy(update={"max_losses": 0}))
        bench.tend()
        bench.pods.become("run-1", PodPhase.ENDED, exit_code=75)
        look = bench.pods.look

        def replaced_just_now(name: str, *, run_uid: str) -> Any:
            if "run-2" not in bench.pods.pods:
                bench.launcher().tend("run")
                return None  # the other one removed it
            return look(name, run_uid=run_uid)

        first = bench.launcher()
        bench.pods.look = lambda name, *, run_uid: (  # type: ignore[method-assign]
            setattr(bench.pods, "look", look) or replaced_just_now(name, run_uid=run_uid)
        )

        tended = first.tend("run")

        assert tended.decision == Follow()
        assert [order.name for order in bench.pods.orders] == ["run-1", "run-2"]

    def test_makes_no_pod_for_a_run_that_somebody_deleted_and_that_waits_for_its_pods(self):
        bench = Bench()
        bench.tend()
        bench.pods.vanish("run-1")
        bench.counts.is_leaving = True

        with pytest.raises(PermanentError, match="`run` was deleted"):
            bench.tend()
        assert [order.name for order in bench.pods.orders] == ["run-1"]

    def test_says_so_when_there_is_no_such_run(self):
        bench = Bench()
        bench.counts.read = lambda _: None  # type: ignore[method-assign]

        with pytest.raises(PermanentError, match="Found no TaskRun `run`"):
            bench.tend()


class TestCancel:
    def order(self, bench: Bench) -> None:
        word = RunWord(id="w", at=bench.runs.clock.now(), by="ann", cancels=True, text="not needed")
        bench.runs.store.post("run", word)

    def test_ends_a_run_that_no_pod_works_on(self):
        bench = Bench()
        self.order(bench)

        seen = bench.launcher().cancel("run")

        assert (seen.run.status.phase, seen.run.status.error) == (Phase.FAILED, "cancelled by ann: not needed")

    def test_ends_the_pod_and_takes_the_run_from_it_if_it_does_not_let_go(self):
        bench = Bench()
        bench.tend()
        bench.pods.become("run-1", PodPhase.RUNNING)
        lease = bench.runs.store.take("run", owner="pod/run-1", for_s=30)
        self.order(bench)

        seen = bench.launcher().cancel("run")

        assert bench.pods.ended == ["run-1"]
        assert seen.run.status.phase is Phase.FAILED
        with pytest.raises(PermanentError):
            bench.runs.store.save(lease, RUN)

    def test_leaves_the_order_to_a_process_elsewhere(self):
        bench = Bench()
        bench.runs.store.take("run", owner="laptop", for_s=30)
        self.order(bench)

        seen = bench.launcher().cancel("run")

        assert not seen.run.status.phase.is_terminal
        assert [word.cancels for word in bench.runs.store.words("run")] == [True]


def assert_ends_well(bench: Bench) -> None:
    for _ in range(10):
        tended = bench.tend()
        if tended.run.status.phase.is_terminal:
            break
        assert sum(pod.is_alive for pod in bench.pods.pods.values()) == 1
        bench.work()
    assert bench.recorded().status.phase is Phase.FINAL_ANSWER
    assert max(bench.runs.world.effects.values()) == 1


class TestALauncherThatIsKilled:
    """It dies before and after everything that it writes; the next one knows only what stands in the cluster."""

    @pytest.mark.parametrize("point", range(20))
    def test_makes_no_second_pod_and_loses_nothing(self, point):
        bench = Bench()

        self.killed(bench, point)

        assert_ends_well(bench)
        assert len(bench.pods.orders) == 1

    @pytest.mark.parametrize("point", range(30))
    def test_replaces_a_lost_pod_once(self, point):
        bench = Bench()
        bench.tend()
        bench.work(dies_at=12)
        bench.pods.vanish("run-1")

        self.killed(bench, point)

        assert_ends_well(bench)
        assert [order.name for order in bench.pods.orders] == ["run-1", "run-2"]
        assert bench.counts.counts["run"].lost == 1
        assert bench.reasons().count("PodLost") == 1

    def test_leaves_a_pod_to_the_next_that_knows_by_then_that_it_was_there(self):
        """Made, and not noted: if the next one did not note it either, a pod that vanished would be made again."""
        bench = Bench()
        self.killed(bench, 3)
        seen = list(bench.pods.pods)
        bench.tend()
        bench.pods.vanish("run-1")

        tended = bench.tend()

        assert seen == ["run-1"]
        assert tended.pod == "run-2"

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.integers(0, 25), max_size=5), st.lists(st.integers(0, 25), max_size=3))
    def test_beside_pods_that_are_killed_still_comes_to_the_same_end(self, launcher_deaths, pod_deaths):
        bench = Bench()
        for dies_at in launcher_deaths:
            self.killed(bench, dies_at)
        for dies_at in pod_deaths:
            bench.tend()
            if not bench.recorded().status.phase.is_terminal:
                bench.work(dies_at=dies_at)

        assert_ends_well(bench)

    def killed(self, bench: Bench, point: int) -> None:
        life = Life("doomed", dies_at=point)
        try:
            bench.launcher(life).tend("run")
        except KilledError:
            bench.runs.store.dead.add(life.owner)
