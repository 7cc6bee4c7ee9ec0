import itertools
import threading
from datetime import timedelta

import pytest

from goldgate.agent.driver import TaskRunDriver
from goldgate.agent.recorded_delegate import sub_run_name
from goldgate.agent.run_record import MOST_EVENTS, RunRecord
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import RunLimits, TaskSpec
from goldgate.domain.conversation import ChatMessage
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.events import AgentReady, Answered, Broke, ModelReplied
from goldgate.domain.runs.state import Limits, Nature, Need, Phase, RunState, Status
from goldgate.domain.runs.steps import Effect, Happening, Step
from goldgate.ports.agents import Agent
from goldgate.ports.task_runs import RunHeldError, RunWord
from tests.fakes.driven_runs import Desk, OfWork, driver_of, reasons, task_run
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_task_runs import InMemoryTaskRunStore
from tests.fakes.mortal_runs import MortalRuns, Plan, wish
from tests.fakes.scripted_work import ScriptedWork, wants


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
        desk.driver = driver_of(desk, open_agent=Absent(desk, 1))

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

        desk.driver = driver_of(desk, open_agent=opens, wait_for_agent_s=60.0, pause=pauses.append)

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

        desk.driver = driver_of(desk, open_agent=absent, wait_for_agent_s=600.0, pause=pause)

        done = desk.driver.run(task_run())

        assert (done.status.phase, sum(pauses)) == (Phase.FAILED, pytest.approx(20, abs=1))
        assert max(pauses) <= 0.5

    def test_is_not_waited_for_beyond_the_deadline_of_the_run(self):
        desk = Desk()
        desk.driver = driver_of(
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
        desk.driver = driver_of(desk, open_agent=Absent(desk, 999), wait_for_agent_s=60.0, pause=pauses.append)

        waiting = desk.driver.run(task_run())

        assert waiting.status.phase is Phase.PENDING
        assert sum(pauses) == pytest.approx(60)

    def test_may_be_waited_for_any_number_of_times(self):
        desk = Desk()
        desk.driver = driver_of(desk, open_agent=Absent(desk, 150))

        for _ in range(150):
            assert desk.driver.run(task_run()).status.phase is Phase.PENDING

        assert desk.driver.run(task_run()).status.phase is Phase.FINAL_ANSWER

    def test_is_waited_for_as_well_if_it_cannot_answer_as_it_is(self):
        """Whoever wrote it can put it right; a run that failed stays failed."""
        desk = Desk()
        broken = Absent(desk, 2, PermanentError("agent.yaml:3: found nothing, expected a value"))
        desk.driver = driver_of(desk, open_agent=broken, wait_for_agent_s=60.0, pause=lambda _: None)

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


class ThinkingWork(ScriptedWork):
    """Its model replies once something has happened."""

    def __init__(self, *replies: ModelReplied, until: threading.Event) -> None:
        super().__init__(*replies)
        self._until = until

    def ask(self, state: RunState) -> ModelReplied | Answered | Broke:
        assert self._until.wait(60), "nothing was done while the model thinks"
        return super().ask(state)


class TestTools:
    def test_are_prepared_once_while_the_model_thinks(self):
        prepared, times = threading.Event(), []

        def prepares() -> None:
            times.append(1)
            prepared.set()

        work = ThinkingWork(wants("look"), ModelReplied(content="x"), until=prepared)
        desk = Desk(open_agent=lambda *_: OfWork(work, prepares=prepares))

        done = desk.driver.run(task_run())

        assert done.status.output == "x"
        assert len(times) == 1

    def test_that_take_long_to_prepare_keep_no_run_from_its_end(self):
        never = threading.Event()
        work = ScriptedWork(ModelReplied(content="x"))
        desk = Desk(open_agent=lambda *_: OfWork(work, prepares=never.wait))

        done = desk.driver.run(task_run())

        never.set()
        assert done.status.output == "x"


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
    desk.driver = driver_of(desk, open_agent=lambda *_: agent)

    done = desk.driver.run(task_run())

    assert [(m.role, m.content) for m in done.status.context_window] == [
        ("system", "s"),
        ("user", "u\u2028v"),
        ("assistant", "done"),
    ]
