"""A run that launchers make pods for and that those pods work on: all in memory, and any of them may be killed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from goldgate.agent.driver import TaskRunDriver
from goldgate.agent.run_outside import OutsideRecorder
from goldgate.contracts.pods import PodResources, PodSettingsSpec
from goldgate.contracts.resource_parts import EnvName, FromEnv, Metadata, SecretKey
from goldgate.contracts.task_runs import TaskRun, TaskRunSpec, TaskSpec
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.pods import PodPhase
from goldgate.domain.runs.state import Nature, Need, Phase
from goldgate.entrypoints.pod_launcher import OWNER, PodLauncher, Tended
from tests.fakes.in_memory_pods import InMemoryLaunchCounts, InMemoryPods
from tests.fakes.mortal_runs import KilledError, Life, Mortal, MortalAgent, MortalRuns, Plan, wish

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
            store=Mortal(self.runs.store, life), clock=self.runs.clock, find_task=self.find_task, owner=life.owner
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
        return TaskRunDriver(
            store=Mortal(self.runs.store, life),
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
