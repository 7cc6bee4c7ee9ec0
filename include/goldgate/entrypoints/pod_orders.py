"""What the pod of a run is made from: the agent that was asked for, its Secrets, and the time it may take."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from goldgate.agent.run_interruptions import deadline_of
from goldgate.agent.run_outside import OutsideRecorder, waits_for_agent
from goldgate.contracts.cluster import AGENT_LABEL
from goldgate.contracts.pods import PodSettingsSpec
from goldgate.contracts.resource_parts import EnvName, FromEnv
from goldgate.contracts.task_runs import TaskRun
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.pods import Counted, PodOrder

Needs = Callable[[str, TaskRun], Mapping[EnvName, FromEnv]]
"""Variables from Secrets for an agent, by its name. TransientError: the agent is not there."""

PROGRAM: Final = ("python3", "-m", "goldgate.entrypoints.task_run")
"""Works on the run that its last argument names."""

_DEADLINE_GRACE_S: Final = 60.0
"""The run ends itself at its deadline; the cluster ends a pod that does not."""


@dataclass(frozen=True, kw_only=True)
class Needed:
    """What a pod is made for, and from."""

    agent: str
    env_from: Mapping[EnvName, FromEnv]


@dataclass(frozen=True, kw_only=True)
class PodOrders:
    """Orders pods for runs."""

    recorder: OutsideRecorder
    needs: Needs
    settings: PodSettingsSpec
    program: tuple[str, ...] = PROGRAM

    def needed(self, run: TaskRun) -> Needed | None:
        """Find what the pod needs. None: it is not there, and that is recorded."""
        name = run.metadata.name
        try:
            agent = self._agent_of(run)
            return Needed(agent=agent, env_from=self.needs(agent, run))
        except (PermanentError, TransientError) as error:
            if not waits_for_agent(run, str(error)):
                self.recorder.settle(name, agent_problem=str(error))
        return None

    def order(self, run: TaskRun, *, counted: Counted, needed: Needed) -> PodOrder:
        """Write the order of a pod that was counted."""
        name = run.metadata.name
        return PodOrder(
            name=counted.launches.pod,
            run=name,
            run_uid=counted.uid,
            command=(*self.program, name),
            settings=self.settings,
            env_from=needed.env_from,
            labels={AGENT_LABEL: needed.agent},
            deadline_s=self._deadline_s(run),
        )

    def _agent_of(self, run: TaskRun) -> str:
        """Name the agent of a run by what was asked for: its status is its pod's word, which gives no pod a Secret."""
        if run.spec.agent_ref is not None:
            return run.spec.agent_ref
        named, begun = self.recorder.find_task(run.spec.task_ref or "").agent_ref, run.status.progress.task
        if begun is not None and begun.agent_ref != named:
            raise TransientError(
                f"Found agent `{named}` in Task `{run.spec.task_ref}`; expected `{begun.agent_ref}`, by which the run "
                "was begun. Have the Task name it again, or cancel the run and start it anew."
            )
        return named

    def _deadline_s(self, run: TaskRun) -> float:
        own_s = run.spec.deadline_seconds
        if own_s is None:
            return self.settings.deadline_seconds
        deadline = deadline_of(run) or self.recorder.clock.now() + timedelta(seconds=own_s)
        left_s = (deadline - self.recorder.clock.now()).total_seconds()
        return min(max(left_s, 0.0) + _DEADLINE_GRACE_S, self.settings.deadline_seconds)
