"""What a person says to a run: held to what it asks now, and recorded once."""

import pytest

from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.events import Word
from goldgate.domain.runs.state import Fate, Need, Phase
from goldgate.entrypoints.task_desk import TaskDesk
from goldgate.ports.task_runs import RunHeldError
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_task_runs import InMemoryTaskRunStore
from tests.fakes.recorded_runs import a_call, a_run, a_waiting_run


def desk_with(*runs) -> TaskDesk:
    clock = FrozenClock()
    store = InMemoryTaskRunStore(clock=clock)
    for run in runs:
        store.create(run)
    return TaskDesk(store=store, clock=clock)


def answered(desk, call=None, *, word=Word.APPROVE, text="", by="ada"):
    return desk.answer("run-1", call=call, word=word, text=text, by=by)


class TestAnswer:
    def test_addresses_the_call_by_its_key(self):
        desk = desk_with(a_waiting_run(a_call("c1")))

        answered(desk, "c1")

        (word,) = desk.store.words("run-1")
        assert (word.call_key, word.word, word.by, word.cancels) == ("run-1-c1", Word.APPROVE, "ada", False)

    def test_takes_the_only_call_that_waits(self):
        desk = desk_with(a_waiting_run(a_call("c1", fate=Fate.DONE), a_call("c2")))

        assert answered(desk).call_key == "run-1-c2"

    def test_asks_which_call_is_meant_when_several_wait(self):
        desk = desk_with(a_waiting_run(a_call("c1"), a_call("c2", need=Need.ANSWER)))

        with pytest.raises(PermanentError, match=r"`c1` asks for approval of `pay`; `c2` asks for an answer"):
            answered(desk)
        assert not desk.store.words("run-1")

    def test_takes_the_call_that_is_left_when_the_others_are_answered(self):
        desk = desk_with(a_waiting_run(a_call("c1"), a_call("c2")))
        answered(desk, "c1")

        assert answered(desk).call_key == "run-1-c2"

    def test_refuses_a_second_answer_and_says_whose_the_first_was(self):
        desk = desk_with(a_waiting_run(a_call("c1")))
        answered(desk, "c1")

        with pytest.raises(PermanentError, match="ada said `approve`"):
            answered(desk, "c1", word=Word.DENY, by="eve")
        assert len(desk.store.words("run-1")) == 1

    @pytest.mark.parametrize(
        ("need", "refused"),
        [(Need.APPROVAL, Word.ANSWER), (Need.ANSWER, Word.APPROVE)],
    )
    def test_refuses_what_does_not_fit(self, need, refused):
        desk = desk_with(a_waiting_run(a_call("c1", need=need)))

        with pytest.raises(PermanentError, match="expected one of"):
            answered(desk, word=refused, text="yes")
        assert not desk.store.words("run-1")

    @pytest.mark.parametrize("word", list(Word))
    def test_takes_any_word_about_a_call_whose_fate_is_unknown(self, word):
        desk = desk_with(a_waiting_run(a_call("c1", need=Need.FATE)))

        assert answered(desk, word=word, text="it paid").word is word

    def test_refuses_an_empty_answer(self):
        with pytest.raises(PermanentError, match="empty answer"):
            answered(desk_with(a_waiting_run(a_call(need=Need.ANSWER))), word=Word.ANSWER, text=" ")

    def test_refuses_a_call_that_does_not_wait(self):
        with pytest.raises(PermanentError, match="no call `c9`"):
            answered(desk_with(a_waiting_run()), "c9")

    def test_refuses_a_run_that_asks_nothing(self):
        desk = desk_with(a_run(phase=Phase.READY_FOR_LLM))

        with pytest.raises(PermanentError, match="asks nothing"):
            answered(desk)

    def test_refuses_a_run_that_is_over(self):
        with pytest.raises(PermanentError, match="is over"):
            answered(desk_with(a_run()))

    def test_refuses_a_run_that_is_not_there(self):
        with pytest.raises(PermanentError, match="no TaskRun `run-1`"):
            answered(desk_with())


class TestUnanswered:
    def test_asks_nothing_for_a_run_that_ended_while_it_waited(self):
        """The record of a failed run keeps its calls as they were."""
        ended = a_waiting_run().status.model_copy(update={"phase": Phase.FAILED})
        run = a_waiting_run().model_copy(update={"status": ended})

        assert desk_with(run).unanswered(run) == ()
        assert desk_with(a_waiting_run()).unanswered(a_waiting_run()) != ()


class TestCancel:
    def test_leaves_an_order_with_its_reason(self):
        desk = desk_with(a_waiting_run())

        desk.cancel("run-1", reason="not needed", by="ada")

        (order,) = desk.store.words("run-1")
        assert (order.cancels, order.text, order.by) == (True, "not needed", "ada")

    def test_refuses_a_run_that_is_over(self):
        with pytest.raises(PermanentError, match="is over"):
            desk_with(a_run()).cancel("run-1", reason="", by="ada")


class TestFindAll:
    def test_chooses_by_phase_and_agent(self):
        desk = desk_with(a_run("a"), a_run("b", agent="other"), a_run("c", phase=Phase.FAILED))

        assert [run.metadata.name for run in desk.find_all(agent="helper").runs] == ["a", "c"]
        assert [run.metadata.name for run in desk.find_all(phases=[Phase.FAILED]).runs] == ["c"]

    def test_shows_the_others_beside_a_damaged_record(self):
        desk = desk_with(a_run("a"), a_run("b"))
        desk.store.damage("a")

        found = desk.find_all()

        assert [run.metadata.name for run in found.runs] == ["b"]
        assert "`a`" in found.problems[0]


class TestRemove:
    def test_forgets_a_run_and_its_words(self):
        desk = desk_with(a_waiting_run())
        answered(desk)

        desk.remove("run-1")

        assert desk.store.read("run-1") is None
        assert not desk.store.words("run-1")

    def test_leaves_a_run_that_somebody_works_on(self):
        desk = desk_with(a_run())
        desk.store.take("run-1", owner="somebody", for_s=60)

        with pytest.raises(RunHeldError):
            desk.remove("run-1")
        assert desk.store.read("run-1") is not None
