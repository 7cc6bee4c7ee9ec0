"""Following the pod of a run, on a script of what happens to it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.pods import LaunchPolicy, PodFacts, PodPhase
from goldgate.entrypoints.pod_watch import PodFollower, Watched
from goldgate.ports.delivery import Clock
from goldgate.ports.pods import LogLine
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.scripted_pod_watch import ScriptedPodWatch

PENDING = PodFacts(name="run-1", phase=PodPhase.PENDING)
RUNNING = replace(PENDING, phase=PodPhase.RUNNING)
ENDED = replace(PENDING, phase=PodPhase.ENDED, exit_code=0)
STUCK = replace(PENDING, reason="Unschedulable", message="0/1 nodes are available", age_s=10)


class TickingClock(FrozenClock):
    """Time passes as it does."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def followed(
    watch: ScriptedPodWatch,
    *,
    pod: str = "run-1",
    since: str | None = None,
    last_words_s: float = 10,
    look_every_s: float = 0.01,
    clock: Clock | None = None,
) -> tuple[Watched, list[str]]:
    said: list[str] = []
    follower = PodFollower(
        watch=watch,
        run="run",
        pod=pod,
        policy=LaunchPolicy(start_within_s=300),
        clock=clock or FrozenClock(),
        say=said.append,
        log_until=since,
        look_every_s=look_every_s,
        last_words_s=last_words_s,
    )
    return asyncio.run(asyncio.wait_for(follower.follow(), 30)), said


class TestFollow:
    def test_tells_that_the_pod_ended_after_all_that_it_said(self):
        lines = [LogLine(stamp=f"2026-11-21T18:00:0{at}Z", text=f"line {at}") for at in range(3)]

        watched, said = followed(ScriptedPodWatch(found=[PENDING, RUNNING, ENDED], said=lines))

        assert watched == Watched(reason="Pod `run-1`: Ended", log_until="2026-11-21T18:00:02Z")
        assert said == ["line 0", "line 1", "line 2"]

    def test_waits_for_the_last_words_of_a_pod_that_ended(self):
        line = LogLine(stamp="2026-11-21T18:00:00Z", text="why it ended")

        _, said = followed(ScriptedPodWatch(found=[RUNNING, ENDED], said=[line], said_after_s=0.3))

        assert said == ["why it ended"]

    def test_hears_a_pod_out_however_much_there_is_to_say(self):
        lines = [LogLine(stamp=f"2026-11-21T18:00:{at:02}Z", text=f"line {at}") for at in range(8)]

        _, said = followed(ScriptedPodWatch(found=[RUNNING, ENDED], said=lines, said_after_s=0.2), last_words_s=0.5)

        assert said == [line.text for line in lines]

    def test_hears_out_a_pod_that_vanished_while_it_ran(self):
        line = LogLine(stamp="2026-11-21T18:00:00Z", text="its node is drained")

        _, said = followed(ScriptedPodWatch(found=[RUNNING, None], said=[line], said_after_s=0.3))

        assert said == ["its node is drained"]

    @pytest.mark.parametrize(("found", "listened"), [([PENDING, None], 0), ([PENDING, RUNNING, None], 1), ([ENDED], 1)])
    def test_asks_for_the_log_of_a_pod_that_began(self, found: list[PodFacts | None], listened: int):
        watch = ScriptedPodWatch(found=found)

        followed(watch)

        assert watch.listened == listened

    def test_says_that_a_log_stopped_short_of_its_end(self):
        line = LogLine(stamp="2026-11-21T18:00:00Z", text="begun")

        _, said = followed(ScriptedPodWatch(found=[RUNNING, ENDED], said=[line], is_cut=True), last_words_s=0.2)

        assert said == ["begun", "The log of pod `run-1` stopped short of its end. The rest: kubectl logs run-1"]

    @pytest.mark.parametrize("said_after_s", [0, 3600])
    def test_does_not_wait_until_a_followed_log_is_at_its_end(self, said_after_s: float):
        lines = [LogLine(stamp=f"2026-11-21T18:00:0{at}Z", text=f"line {at}") for at in range(3)]
        watch = ScriptedPodWatch(
            found=[RUNNING, ENDED], said=lines, said_after_s=said_after_s, is_cut=True, has_rest=True
        )

        watched, said = followed(watch, last_words_s=3600)

        assert said == [line.text for line in lines]
        assert watched.log_until == "2026-11-21T18:00:02Z"

    def test_raises_what_keeps_it_from_watching(self):
        with pytest.raises(PermanentError, match="may not watch"):
            followed(ScriptedPodWatch(found=[RUNNING], failure=PermanentError("This account may not watch pods.")))

    def test_goes_on_with_the_log_where_another_left_it(self):
        watch = ScriptedPodWatch(found=[ENDED])

        watched, _ = followed(watch, since="2026-11-21T18:00:02Z")

        assert watch.asked_since == "2026-11-21T18:00:02Z"
        assert watched.log_until == "2026-11-21T18:00:02Z"

    def test_tells_at_once_that_a_pod_vanished_that_was_there(self):
        watched, _ = followed(ScriptedPodWatch(found=[RUNNING, None]))

        assert watched.reason == "Pod `run-1` is not there."

    def test_has_a_pod_that_was_never_there_tried_again_after_a_while(self):
        watched, _ = followed(ScriptedPodWatch(found=[None]))

        assert watched.reason == "Pod `run-1` is not there."

    def test_has_the_next_step_taken_after_a_while_where_no_pod_is_counted(self):
        watched, _ = followed(ScriptedPodWatch(), pod="")

        assert watched.reason == "It is time to try again."

    def test_says_once_what_keeps_a_pod_from_starting_and_follows_it(self):
        watched, said = followed(ScriptedPodWatch(found=[STUCK, STUCK, RUNNING, ENDED]))

        assert watched.reason == "Pod `run-1`: Ended"
        assert len(said) == 1
        assert "0/1 nodes are available" in said[0]

    def test_tells_that_a_pod_had_all_its_time_to_start(self):
        """Nothing changes any more: only time passes."""
        watched, _ = followed(ScriptedPodWatch(found=[replace(STUCK, age_s=299.995)]))

        assert watched.reason == "Pod `run-1`: Pending Unschedulable"

    def test_tells_that_the_time_of_a_run_is_over_whose_pod_does_not_start(self):
        watched, _ = followed(ScriptedPodWatch(found=[STUCK], deadline=FrozenClock().now()))

        assert watched.reason == "The time of the run is over."

    def test_wakes_by_a_deadline_though_the_next_look_is_far(self):
        clock = TickingClock()
        watch = ScriptedPodWatch(found=[STUCK], deadline=clock.now() + timedelta(seconds=2.2))

        watched, _ = followed(watch, clock=clock, look_every_s=3600)

        assert watched.reason == "The time of the run is over."

    def test_leaves_a_deadline_to_a_pod_that_works(self):
        past = FrozenClock().now()

        watched, _ = followed(ScriptedPodWatch(found=[RUNNING], deadline=past, overs=[False, False, False, True]))

        assert watched.reason == "The run is over."

    def test_takes_its_time_where_nobody_can_end_a_run_yet_whose_time_is_over(self):
        """Another process has the lease: whoever tends it is not to come again at once."""
        watch = ScriptedPodWatch(found=[STUCK], deadline=FrozenClock().now() - timedelta(seconds=1))

        watched, _ = followed(watch)

        assert (watched.reason, watch.looks) == ("The time of the run is over.", 2)

    @pytest.mark.parametrize("before", [[], [TransientError("no answer")], [False, TransientError("no answer")]])
    def test_tells_that_the_run_ended_elsewhere(self, before):
        watched, _ = followed(ScriptedPodWatch(found=[RUNNING], overs=[*before, True]))

        assert watched.reason == "The run is over."
