import itertools
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from goldgate.agent.driver import TaskRunDriver, named
from goldgate.agent.lease_keeper import LeaseKeeper
from goldgate.agent.recorded_delegate import sub_run_name
from goldgate.agent.run_interruptions import GuardedWork, Interruptions, RunInterruptedError
from goldgate.agent.run_record import MOST_EVENTS, RunRecord
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import RunLimits, TaskRun, TaskRunSpec, TaskSpec
from goldgate.domain.conversation import ChatMessage
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.events import AgentReady, Answered, Broke, ModelReplied, ToolReturned, Word
from goldgate.domain.runs.state import Call, Limits, Nature, Need, Phase, RunState, Status
from goldgate.domain.runs.steps import Effect, Happening, Step
from goldgate.ports.agents import Agent
from goldgate.ports.task_runs import LeaseLostError, RunHeldError, RunWord
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_task_runs import InMemoryTaskRunStore
from tests.fakes.mortal_runs import Life, MortalAgent, MortalRuns, Plan, World, wish
from tests.fakes.scripted_work import ScriptedWork, wants

PLAIN = Plan(turns=())


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

    def __init__(self, work: ScriptedWork, *, opens: Callable[[], object] = lambda: None) -> None:
        self._work = work
        self._opens = opens
        self.asked: dict[str, Any] = {}

    def work(self, _request: object, **asked: Any) -> ScriptedWork:
        self.asked = asked
        return self._work

    def open_tools(self) -> list[str]:
        self._opens()
        return []

    def close(self) -> None:
        pass


def reasons(run: TaskRun) -> list[str]:
    return [event.reason for event in run.status.events]


class TestARun:
    def test_goes_through_its_phases_to_an_answer(self):
        desk = Desk()
        desk.plan = Plan(turns=((wish("look", Nature.PURE),),))

        done = desk.driver.run(task_run())

        assert [run.status.phase for run in desk.store.saved] == [
            Phase.PENDING,
            Phase.READY_FOR_LLM,
            Phase.TOOL_CALLS_PENDING,
            Phase.READY_FOR_LLM,
            Phase.FINAL_ANSWER,
        ]
        assert reasons(done) == [
            "ValidationSucceeded",
            "SendingContextWindowToLLM",
            "ToolCallsPending",
            "ToolCallCreated",
            "ToolCallCompleted",
            "AllToolCallsCompleted",
            "SendingContextWindowToLLM",
            "LLMFinalAnswer",
        ]
        assert (done.status.ready, done.status.status, done.status.error) == (True, Status.READY, None)
        assert done.status.completion_time == desk.clock.now()
        assert len(done.status.trace_id or "") == 32
        assert len(done.status.span_id or "") == 16

    def test_that_is_over_is_not_worked_on_again(self):
        desk = Desk()
        done = desk.driver.run(task_run())
        records = len(desk.store.saved)

        again = desk.driver.run(task_run())

        assert again == done
        assert (len(desk.store.saved), len(desk.opened)) == (records, 1)

    def test_earns_its_status_itself(self):
        desk = Desk()
        claimed = task_run()
        claimed = claimed.model_copy(
            update={"status": claimed.status.model_copy(update={"phase": Phase.FINAL_ANSWER, "output": "made up"})}
        )

        assert desk.driver.run(claimed).status.output == "answer: "

    def test_of_a_task_asks_what_the_task_said_when_it_began(self):
        desk = Desk()

        done = desk.driver.run(task_run(task_ref="greet"))

        assert done.status.user_message_preview == "Hello?"
        assert done.status.progress.task == TaskSpec(agent_ref="main", user_message="Hello?")
        assert done.status.context_window[0].content == "Hello?"

    def test_of_an_unknown_task_fails_and_says_so(self):
        done = Desk().driver.run(task_run(task_ref="nothing"))

        assert (done.status.phase, done.status.error) == (Phase.FAILED, "Found no task `nothing`.")
        assert reasons(done) == ["ValidationFailed"]

    def test_shows_the_beginning_of_a_long_message_on_one_line(self):
        done = Desk().driver.run(task_run(agent_ref="main", user_message="one\ntwo " + "x" * 100))

        assert done.status.user_message_preview == ("one two " + "x" * 100)[:60] + "…"

    def test_shows_no_personal_data_in_the_beginning_of_its_message(self):
        message = "Write to maria.keller@firm.de, card 4111 1111 1111 1111, " + "x" * 100

        done = Desk().driver.run(task_run(agent_ref="main", user_message=message))

        assert done.status.user_message_preview == "Write to [redacted: e-mail], card [redacted: card], xxxxxxxx…"
        assert done.spec.user_message == message

    def test_keeps_to_the_limits_that_were_asked_for(self):
        work = ScriptedWork(
            ModelReplied(content="done"), begins=AgentReady(messages=(), limits=Limits(max_steps=9, timeout_s=60))
        )
        agent = OfWork(work)
        limits = RunLimits(max_steps=3, max_tokens=50)
        desk = Desk(lambda *_: agent)  # type: ignore[arg-type,return-value]

        done = desk.driver.run(task_run(agent_ref="main", user_message="go", limits=limits, depth=2))

        kept = done.status.progress.limits
        assert (kept.max_steps, kept.timeout_seconds, kept.max_tokens) == (3, 60, 50)
        assert (agent.asked["limits"], agent.asked["depth"]) == (limits, 2)
        assert agent.asked["span_id"] == done.status.span_id

    def test_is_refused_while_another_process_works_on_it(self):
        desk = Desk()
        desk.store.create(task_run())
        desk.store.take("run", owner="another", for_s=30)

        with pytest.raises(RunHeldError):
            desk.driver.run(task_run())

    def test_that_nobody_created_is_unknown(self):
        with pytest.raises(PermanentError, match="no run named `run`"):
            Desk().driver.go_on("run")

    def test_gives_its_lease_back_when_something_breaks(self):
        def broken(*_: str) -> Agent:
            raise RuntimeError("a defect")

        desk = Desk(broken)

        with pytest.raises(RuntimeError, match="a defect"):
            desk.driver.run(task_run())

        desk.store.take("run", owner="next", for_s=30)


class Absent:
    """Opens an agent only after some tries."""

    def __init__(self, desk: "Desk", tries: int, error: Exception | None = None) -> None:
        self.desk, self.left, self.error = desk, tries, error
        self.bundles: list[str] = []

    def __call__(self, name: str, bundle: str) -> Agent:
        self.bundles.append(bundle)
        self.left -= 1
        if self.left >= 0:
            raise self.error or TransientError(f"Found no agent `{name}`.")
        return self.desk._open(name, bundle)  # type: ignore[return-value]


class TestAnAgentThatIsNotThere:
    def test_leaves_the_run_waiting_and_it_goes_on_when_it_is_run_again(self):
        desk = Desk()
        desk.driver = _with(desk, open_agent=Absent(desk, 1))

        waiting = desk.driver.run(task_run())
        done = desk.driver.run(task_run())

        assert (waiting.status.phase, waiting.status.status) == (Phase.PENDING, Status.PENDING)
        assert (waiting.status.error, waiting.status.ready) == (None, False)
        assert waiting.status.status_detail == "Waiting for the agent: Found no agent `main`."
        assert (done.status.phase, done.status.usage.take_ups) == (Phase.FINAL_ANSWER, 0)
        assert reasons(done)[:3] == ["ValidationSucceeded", "Waiting", "AgentFound"]

    def test_is_waited_for_with_growing_pauses_and_told_once(self):
        desk, pauses, tries = Desk(), [], []
        absent = Absent(desk, 5)

        def opens(*asked: str) -> Agent:
            tries.append(sum(pauses))
            return absent(*asked)

        desk.driver = _with(desk, open_agent=opens, wait_for_agent_s=60.0, pause=pauses.append)

        done = desk.driver.run(task_run())

        assert done.status.phase is Phase.FINAL_ANSWER
        assert [later - earlier for earlier, later in itertools.pairwise(tries)] == pytest.approx(
            [0.2, 0.3, 0.45, 0.675, 1.0125]
        )
        assert reasons(done).count("Waiting") == 1

    def test_is_not_waited_for_once_the_run_is_told_to_end(self):
        desk, pauses = Desk(), []
        absent = Absent(desk, 999)

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if sum(pauses) > 20:
                desk.say(cancels=True)

        desk.driver = _with(desk, open_agent=absent, wait_for_agent_s=600.0, pause=pause)

        done = desk.driver.run(task_run())

        assert (done.status.phase, sum(pauses)) == (Phase.FAILED, pytest.approx(20, abs=1))
        assert max(pauses) <= 0.5

    def test_is_not_waited_for_beyond_the_deadline_of_the_run(self):
        desk = Desk()
        desk.driver = _with(
            desk,
            open_agent=Absent(desk, 999),
            wait_for_agent_s=600.0,
            pause=lambda seconds: desk.clock.advance(timedelta(seconds=seconds)),
        )

        done = desk.driver.run(task_run(agent_ref="main", user_message="go", deadline_seconds=33))

        took = (done.status.completion_time or desk.clock.now()) - (done.status.start_time or desk.clock.now())
        assert (done.status.error or "").startswith("deadline: ")
        assert took.total_seconds() == pytest.approx(33, abs=1)

    def test_is_not_waited_for_longer_than_allowed(self):
        desk, pauses = Desk(), []
        desk.driver = _with(desk, open_agent=Absent(desk, 999), wait_for_agent_s=60.0, pause=pauses.append)

        waiting = desk.driver.run(task_run())

        assert waiting.status.phase is Phase.PENDING
        assert sum(pauses) == pytest.approx(60)

    def test_may_be_waited_for_any_number_of_times(self):
        desk = Desk()
        desk.driver = _with(desk, open_agent=Absent(desk, 150))

        for _ in range(150):
            assert desk.driver.run(task_run()).status.phase is Phase.PENDING

        assert desk.driver.run(task_run()).status.phase is Phase.FINAL_ANSWER

    def test_is_waited_for_as_well_if_it_cannot_answer_as_it_is(self):
        """Whoever wrote it can put it right; a run that failed stays failed."""
        desk = Desk()
        broken = Absent(desk, 2, PermanentError("agent.yaml:3: found nothing, expected a value"))
        desk.driver = _with(desk, open_agent=broken, wait_for_agent_s=60.0, pause=lambda _: None)

        done = desk.driver.run(task_run())

        assert done.status.phase is Phase.FINAL_ANSWER
        assert reasons(done)[:3] == ["ValidationSucceeded", "Waiting", "AgentFound"]

    def test_is_asked_for_by_the_bundle_that_began_the_run(self):
        runs = MortalRuns({"main": Plan(turns=((wish("pay", Nature.ASK, need=Need.APPROVAL),),))})
        runs.live(task_run())
        waiting = runs.store.read("run")
        assert waiting is not None
        lease = runs.store.take("run", owner="x", for_s=1)
        progress = waiting.status.progress.model_copy(update={"bundle": "b" * 64})
        status = waiting.status.model_copy(update={"progress": progress})
        runs.store.save(lease, waiting.model_copy(update={"status": status}))
        runs.store.release(lease)
        runs.answer_all()
        desk = Desk()
        gone = Absent(desk, 1)
        driver = TaskRunDriver(store=runs.store, open_agent=gone, find_task=desk._find, clock=runs.clock, owner="me")

        left = driver.run(task_run())

        assert gone.bundles == ["b" * 64]
        assert (left.status.phase, left.status.ready) == (Phase.TOOL_CALLS_PENDING, False)
        assert left.status.status_detail == "Waiting for the agent: Found no agent `main`."


def _with(desk: Desk, **changes: Any) -> TaskRunDriver:
    return TaskRunDriver(**{**vars(desk.driver), **changes})


ASKS = Plan(turns=((wish("pay", Nature.ASK, need=Need.APPROVAL),),))


class TestAWordForARunThatNobodyHasBegun:
    def test_is_looked_for_once_before_the_agent_is_opened(self):
        asked: list[str] = []

        class Asked(InMemoryTaskRunStore):
            def words(self, name):
                asked.append(name)
                return super().words(name)

        desk, before = Desk(), []
        store = Asked(clock=desk.clock)

        def opened(name: str, bundle: str) -> Agent:
            before.extend(asked)
            return desk._open(name, bundle)

        _with(desk, store=store, open_agent=opened, listen_every_s=3600.0).run(task_run())

        assert before == ["run"]

    def test_is_told_to_fit_nothing_and_forgotten(self):
        desk = Desk()
        desk.store.create(task_run())
        desk.say(call_key="another", word=Word.APPROVE)

        done = desk.driver.run(task_run())

        assert done.status.phase is Phase.FINAL_ANSWER
        assert reasons(done).count("WordDropped") == 1
        assert list(desk.store.words("run")) == []


class TestAPerson:
    @pytest.fixture
    def desk(self) -> Desk:
        desk = Desk()
        desk.plan = ASKS
        desk.driver.run(task_run())
        return desk

    def key(self, desk: Desk) -> str:
        run = desk.store.read("run")
        assert run is not None
        return run.status.calls[0].key

    def test_is_waited_for_without_a_process(self, desk: Desk):
        run = desk.store.read("run")

        assert run is not None
        assert (run.status.phase, run.status.status, run.status.ready) == (
            Phase.TOOL_CALLS_PENDING,
            Status.PENDING,
            False,
        )
        assert reasons(run)[-1] == "WaitingForPerson"
        desk.store.take("run", owner="next", for_s=30)

    def test_who_says_nothing_is_waited_for_any_number_of_times_at_no_cost(self, desk: Desk):
        records = len(desk.store.saved)

        for _ in range(3):
            desk.driver.run(task_run())

        assert (len(desk.store.saved), len(desk.opened)) == (records, 1)

    def test_lets_the_run_go_on(self, desk: Desk):
        desk.say(call_key=self.key(desk), word=Word.APPROVE)

        done = desk.driver.run(task_run())

        assert done.status.output == 'answer: pay did {"of": "pay"}'
        assert "PersonSpoke" in reasons(done)
        assert list(desk.store.words("run")) == []
        assert sum(desk.world.effects.values()) == 1

    def test_may_refuse(self, desk: Desk):
        desk.say(call_key=self.key(desk), word=Word.DENY, text="too dear")

        done = desk.driver.run(task_run())

        assert "a person refused it: too dear" in (done.status.output or "")
        assert not desk.world.effects

    @pytest.mark.parametrize(
        ("word", "told"),
        [
            ({"call_key": "another", "word": Word.APPROVE}, "no call of the last reply"),
            ({"word": Word.ANSWER, "text": "no"}, "expected approve or deny"),
        ],
    )
    def test_whose_word_fits_nothing_is_told_so_and_it_is_forgotten(self, desk: Desk, word: dict, told: str):
        desk.say(**{"call_key": self.key(desk), **word})

        waiting = desk.driver.run(task_run())

        assert waiting.status.phase is Phase.TOOL_CALLS_PENDING
        assert waiting.status.events[-1].reason == "WordDropped"
        assert told in waiting.status.events[-1].message
        assert list(desk.store.words("run")) == []
        assert len(desk.opened) == 1

    def test_may_end_the_run_while_it_waits(self, desk: Desk):
        desk.say(cancels=True, text="not needed")

        done = desk.driver.run(task_run())

        assert (done.status.phase, done.status.error) == (Phase.FAILED, "cancelled by ann: not needed")
        assert (reasons(done)[-1], len(desk.opened)) == ("Cancelled", 1)

    def test_who_approves_before_a_crash_is_asked_again_after_it(self, desk: Desk):
        """The call was approved, recorded as started, and the process died before it forgot the word."""
        run = desk.store.read("run")
        assert run is not None
        started = run.status.calls[0].model_copy(update={"fate": Call.fate, "need": Need.NOTHING})
        status = run.status.model_copy(update={"calls": [started], "status": Status.READY})
        lease = desk.store.take("run", owner="dead", for_s=30)
        desk.store.save(lease, run.model_copy(update={"status": status}))
        desk.store.dead.add("dead")
        desk.say(call_key=self.key(desk), word=Word.APPROVE)

        waiting = desk.driver.run(task_run())

        assert waiting.status.calls[0].need is Need.FATE
        assert not desk.world.made
        assert "WordDropped" in reasons(waiting)


class TestADeadline:
    def test_counts_the_time_that_is_waited_too(self):
        desk = Desk()
        desk.plan = ASKS
        run = task_run(agent_ref="main", user_message="go", deadline_seconds=60)
        assert desk.driver.run(run).status.phase is Phase.TOOL_CALLS_PENDING

        desk.clock.advance(timedelta(seconds=60))
        done = desk.driver.run(run)

        assert (done.status.phase, reasons(done)[-1]) == (Phase.FAILED, "DeadlinePassed")
        assert (done.status.error or "").startswith("deadline: it had to be over by 2026-03-01T12:01:00")

    def test_is_seen_while_a_tool_works(self):
        desk = Desk()
        release = threading.Event()

        def slow(call: Call) -> ToolReturned:
            desk.clock.advance(timedelta(seconds=60))
            release.wait(10)
            return ToolReturned(call_id=call.id, content="late")

        agent = OfWork(ScriptedWork(wants("slow"), ModelReplied(content="x"), tool=slow))
        desk.driver = _with(desk, open_agent=lambda *_: agent)

        done = desk.driver.run(task_run(agent_ref="main", user_message="go", deadline_seconds=30))

        release.set()
        assert reasons(done)[-1] == "DeadlinePassed"


class TestAnOrderToEnd:
    def test_is_heard_while_a_tool_works(self):
        desk = Desk()
        release = threading.Event()

        def slow(call: Call) -> ToolReturned:
            desk.say(cancels=True)
            release.wait(10)
            return ToolReturned(call_id=call.id, content="late")

        agent = OfWork(ScriptedWork(wants("slow"), ModelReplied(content="x"), tool=slow))
        desk.driver = _with(desk, open_agent=lambda *_: agent)

        done = desk.driver.run(task_run())

        release.set()
        assert (done.status.error, reasons(done)[-1]) == ("cancelled by ann", "Cancelled")

    def test_of_the_process_leaves_the_run_to_the_next_one(self):
        desk = Desk()
        stop = threading.Event()

        def says(_call: Call) -> ToolReturned:
            stop.set()
            return ToolReturned(call_id=_call.id, content="done")

        agent = OfWork(ScriptedWork(wants("look", nature=Nature.PURE), ModelReplied(content="x"), tool=says))
        desk.driver = _with(desk, open_agent=lambda *_: agent, stop=stop)

        left = desk.driver.run(task_run())
        stop.clear()
        desk.driver = _with(desk, open_agent=lambda *_: agent, stop=threading.Event())
        done = desk.driver.run(task_run())

        assert (left.status.phase.is_terminal, reasons(left)[-1]) == (False, "Interrupted")
        assert (done.status.phase, done.status.output) == (Phase.FINAL_ANSWER, "x")
        assert done.status.usage.take_ups == 1

    def test_lets_go_of_the_run_before_the_agent_is_closed(self):
        """A tool server that does not end may take seconds: by then another process may have the run."""
        desk = Desk()
        taken: list[str] = []

        class Stubborn(OfWork):
            def close(self) -> None:
                taken.append(desk.store.take("run", owner="next", for_s=30).owner)

        desk.driver = _with(desk, open_agent=lambda *_: Stubborn(ScriptedWork(ModelReplied(content="x"))))

        desk.driver.run(task_run())

        assert taken == ["next"]


class ThinkingWork(ScriptedWork):
    """Its model replies once something has happened."""

    def __init__(self, *replies: ModelReplied, until: threading.Event) -> None:
        super().__init__(*replies)
        self._until = until

    def ask(self, state: RunState) -> ModelReplied | Answered | Broke:
        assert self._until.wait(60), "nothing was done while the model thinks"
        return super().ask(state)


class TestToolServers:
    def test_are_opened_once_while_the_model_thinks(self):
        opened, times = threading.Event(), []

        def opens() -> None:
            times.append(1)
            opened.set()

        work = ThinkingWork(wants("look"), ModelReplied(content="x"), until=opened)
        desk = Desk(open_agent=lambda *_: OfWork(work, opens=opens))

        done = desk.driver.run(task_run())

        assert done.status.output == "x"
        assert len(times) == 1

    def test_that_do_not_open_keep_no_run_from_its_end(self):
        never = threading.Event()
        work = ScriptedWork(ModelReplied(content="x"))
        desk = Desk(open_agent=lambda *_: OfWork(work, opens=never.wait))

        done = desk.driver.run(task_run())

        never.set()
        assert done.status.output == "x"


class TestALeaseThatIsLost:
    def test_stops_the_run_and_nothing_more_is_written(self):
        desk = Desk()

        def stolen(call: Call) -> ToolReturned:
            desk.clock.advance(timedelta(seconds=31))
            desk.store.take("run", owner="thief", for_s=300)
            return ToolReturned(call_id=call.id, content="late")

        agent = OfWork(ScriptedWork(wants("slow"), ModelReplied(content="x"), tool=stolen))
        desk.driver = _with(desk, open_agent=lambda *_: agent)

        with pytest.raises(LeaseLostError):
            desk.driver.run(task_run())

        found = desk.store.read("run")
        assert found is not None
        assert reasons(found)[-1] == "ToolCallCreated"
        with pytest.raises(RunHeldError):
            desk.store.take("run", owner="next", for_s=1)

    def test_is_seen_before_the_next_call_is_made(self):
        """A process that slept past its lease makes no call, be its own thread of renewals not awake yet."""
        desk = Desk()

        work = ScriptedWork(wants("first", nature=Nature.PURE), wants("second"), ModelReplied(content="x"))
        desk.driver = _with(desk, open_agent=lambda *_: OfWork(work))
        original = desk.store.save

        def save(lease, run):
            original(lease, run)
            if run.status.calls and run.status.calls[0].name == "second":
                desk.clock.advance(timedelta(seconds=31))
                desk.store.take("run", owner="thief", for_s=300)

        desk.store.save = save  # type: ignore[method-assign]

        with pytest.raises(LeaseLostError):
            desk.driver.run(task_run())

        assert [call.name for call in work.made] == ["first"]

    def test_is_noticed_by_the_thread_that_renews_it(self):
        clock = FrozenClock()
        store = InMemoryTaskRunStore(clock=clock)
        store.create(task_run())
        lease = store.take("run", owner="one", for_s=30)
        clock.advance(timedelta(seconds=31))
        keeper = LeaseKeeper(store, lease, for_s=30, clock=clock, every_s=0.001)
        store.take("run", owner="two", for_s=30)

        with keeper:
            keeper._thread.join(10)

            with pytest.raises(LeaseLostError):
                keeper.check()

    @pytest.mark.parametrize("failure", [OSError("disk"), PermanentError("refused"), TransientError("away")])
    def test_is_kept_through_renewals_that_fail(self, failure: Exception):
        renewed = threading.Event()
        failures = [failure] * 3

        class Failing(InMemoryTaskRunStore):
            def renew(self, lease, *, for_s):
                if failures:
                    raise failures.pop()
                super().renew(lease, for_s=for_s)
                renewed.set()

        clock = FrozenClock()
        store = Failing(clock=clock)
        store.create(task_run())
        lease = store.take("run", owner="one", for_s=30)

        with LeaseKeeper(store, lease, for_s=30, clock=clock, every_s=0.001) as keeper:
            assert renewed.wait(10)

            keeper.check()

    @pytest.mark.parametrize(("took_s", "least_s"), [(0.0, 0.0), (0.01, 0.2), (100.0, 1.0)])
    def test_is_renewed_less_often_while_the_store_answers_slowly(self, took_s: float, least_s: float):
        """Up to a third of the time that it holds."""
        clock, now, renewed = FrozenClock(), [0.0], []
        enough = threading.Event()

        class Slow(InMemoryTaskRunStore):
            def renew(self, lease, *, for_s):
                renewed.append(time.monotonic())
                now[0] += took_s
                super().renew(lease, for_s=for_s)
                if len(renewed) == 3:
                    enough.set()

        store = Slow(clock=clock)
        store.create(task_run())
        lease = store.take("run", owner="one", for_s=3)

        with LeaseKeeper(store, lease, for_s=3, clock=clock, every_s=0.001, stopwatch=lambda: now[0]):
            assert enough.wait(30)

        assert renewed[2] - renewed[1] >= least_s

    def test_is_not_lost_while_it_is_renewed(self):
        clock = FrozenClock()
        store = InMemoryTaskRunStore(clock=clock)
        store.create(task_run())
        renewed = threading.Event()

        class Renewing(InMemoryTaskRunStore):
            def renew(self, lease, *, for_s):
                super().renew(lease, for_s=for_s)
                renewed.set()

        store = Renewing(clock=clock)
        store.create(task_run())
        lease = store.take("run", owner="one", for_s=30)

        with LeaseKeeper(store, lease, for_s=30, clock=clock, every_s=0.001) as keeper:
            clock.advance(timedelta(seconds=20))
            renewed.clear()
            assert renewed.wait(10)
            clock.advance(timedelta(seconds=20))

            keeper.check()
            with pytest.raises(RunHeldError):
                store.take("run", owner="two", for_s=30)


class TestTimeThatWasLost:
    def test_counts_as_work_up_to_the_last_renewal(self):
        desk = Desk()
        desk.store.create(task_run())
        lease = desk.store.take("run", owner="dead", for_s=30)
        begun = named(task_run())
        status = begun.status.model_copy(
            update={"phase": Phase.READY_FOR_LLM, "start_time": desk.clock.now(), "update_time": desk.clock.now()}
        )
        desk.store.save(lease, begun.model_copy(update={"status": status}))
        desk.clock.advance(timedelta(seconds=20))
        desk.store.renew(lease, for_s=30)
        desk.clock.advance(timedelta(seconds=500))

        done = desk.driver.run(task_run())

        assert done.status.usage.active_seconds == pytest.approx(20, abs=2)
        assert done.status.usage.take_ups == 1

    def test_is_not_what_it_took_to_open_the_agent(self):
        """A run that is killed again and again has its time for work, and not for being begun anew."""
        work = ScriptedWork(wants("look", nature=Nature.PURE), ModelReplied(content="x"))
        desk, stop = Desk(), threading.Event()
        desk.driver = _with(desk, open_agent=lambda *_: OfWork(work), stop=stop)
        work.ask = lambda _state: stop.set() or ModelReplied(content="", calls=())  # type: ignore[method-assign]
        desk.driver.run(task_run())
        seen: list[datetime | None] = []

        def opens(*_: str) -> OfWork:
            desk.clock.advance(timedelta(seconds=20))
            return OfWork(looks)

        def looked(_state: RunState) -> ModelReplied:
            run = desk.store.read("run")
            seen.append(run.status.update_time if run else None)
            return ModelReplied(content="x")

        looks = ScriptedWork(ModelReplied(content="x"))
        looks.ask = looked  # type: ignore[method-assign]
        desk.driver = _with(desk, open_agent=opens, stop=threading.Event())
        desk.driver.run(task_run())

        assert seen == [desk.clock.now()]

    def test_is_known_to_half_a_second_however_long_the_lease(self):
        renewed = threading.Event()

        class Renewing(InMemoryTaskRunStore):
            def renew(self, lease, *, for_s):
                super().renew(lease, for_s=for_s)
                renewed.set()

        clock = FrozenClock()
        store = Renewing(clock=clock)
        store.create(task_run())

        with LeaseKeeper(store, store.take("run", owner="one", for_s=3600), for_s=3600, clock=clock):
            assert renewed.wait(30)

    def test_counts_by_a_clock_that_nobody_sets_when_a_process_is_asked_to_end(self):
        desk, stop = Desk(), threading.Event()

        def asked(_state: RunState) -> ModelReplied:
            desk.clock.advance(timedelta(hours=1))
            stop.set()
            threading.Event().wait(30)
            return ModelReplied(content="late")

        work = ScriptedWork(ModelReplied(content="x"))
        work.ask = asked  # type: ignore[method-assign]
        desk.driver = _with(desk, open_agent=lambda *_: OfWork(work), stop=stop, lease_s=7200.0)

        left = desk.driver.run(task_run())

        assert reasons(left)[-1] == "Interrupted"
        assert left.status.usage.active_seconds < 600


class TestSubRuns:
    PLANS = {  # noqa: RUF012 - never changed
        "main": Plan(turns=((wish("ask_helper", Nature.IDEMPOTENT),),)),
        "helper": Plan(turns=((wish("fetch", Nature.ASK, need=Need.APPROVAL),),)),
    }

    @pytest.fixture
    def waiting(self) -> tuple[MortalRuns, str]:
        runs = MortalRuns(self.PLANS)
        runs.live(task_run())
        (name,) = [name for name in runs.store.names() if name != "run"]
        return runs, name

    def test_are_named_by_their_call_and_inherit_what_is_left(self, waiting):
        runs, name = waiting
        parent, child = runs.store.read("run"), runs.store.read(name)

        assert name == parent.status.calls[0].key
        assert (child.spec.depth, child.spec.limits.max_steps) == (1, 19)
        assert child.status.trace_id == parent.status.trace_id
        assert child.metadata.annotations["goldgate.dev/parent"] == "run"
        assert child.metadata.annotations["goldgate.dev/parent-span"] == parent.status.span_id

    def test_that_wait_for_a_person_have_their_caller_wait(self, waiting):
        runs, name = waiting

        assert name in runs.store.read("run").status.status_detail
        records = len(runs.store.saved)
        runs.live(task_run())
        assert len(runs.store.saved) == records

        runs.answer_all()
        done = runs.live(task_run())

        assert done is not None
        assert done.status.output == 'answer: answer: fetch did {"of": "fetch"}'
        assert done.status.usage.llm_calls == 4
        assert done.status.usage.take_ups == 0

    def test_end_when_their_caller_is_cancelled(self, waiting):
        runs, name = waiting
        runs.store.post("run", RunWord(id="w", at=runs.clock.now(), by="ann", cancels=True))

        runs.live(task_run())

        child = runs.store.read(name)
        assert (child.status.phase, child.status.error) == (
            Phase.FAILED,
            "cancelled by run run: the run that asked for it ended",
        )

    def test_that_ended_otherwise_are_a_result_for_their_caller(self, waiting):
        runs, name = waiting
        runs.store.post(name, RunWord(id="w", at=runs.clock.now(), by="ann", cancels=True))

        done = runs.live(task_run())

        assert done is not None
        assert "Agent `helper` gave no answer (cancelled by ann)" in (done.status.output or "")

    def test_have_names_that_differ_as_their_keys_do(self):
        keys = ["r-ab-0", "r-ab-1", "R-ab-0", "r_ab-0", "x" * 70 + "-0", "x" * 70 + "-1", "ü", "-"]

        names = [sub_run_name(key) for key in keys]

        assert len(set(names)) == len(keys)
        assert all(Metadata(name=name).name == name for name in names)
        assert names[0] == "r-ab-0"


class TestEvents:
    def test_are_bounded_and_the_dropped_ones_counted(self):
        clock = FrozenClock()
        store = InMemoryTaskRunStore(clock=clock)
        run = store.create(task_run())
        record = RunRecord(run, store=store, lease=store.take("run", owner="o", for_s=30), clock=clock)

        for number in range(MOST_EVENTS + 10):
            happening = Happening(reason="Noted", message=str(number))
            record.take(Step(state=record.state, history=(happening,), effect=Effect.STOP))

        assert len(record.run.status.events) == MOST_EVENTS
        assert record.run.status.events_dropped == 10
        assert record.run.status.events[0].message == "10"


def test_messages_are_recorded_as_they_were_sent():
    desk = Desk()
    messages = (ChatMessage(role="system", content="s"), ChatMessage(role="user", content="u\u2028v"))
    agent = OfWork(ScriptedWork(ModelReplied(content="done"), begins=AgentReady(messages=messages)))
    desk.driver = _with(desk, open_agent=lambda *_: agent)

    done = desk.driver.run(task_run())

    assert [(m.role, m.content) for m in done.status.context_window] == [
        ("system", "s"),
        ("user", "u\u2028v"),
        ("assistant", "done"),
    ]


class TestGuardedWork:
    def test_begins_nothing_more_once_its_process_is_to_end(self):
        clock = FrozenClock()
        store = InMemoryTaskRunStore(clock=clock)
        run = store.create(task_run())
        lease = store.take("run", owner="o", for_s=30)
        stop = threading.Event()
        interruptions = Interruptions(
            record=RunRecord(run, store=store, lease=lease, clock=clock),
            store=store,
            keeper=LeaseKeeper(store, lease, for_s=30, clock=clock),
            clock=clock,
            stop=stop,
        )
        work = ScriptedWork(ModelReplied(content="x"))
        guarded = GuardedWork(work, interruptions=interruptions, limits=RunLimits())
        stop.set()

        for act in (
            guarded.begin,
            lambda: guarded.ask(RunState()),
            lambda: guarded.call(RunState(), Call(id="c", name="pay", arguments="{}")),
        ):
            with pytest.raises(RunInterruptedError):
                act()

        assert (work.asked, work.made, interruptions.calls_under_way) == ([], [], 0)
