"""What people say to a run while it is worked on, and what else comes from outside."""

import threading
from datetime import timedelta

import pytest

from goldgate.domain.runs.events import ModelReplied, ToolReturned, Word
from goldgate.domain.runs.state import Call, Nature, Need, Phase, Status
from goldgate.ports.agents import Agent
from tests.fakes.driven_runs import ASKS, Desk, OfWork, driver_of, reasons, task_run
from tests.fakes.in_memory_task_runs import InMemoryTaskRunStore
from tests.fakes.scripted_work import ScriptedWork, wants


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

        driver_of(desk, store=store, open_agent=opened, listen_every_s=3600.0).run(task_run())

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
        desk.driver = driver_of(desk, open_agent=lambda *_: agent)

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
        desk.driver = driver_of(desk, open_agent=lambda *_: agent)

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
        desk.driver = driver_of(desk, open_agent=lambda *_: agent, stop=stop)

        left = desk.driver.run(task_run())
        stop.clear()
        desk.driver = driver_of(desk, open_agent=lambda *_: agent, stop=threading.Event())
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

        desk.driver = driver_of(desk, open_agent=lambda *_: Stubborn(ScriptedWork(ModelReplied(content="x"))))

        desk.driver.run(task_run())

        assert taken == ["next"]
