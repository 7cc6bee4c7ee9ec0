"""A run is killed at every point: before and after every record, before and after everything that it does outside."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import TaskRun, TaskRunSpec
from goldgate.domain.runs.state import Nature, Need, Phase
from tests.fakes.mortal_runs import MortalRuns, Plan, wish

RUN = TaskRun(kind="TaskRun", metadata=Metadata(name="run"), spec=TaskRunSpec(agent_ref="main", user_message="go"))

PLANS = {
    "main": Plan(
        turns=(
            (wish("look", Nature.PURE), wish("put", Nature.IDEMPOTENT)),
            (wish("pay", Nature.ASK),),
            (wish("send", Nature.ASK, need=Need.APPROVAL), wish("ask_helper", Nature.IDEMPOTENT)),
            (wish("question", Nature.ASK, need=Need.ANSWER),),
        )
    ),
    "helper": Plan(turns=((wish("fetch", Nature.ASK, need=Need.APPROVAL),), (wish("store", Nature.IDEMPOTENT),))),
}


def undisturbed(plans: dict[str, Plan]) -> tuple[TaskRun, MortalRuns]:
    runs = MortalRuns(plans)
    return runs.finish(RUN), runs


def points_of(plans: dict[str, Plan]) -> int:
    """How many points there are in all lives of a run that nobody kills."""
    _, runs = undisturbed(plans)
    return max(life.points for life in runs.lives)


def assert_spent_never_goes_down(runs: MortalRuns) -> None:
    for name in runs.store.names():
        usages = [run.status.usage for run in runs.store.saved if run.metadata.name == name]
        for before, after in pairwise(usages):
            for field in (
                "llm_calls",
                "tool_calls",
                "tokens_in",
                "tokens_out",
                "cost_usd",
                "active_seconds",
                "take_ups",
            ):
                assert getattr(before, field) <= getattr(after, field)


def assert_same_outcome(done: TaskRun, runs: MortalRuns, wanted: TaskRun) -> None:
    assert done.status.phase is Phase.FINAL_ANSWER, done.status.error
    assert done.status.output == wanted.status.output
    assert done.status.usage.tool_calls == wanted.status.usage.tool_calls
    assert done.status.usage.llm_calls == wanted.status.usage.llm_calls
    assert done.status.usage.tokens_in == wanted.status.usage.tokens_in
    assert done.status.usage.cost_usd == pytest.approx(wanted.status.usage.cost_usd)
    assert max(runs.world.effects.values()) == 1
    assert_spent_never_goes_down(runs)


class TestARunThatIsKilledOnce:
    def test_gives_the_same_answer_and_does_nothing_twice_wherever_it_is_killed(self):
        wanted, calm = undisturbed(PLANS)

        assert "send did" in (wanted.status.output or "")
        for life in range(len(calm.lives)):
            for point in range(calm.lives[life].points):
                runs = MortalRuns(PLANS)
                deaths = [10**9] * life + [point]

                done = runs.finish(RUN, deaths=deaths)

                assert_same_outcome(done, runs, wanted)
                assert len(runs.world.effects) == len(calm.world.effects)

    def test_keeps_its_ids_and_its_beginning(self):
        runs = MortalRuns(PLANS)

        done = runs.finish(RUN, deaths=[9, 9, 9])

        of_run = [run for run in runs.store.saved if run.metadata.name == "run"]
        assert len({(run.status.trace_id, run.status.span_id, run.status.start_time) for run in of_run}) == 1
        assert done.status.usage.take_ups == 3

    def test_fails_rather_than_guess_when_its_author_said_so(self):
        plans = {"main": Plan(turns=((wish("launch", Nature.FAIL),),))}
        wanted, calm = undisturbed(plans)
        outcomes = set()
        for point in range(calm.lives[0].points):
            runs = MortalRuns(plans)

            done = runs.finish(RUN, deaths=[point])

            assert max(runs.world.effects.values(), default=0) <= 1
            outcomes.add(done.status.phase)
            if done.status.phase is Phase.FAILED:
                assert (done.status.error or "").startswith("interrupted: nobody knows whether `launch`")
            else:
                assert done.status.output == wanted.status.output
        assert outcomes == {Phase.FINAL_ANSWER, Phase.FAILED}

    def test_makes_a_call_of_unknown_fate_only_if_a_person_says_so(self):
        plans = {"main": Plan(turns=((wish("pay", Nature.ASK),),))}
        _, calm = undisturbed(plans)
        for point in range(calm.lives[0].points):
            runs = MortalRuns(plans, answers=False)
            runs.live(RUN, dies_at=point)

            for _ in range(3):
                runs.live(RUN)

            assert max(runs.world.made.values(), default=0) <= 1


natures = st.sampled_from([Nature.PURE, Nature.IDEMPOTENT, Nature.ASK])
wishes = st.builds(
    wish,
    st.sampled_from(["one", "two", "three", "four", "five"]),
    natures,
    need=st.sampled_from([Need.NOTHING, Need.NOTHING, Need.APPROVAL, Need.ANSWER]),
) | st.just(wish("ask_helper", Nature.IDEMPOTENT))
turns = st.lists(st.lists(wishes, min_size=1, max_size=3, unique_by=lambda call: call.name), min_size=1, max_size=3)


class TestARunThatIsKilledAgainAndAgain:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(turns=turns, deaths=st.lists(st.integers(0, 40), max_size=6))
    def test_gives_the_same_answer_and_does_nothing_twice(self, turns, deaths):
        plans = {"main": Plan(turns=turns), "helper": PLANS["helper"]}
        wanted, calm = undisturbed(plans)
        runs = MortalRuns(plans)

        done = runs.finish(RUN, deaths=deaths)

        if wanted.status.phase is Phase.FINAL_ANSWER:
            assert done.status.output == wanted.status.output, (done.status.error, wanted.status.output)
            assert done.status.usage.llm_calls == wanted.status.usage.llm_calls
            assert done.status.usage.tool_calls == wanted.status.usage.tool_calls
            assert len(runs.world.effects) == len(calm.world.effects)
        assert max(runs.world.effects.values(), default=0) <= 1
        assert_spent_never_goes_down(runs)
