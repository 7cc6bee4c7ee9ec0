"""One driver of TaskRuns with everything around it in memory."""

from collections.abc import Callable
from typing import Any

from goldgate.agent.driver import TaskRunDriver
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import TaskRun, TaskRunSpec, TaskSpec
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.state import Nature, Need
from goldgate.ports.agents import Agent
from goldgate.ports.task_runs import RunWord
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_task_runs import InMemoryTaskRunStore
from tests.fakes.mortal_runs import Life, MortalAgent, Plan, World, wish
from tests.fakes.scripted_work import ScriptedWork

PLAIN = Plan(turns=())
ASKS = Plan(turns=((wish("pay", Nature.ASK, need=Need.APPROVAL),),))


def task_run(name: str = "run", **spec: Any) -> TaskRun:
    spec = spec or {"agent_ref": "main", "user_message": "go"}
    return TaskRun(kind="TaskRun", metadata=Metadata(name=name), spec=TaskRunSpec(**spec))


class Desk:
    """One driver, and everything around it."""

    def __init__(self, open_agent: Callable[[str, str], Agent] | None = None, **options: Any) -> None:
        self.clock = FrozenClock()
        self.store = InMemoryTaskRunStore(clock=self.clock)
        self.opened: list[tuple[str, str]] = []
        self.plan = PLAIN
        self.world = World()
        self.driver = TaskRunDriver(
            store=self.store,
            open_agent=open_agent or self._open,
            find_task=self._find,
            clock=self.clock,
            **{"owner": "me", **options},
        )

    def _open(self, name: str, bundle: str) -> MortalAgent:
        self.opened.append((name, bundle))
        return MortalAgent(name, self.plan, self.world, Life("me"), digest="d" * 64)

    def _find(self, name: str) -> TaskSpec:
        if name != "greet":
            raise PermanentError(f"Found no task `{name}`.")
        return TaskSpec(agent_ref="main", user_message="Hello?")

    def say(self, name: str = "run", **fields: Any) -> None:
        self.store.post(name, RunWord(**{"id": "w", "at": self.clock.now(), "by": "ann", **fields}))


class OfWork:
    """An agent whose only work is given. Implements as much of `goldgate.ports.agents.Agent` as a run needs."""

    def __init__(self, work: ScriptedWork, *, prepares: Callable[[], object] = lambda: None) -> None:
        self._work = work
        self._prepares = prepares
        self.asked: dict[str, Any] = {}

    def work(self, _request: object, **asked: Any) -> ScriptedWork:
        self.asked = asked
        return self._work

    def prepare_tools(self) -> None:
        self._prepares()

    def close(self) -> None:
        pass


def reasons(run: TaskRun) -> list[str]:
    return [event.reason for event in run.status.events]


def driver_of(desk: Desk, **changes: Any) -> TaskRunDriver:
    return TaskRunDriver(**{**vars(desk.driver), **changes})
