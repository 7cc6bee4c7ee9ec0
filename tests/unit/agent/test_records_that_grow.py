"""A run whose record grows beyond what its store takes ends, and says so."""

import pytest

from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import TaskRun, TaskRunSpec
from goldgate.domain.runs.state import Nature, Phase
from tests.fakes.mortal_runs import MortalRuns, Plan, wish

RUN = TaskRun(kind="TaskRun", metadata=Metadata(name="run"), spec=TaskRunSpec(agent_ref="main", user_message="go"))
PLANS = {"main": Plan(turns=((wish("look", Nature.PURE), wish("put", Nature.ASK)), (wish("put", Nature.ASK),)))}


def sizes() -> list[int]:
    """How large each record of the run is, where any may be."""
    runs = MortalRuns(PLANS)
    runs.finish(RUN)
    return [len(each.status.model_dump_json()) for each in runs.store.saved]


SIZES = sizes()
MARGIN = 200
"""Times and ids are written in a few letters more or less from one run to the next."""


class TestARecordThatGrows:
    @pytest.mark.parametrize("record", range(len(SIZES) - 1))
    def test_ends_its_run_wherever_that_stands_and_says_why(self, record: int):
        runs = MortalRuns(PLANS)
        runs.store.most_bytes = SIZES[record] - MARGIN

        done = runs.finish(RUN)

        assert done.status.phase is Phase.FAILED
        assert (done.status.error or "").startswith("record: it would take ")
        assert done.status.events[-1].reason == "Abandoned"
        assert all(times == 1 for times in runs.world.effects.values())
        assert done.status.completion_time is not None

    def test_is_no_matter_where_there_is_room(self):
        runs = MortalRuns(PLANS)
        runs.store.most_bytes = max(SIZES) + MARGIN

        assert runs.finish(RUN).status.phase is Phase.FINAL_ANSWER
