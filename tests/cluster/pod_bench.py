"""TaskRuns and their pods on a real cluster, with programs of a test in place of an agent."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from goldgate.adapters.cluster.connection import Cluster
from goldgate.adapters.cluster.launch_counts import ClusterLaunchCounts
from goldgate.adapters.cluster.pods import ClusterPods
from goldgate.adapters.cluster.task_runs import ClusterTaskRunStore
from goldgate.adapters.system_clock import SystemClock
from goldgate.agent.run_outside import OutsideRecorder
from goldgate.contracts.pods import PodResources, PodSettingsSpec
from goldgate.contracts.resource_parts import EnvName, FromEnv, Metadata
from goldgate.contracts.task_runs import TaskRun, TaskRunSpec, TaskSpec
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.pods import PodFacts, PodPhase
from goldgate.entrypoints.pod_launcher import PodLauncher, Tended
from goldgate.entrypoints.task_desk import TaskDesk
from goldgate.ports.task_runs import RunWord
from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.stores import prepared

SLEEPS = "import time; time.sleep(600)"
WITHIN_S = 240.0


def no_task(name: str) -> TaskSpec:
    raise PermanentError(f"Found no task `{name}`.")


@dataclass
class PodBench:
    """Launches pods for runs of one namespace."""

    cluster: ClusterUnderTest
    reached: Cluster
    env_from: Mapping[EnvName, FromEnv] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.clock = SystemClock()
        self.store = ClusterTaskRunStore(self.reached, clock=self.clock, is_dead=self.dead.__contains__)
        self.pods = ClusterPods(self.reached, clock=self.clock)
        self.counts = ClusterLaunchCounts(self.reached)

    def make(self) -> str:
        """Make a run that nothing has begun."""
        return self.make_named(f"run-{secrets.token_hex(4)}")

    def make_named(self, name: str) -> str:
        spec = TaskRunSpec(agent_ref="main", user_message="Do it.")
        self.store.create(TaskRun(kind="TaskRun", metadata=Metadata(name=name), spec=spec))
        return name

    def launcher(self, program: str | tuple[str, ...] = SLEEPS, **settings: Any) -> PodLauncher:
        """Have a piece of Python run in place of an agent."""
        given: dict[str, Any] = {
            "image": self.cluster.image,
            "image_pull_policy": "Never",
            "service_account": "default",
            "resources": PodResources(
                requests={"cpu": "10m", "memory": "16Mi"}, limits={"cpu": "500m", "memory": "64Mi"}
            ),
            "grace_seconds": 2,
            "start_within_seconds": 240,
            **settings,
        }
        return PodLauncher(
            recorder=OutsideRecorder(store=self.store, clock=self.clock, find_task=no_task, owner="launcher/test"),
            pods=self.pods,
            counts=self.counts,
            needs=lambda *_: self.env_from,
            settings=PodSettingsSpec(**given),
            dead=self.dead,
            program=("python3", "-c", program) if isinstance(program, str) else program,
        )

    def tend_until(self, launcher: PodLauncher, name: str, is_so: Callable[[Tended], bool]) -> Tended:
        """Tend a run until something is so."""
        until_s = time.monotonic() + WITHIN_S
        while True:
            tended = launcher.tend(name)
            if is_so(tended):
                return tended
            assert time.monotonic() < until_s, f"{tended.decision} {tended.pod} {tended.run.status}"
            time.sleep(0.1)

    def tend_to_the_end(self, launcher: PodLauncher, name: str) -> TaskRun:
        return self.tend_until(launcher, name, lambda tended: tended.run.status.phase.is_terminal).run

    def await_pod(self, name: str, is_so: Callable[[PodFacts | None], bool]) -> PodFacts | None:
        """Wait until a pod is as it should be."""
        run = name.rpartition("-")[0]
        counted = self.counts.read(run)
        assert counted is not None
        until_s = time.monotonic() + WITHIN_S
        while not is_so(facts := self.pods.look(name, run_uid=counted.uid)):
            assert time.monotonic() < until_s, facts
            time.sleep(0.1)
        return facts

    def running(self, launcher: PodLauncher, name: str) -> str:
        """Have the pod of a run run."""
        pod = launcher.tend(name).pod
        self.await_pod(pod, lambda facts: facts is not None and facts.phase is PodPhase.RUNNING)
        return pod

    def order_to_end(self, name: str, reason: str) -> RunWord:
        return TaskDesk(store=self.store, clock=self.clock).cancel(name, reason=reason, by="ann")

    def reasons(self, name: str) -> list[str]:
        run = self.store.read(name)
        assert run is not None
        return [event.reason for event in run.status.events]


@contextmanager
def benched(cluster: ClusterUnderTest) -> Iterator[PodBench]:
    with prepared(cluster) as reached:
        bench = PodBench(cluster, reached)
        try:
            yield bench
        finally:
            bench.store.close()
