import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from goldgate.agent.lease_keeper import LeaseKeeper
from goldgate.agent.run_interruptions import Interruptions
from goldgate.agent.run_record import RunRecord
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import TaskRun, TaskRunSpec
from goldgate.domain.errors import TransientError
from goldgate.domain.runs.events import Cancelled, PersonSpoke, Word
from goldgate.domain.runs.state import Call, Fate, Nature, Need, Phase, RunState
from goldgate.ports.task_runs import RunWord
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_task_runs import InMemoryTaskRunStore


class AskedStore(InMemoryTaskRunStore):
    """Counts how often it is asked for words."""

    asked = 0
    is_away = False
    takes: Callable[[], None] = staticmethod(lambda: None)
    """Lets pass what an answer takes."""

    def words(self, name: str) -> list[RunWord]:
        self.asked += 1
        self.takes()
        if self.is_away:
            raise TransientError("nobody answers")
        return list(super().words(name))


class Listener:
    """A run that is worked on, and somebody who speaks to it."""

    def __init__(self, *, listen_every_s: float) -> None:
        self.clock = FrozenClock()
        self.store = AskedStore(clock=self.clock)
        self.now_s = 0.0
        spec = TaskRunSpec(agent_ref="a", user_message="go")
        run = self.store.create(TaskRun(kind="TaskRun", metadata=Metadata(name="run"), spec=spec))
        lease = self.store.take("run", owner="o", for_s=30)
        self.record = RunRecord(run, store=self.store, lease=lease, clock=self.clock)
        self.interruptions = Interruptions(
            record=self.record,
            store=self.store,
            keeper=LeaseKeeper(self.store, lease, for_s=30, clock=self.clock),
            clock=self.clock,
            stop=threading.Event(),
            listen_every_s=listen_every_s,
            stopwatch=lambda: self.now_s,
        )

    def hear(self, state: RunState = RunState()) -> object:  # noqa: B008 - frozen
        return self.interruptions(state)

    def say(self, name: str, **word: object) -> None:
        self.clock.advance(timedelta(milliseconds=1))
        self.store.post("run", RunWord(id=name, at=self.clock.now(), by="me", **word))  # type: ignore[arg-type]


def asking(*ids: str) -> RunState:
    calls = tuple(
        Call(
            id=id_, name="pay", arguments="{}", nature=Nature.ASK, need=Need.APPROVAL, fate=Fate.AWAITED, key=f"k-{id_}"
        )
        for id_ in ids
    )
    return RunState(phase=Phase.TOOL_CALLS_PENDING, calls=calls, can_wait=True)


class TestListening:
    def test_asks_the_store_so_often_at_most(self):
        listener = Listener(listen_every_s=1.0)

        for tick in range(100):
            listener.now_s = tick / 20
            listener.hear()

        assert listener.store.asked == 5

    def test_asks_it_each_time_unless_told_otherwise(self):
        listener = Listener(listen_every_s=0.0)

        for _ in range(10):
            listener.hear()

        assert listener.store.asked == 10

    @pytest.mark.parametrize(("takes_s", "asked"), [(0.01, 20), (0.1, 10), (0.25, 4), (3.0, 3)])
    def test_asks_a_slow_store_less_often_and_yet_hears_after_five_seconds(self, takes_s: float, asked: int):
        listener = Listener(listen_every_s=1.0)

        def take() -> None:
            listener.now_s += takes_s

        listener.store.takes = take  # type: ignore[method-assign]

        while listener.now_s < 20:
            listener.now_s += 0.01
            listener.hear()

        assert listener.store.asked == asked

    def test_hears_who_cancels_at_the_next_look(self):
        listener = Listener(listen_every_s=1.0)
        listener.hear()
        listener.say("w", cancels=True, text="enough")

        heard = []
        for tick in range(25):
            listener.now_s = tick / 20
            heard.append(listener.hear())

        assert heard.index(Cancelled(by="me", reason="enough")) == 20
        assert heard.count(None) == 24

    def test_hears_all_that_one_look_found(self):
        listener = Listener(listen_every_s=1.0)
        listener.say("w1", call_key="k-one", word=Word.APPROVE)
        listener.say("w2", call_key="k-two", word=Word.DENY)
        state = asking("one", "two")

        heard = [listener.hear(state) for _ in range(3)]

        assert heard == [
            PersonSpoke(call_id="one", word=Word.APPROVE, text="", by="me"),
            PersonSpoke(call_id="two", word=Word.DENY, text="", by="me"),
            None,
        ]
        assert listener.store.asked == 1

    @pytest.mark.parametrize("is_recorded", [True, False])
    def test_hears_nothing_twice_be_it_recorded_by_then_or_not(self, is_recorded: bool):
        listener = Listener(listen_every_s=1.0)
        listener.say("w", call_key="k-one", word=Word.APPROVE)
        state = asking("one")
        first = listener.hear(state)
        if is_recorded:
            listener.record.flush()

        listener.now_s = 1.5
        second = listener.hear(state)

        assert (first is None, second, listener.store.asked) == (False, None, 2)

    def test_goes_on_while_the_store_is_away_and_hears_later(self):
        listener = Listener(listen_every_s=1.0)
        listener.say("w", cancels=True)
        listener.store.is_away = True
        while_away = listener.hear()
        listener.store.is_away = False

        listener.now_s = 1.5
        heard = listener.hear()

        assert (while_away, heard) == (None, Cancelled(by="me", reason=""))

    def test_is_called_as_long_as_something_is_left(self):
        listener = Listener(listen_every_s=1.0)
        listener.say("w", cancels=True)

        called = [listener.interruptions.is_called(), listener.interruptions.is_called()]

        assert called == [True, True]
        assert listener.hear() == Cancelled(by="me", reason="")
        assert not listener.interruptions.is_called()
