"""A world in which runs are worked on by processes that may be killed at any point, and a person who answers.

What is done outside (`World.effects`) is counted by idempotency key: that is what must never be done twice.
"""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from goldgate.agent.driver import TaskRunDriver
from goldgate.contracts.prediction import PredictRequest, PredictResponse
from goldgate.contracts.task_runs import RunLimits, TaskRun, TaskSpec
from goldgate.domain.conversation import ChatMessage
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.events import AgentReady, ModelReplied, ToolReturned, ToolWaits, Word
from goldgate.domain.runs.limits import remaining
from goldgate.domain.runs.state import Call, Fate, Limits, Nature, Need, RunState, Spent
from goldgate.ports.agents import Delegate
from goldgate.ports.task_runs import RunWord
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_task_runs import InMemoryTaskRunStore


class KilledError(BaseException):
    """The process is gone: nothing catches this, nothing is cleaned up."""


class Life:
    """One process. It dies at a point, and from then on nothing of it does anything."""

    def __init__(self, owner: str, *, dies_at: int | None = None) -> None:
        self.owner = owner
        self.points = 0
        self._dies_at = dies_at
        self._lock = threading.Lock()
        self.is_dead = False

    def point(self) -> None:
        with self._lock:
            if not self.is_dead and self.points == self._dies_at:
                self.is_dead = True
            self.points += 1
            if self.is_dead:
                raise KilledError


WRITES: Final = {"create", "take", "save", "drop", "release", "post", "launch", "end", "move"}
"""Of a store of runs; of pods and their counts."""


class Mortal:
    """A port as one process sees it, which may die before and after everything that is written."""

    def __init__(self, port: Any, life: Life) -> None:
        self._port, self._life = port, life

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._port, name)
        if name not in WRITES:
            return method

        def mortal(*arguments: Any, **named: Any) -> Any:
            self._life.point()
            result = method(*arguments, **named)
            self._life.point()
            return result

        return mortal


@dataclass
class World:
    """What tools do outside."""

    effects: Counter[str] = field(default_factory=Counter)
    """How often something was changed, by key."""
    made: Counter[str] = field(default_factory=Counter)
    """How often a call reached its tool, by key."""
    results: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def do(self, call: Call) -> str:
        result = f"{call.name} did {call.arguments}"
        with self.lock:
            self.made[call.key] += 1
            is_repeated = call.nature is Nature.IDEMPOTENT and call.key in self.results
            if call.nature is not Nature.PURE and not is_repeated:
                self.effects[call.key] += 1
            self.results[call.key] = result
        return result


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an agent does: the calls of each of its turns; after the last it answers with all that it was given."""

    turns: Sequence[Sequence[Call]]
    limits: Limits = Limits(max_steps=20, timeout_s=1000)


def wish(name: str, nature: Nature, *, need: Need = Need.NOTHING) -> Call:
    """A call that a plan asks for."""
    fate = Fate.STARTED if need is Need.NOTHING else Fate.AWAITED
    question = "" if need is Need.NOTHING else f"{name}?"
    return Call(
        id="", name=name, arguments=f'{{"of": "{name}"}}', nature=nature, need=need, fate=fate, question=question
    )


class MortalWork:
    """Implements `goldgate.ports.agents.Work`. What it says depends on the state alone, as a model at temperature 0."""

    trace_id = "ab" * 16
    span_id = "cd" * 8

    def __init__(self, agent: "MortalAgent", request: PredictRequest, *, delegate: Delegate, depth: int) -> None:
        self._agent, self._request, self._delegate, self._depth = agent, request, delegate, depth

    def begin(self) -> AgentReady:
        self._agent.life.point()
        user = ChatMessage(role="user", content=self._request.question)
        return AgentReady(messages=(user,), limits=self._agent.plan.limits)

    def ask(self, state: RunState) -> ModelReplied:
        self._agent.life.point()
        turn = state.spent.steps
        own_turns = sum(message.role == "assistant" for message in state.messages)
        spent = Spent(steps=1, tokens_in=100, tokens_out=10, cost_usd=0.01)
        self._agent.life.point()
        if own_turns >= len(self._agent.plan.turns):
            given = " | ".join(message.content for message in state.messages if message.role == "tool")
            return ModelReplied(content=f"answer: {given}", spent=spent)
        wishes = self._agent.plan.turns[own_turns]
        calls = tuple(Call(**{**vars(call), "id": f"t{turn}-{position}"}) for position, call in enumerate(wishes))
        return ModelReplied(content="", calls=calls, finish_reason="tool_calls", spent=spent)

    def call(self, state: RunState, call: Call) -> ToolReturned | ToolWaits:
        self._agent.life.point()
        if call.name.startswith("ask_"):
            helper = call.name.removeprefix("ask_")
            left = remaining(state.limits, state.spent)
            reply = self._delegate.ask(helper, "help", key=call.key, limits=left, depth=self._depth + 1)
            self._agent.life.point()
            if reply.waits is not None:
                return ToolWaits(call_id=call.id, reason=reply.waits)
            return ToolReturned(call_id=call.id, content=reply.content, is_error=reply.is_error, spent=reply.spent)
        result = self._agent.world.do(call)
        self._agent.life.point()
        return ToolReturned(call_id=call.id, content=result)

    def respond(self, state: RunState) -> PredictResponse:
        self._agent.life.point()
        return PredictResponse(
            answer=state.output or "",
            refused=False,
            latency_ms_total=0,
            latency_ms_llm=0,
            error=state.error,
            trace_id=self.trace_id,
            model="m",
            prompt="a@0",
        )


@dataclass
class MortalAgent:
    """Implements `goldgate.ports.agents.Agent`, as far as runs need it."""

    name: str
    plan: Plan
    world: World
    life: Life
    digest: str = ""
    prompt_id: str = "a@0"
    model: str = "m"

    def work(
        self,
        request: PredictRequest,
        *,
        span_id: str | None = None,  # noqa: ARG002 - the port's signature, here and below
        parent_span_id: str | None = None,  # noqa: ARG002
        started_ns: int | None = None,  # noqa: ARG002
        depth: int = 0,
        limits: RunLimits = RunLimits(),  # noqa: B008, ARG002
        delegate: Delegate | None = None,
    ) -> MortalWork:
        assert delegate is not None
        return MortalWork(self, request, delegate=delegate, depth=depth)

    def warm_up(self, *, within_s: float = 30) -> list[str]:  # noqa: ARG002
        return []

    def prepare_tools(self) -> None:
        pass

    def predict(self, request: PredictRequest) -> PredictResponse:
        raise NotImplementedError

    def close(self) -> None:
        pass


class MortalRuns:
    """Runs one TaskRun through any number of lives."""

    def __init__(self, plans: dict[str, Plan], *, answers: bool = True) -> None:
        self.plans = plans
        self.world = World()
        self.clock = FrozenClock()
        self.store = InMemoryTaskRunStore(clock=self.clock)
        self.lives: list[Life] = []
        self._answers = answers
        self._words = itertools.count()

    def live(self, run: TaskRun, *, dies_at: int | None = None) -> TaskRun | None:
        """Work on a run in a new process. None: it was killed."""
        life = Life(f"process-{len(self.lives)}", dies_at=dies_at)
        self.lives.append(life)
        driver = TaskRunDriver(
            store=Mortal(self.store, life),
            open_agent=lambda name, _: MortalAgent(name, self.plans[name], self.world, life),
            find_task=_no_task,
            clock=self.clock,
            owner=life.owner,
        )
        try:
            return driver.run(run)
        except KilledError:
            self.store.dead.add(life.owner)
            self.clock.advance(timedelta(seconds=1))
            return None

    def finish(self, run: TaskRun, *, deaths: Collection[int] = (), most_lives: int = 60) -> TaskRun:
        """Work on a run until it is over: the first lives die at these points, and a person answers in between."""
        deaths_left = list(deaths)
        for _ in range(most_lives):
            done = self.live(run, dies_at=deaths_left.pop(0) if deaths_left else None)
            if done is not None and done.status.phase.is_terminal:
                return done
            if done is not None:
                self.answer_all()
        raise AssertionError(f"not over after {most_lives} lives: {self.store.read(run.metadata.name)}")

    def answer_all(self) -> None:
        """Say what a person would who looks at what was done outside."""
        for name in self.store.names():
            found = self.store.read(name)
            assert found is not None
            for call in found.status.calls:
                if call.fate is Fate.AWAITED and self._answers:
                    self.say(name, call.key, *self._answer(call.key, call.need))

    def say(self, name: str, key: str, word: Word, text: str = "") -> None:
        said = RunWord(id=f"w{next(self._words)}", at=self.clock.now(), by="person", call_key=key, word=word, text=text)
        self.store.post(name, said)

    def _answer(self, key: str, need: Need) -> tuple[Word, str]:
        match need:
            case Need.ANSWER:
                return Word.ANSWER, "the person's answer"
            case Need.FATE if key in self.world.results:
                return Word.ANSWER, self.world.results[key]
            case _:
                return Word.APPROVE, ""


def _no_task(name: str) -> TaskSpec:
    raise PermanentError(f"Found no task `{name}`.")
