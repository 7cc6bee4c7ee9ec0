"""What is recorded of a run by whoever launches its processes."""

from datetime import timedelta

import pytest

from goldgate.agent.run_outside import OutsideRecorder, waits_for_agent
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import TaskRun, TaskRunSpec, TaskSpec
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.state import Nature, Need, Phase
from goldgate.ports.task_runs import Lease, RunHeldError, RunWord
from tests.fakes.mortal_runs import MortalRuns, Plan, wish

RUN = TaskRun(kind="TaskRun", metadata=Metadata(name="run"), spec=TaskRunSpec(agent_ref="main", user_message="go"))
OF_TASK = TaskRun(kind="TaskRun", metadata=Metadata(name="run"), spec=TaskRunSpec(task_ref="absent"))


def no_task(name: str) -> TaskSpec:
    raise PermanentError(f"Found no task `{name}`.")


def recorder(runs: MortalRuns) -> OutsideRecorder:
    return OutsideRecorder(store=runs.store, clock=runs.clock, find_task=no_task, owner="launcher")


def recorded(runs: MortalRuns) -> TaskRun:
    run = runs.store.read("run")
    assert run is not None
    return run


def reasons(run: TaskRun) -> list[str]:
    return [event.reason for event in run.status.events]


@pytest.fixture
def runs() -> MortalRuns:
    return MortalRuns({"main": Plan(turns=((wish("look", Nature.PURE),),))})


class TestFree:
    def test_lets_the_next_process_begin_and_tells_what_became_of_the_last(self, runs):
        runs.live(RUN, dies_at=9)

        recorder(runs).free("run", lost="Pod `run-1` vanished.")

        assert recorded(runs).status.events[-1].message == "Pod `run-1` vanished."
        assert runs.live(RUN).status.phase is Phase.FINAL_ANSWER

    def test_tells_it_once(self, runs):
        runs.live(RUN, dies_at=9)

        for _ in range(2):
            recorder(runs).free("run", lost="Pod `run-1` vanished.")

        assert reasons(recorded(runs)).count("PodLost") == 1

    def test_counts_what_the_last_one_worked_since_its_record_and_not_what_was_waited_since(self, runs):
        runs.live(RUN, dies_at=9)
        before = recorded(runs).status.usage.active_seconds
        died = Lease(run="run", owner=runs.lives[-1].owner, epoch=1)
        runs.clock.advance(timedelta(seconds=39))
        runs.store.renew(died, for_s=30)
        runs.clock.advance(timedelta(seconds=500))

        for _ in range(2):
            recorder(runs).free("run", lost="Pod `run-1` vanished.")
            runs.clock.advance(timedelta(seconds=500))

        worked = runs.live(RUN).status.usage.active_seconds - before
        assert 39 <= worked < 60

    def test_takes_nothing_from_a_process_that_may_live(self, runs):
        runs.store.create(RUN)
        runs.store.take("run", owner="somebody", for_s=30)

        with pytest.raises(RunHeldError):
            recorder(runs).free("run")


class TestTellWaiting:
    def test_has_the_history_tell_a_cause_once_whatever_its_words(self, runs):
        runs.store.create(RUN)

        for nodes in range(3):
            recorder(runs).tell_waiting(recorded(runs), f"No node: 0/{nodes} fit", about="No node")
        recorder(runs).tell_waiting(recorded(runs), "No image: not found", about="No image")

        events = recorded(runs).status.events
        assert [event.message for event in events] == ["No node: 0/0 fit", "No image: not found"]

    def test_stands_in_the_status_until_something_else_is_known(self, runs):
        runs.store.create(RUN)

        recorder(runs).tell_waiting(recorded(runs), "No node: 0/3 fit", about="No node")

        assert recorded(runs).status.status_detail == "No node: 0/3 fit"
        runs.store.dead.add("launcher")
        assert runs.finish(RUN).status.status_detail == "Answered"

    def test_is_no_work_however_long_it_takes(self, runs):
        """A pod that ended in the middle is followed by one that does not start for an hour."""
        runs.live(RUN, dies_at=9)
        before = recorded(runs).status.usage.active_seconds
        recorder(runs).free("run", lost="Pod `run-1` vanished.")

        for minute in range(60):
            recorder(runs).tell_waiting(recorded(runs), f"No node: looked {minute} times", about="No node")
            runs.clock.advance(timedelta(minutes=1))

        assert runs.live(RUN).status.usage.active_seconds - before < 20

    def test_leaves_a_run_with_all_that_it_needs_to_begin(self, runs):
        """Keys of its calls begin with its id: two runs without one would share them."""
        runs.store.create(RUN)

        recorder(runs).tell_waiting(recorded(runs), "No node", about="No node")
        runs.store.dead.add("launcher")
        done = runs.finish(RUN)

        assert done.status.phase is Phase.FINAL_ANSWER
        assert done.status.progress.run_id.startswith("run-")
        assert done.status.trace_id
        assert all(key.startswith(done.status.progress.run_id) for key in runs.world.made)


class TestAbandon:
    @pytest.mark.parametrize("dies_at", [None, 5, 9, 12])
    def test_ends_a_run_wherever_it_was_left(self, runs, dies_at):
        runs.store.create(RUN)
        if dies_at is not None:
            runs.live(RUN, dies_at=dies_at)

        recorder(runs).abandon("run", "pod: it vanished")

        run = recorded(runs)
        assert (run.status.phase, run.status.error) == (Phase.FAILED, "pod: it vanished")
        assert run.status.completion_time is not None
        assert run.status.user_message_preview == "go"

    def test_leaves_a_run_that_is_over_as_it_is(self, runs):
        done = runs.finish(RUN)

        recorder(runs).abandon("run", "pod: it vanished")

        assert recorded(runs).status == done.status

    def test_ends_the_runs_that_it_asked_for_too(self):
        runs = MortalRuns(
            {
                "main": Plan(turns=((wish("ask_helper", Nature.IDEMPOTENT),),)),
                "helper": Plan(turns=((wish("question", Nature.ASK, need=Need.ANSWER),),)),
            }
        )
        runs.live(RUN)

        recorder(runs).abandon("run", "pod: it vanished")

        found = [runs.store.read(name) for name in runs.store.names()]
        assert len(found) == 2
        assert {run.status.phase for run in found} == {Phase.FAILED}


class TestSettle:
    def test_leaves_a_run_waiting_for_its_agent_and_says_for_what(self, runs):
        runs.store.create(RUN)

        run = recorder(runs).settle("run", agent_problem="Found no Agent `main`.")

        assert run.status.phase is Phase.PENDING
        assert run.status.status_detail == "Waiting for the agent: Found no Agent `main`."
        assert waits_for_agent(run, "Found no Agent `main`.")
        assert runs.live(RUN).status.phase is Phase.FINAL_ANSWER

    def test_fails_a_run_of_a_task_that_is_not_there(self, runs):
        runs.store.create(OF_TASK)

        run = recorder(runs).settle("run", agent_problem="")

        assert (run.status.phase, run.status.error) == (Phase.FAILED, "Found no task `absent`.")

    def test_obeys_an_order_to_end(self, runs):
        runs.store.create(RUN)
        order = RunWord(id="w", at=runs.clock.now(), by="ann", cancels=True, text="not needed")
        runs.store.post("run", order)

        run = recorder(runs).settle("run", agent_problem="it is being cancelled")

        assert (run.status.phase, run.status.error) == (Phase.FAILED, "cancelled by ann: not needed")
