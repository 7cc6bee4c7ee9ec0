import stat

from goldgate.adapters.file_task_runs import FileTaskRunStore
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import TaskRun, TaskRunSpec
from goldgate.entrypoints.task_log import logging_into
from tests.fakes.frozen_clock import FrozenClock


class TestRecordsOfTaskRuns:
    """They hold what was asked and answered: a process needs that to go on."""

    def test_lie_in_a_folder_of_their_owner_alone(self, tmp_path):
        folder = tmp_path / "home" / "taskruns"
        spec = TaskRunSpec(agent_ref="helper", user_message="Why?")

        FileTaskRunStore(folder, clock=FrozenClock()).create(
            TaskRun(kind="TaskRun", metadata=Metadata(name="r"), spec=spec)
        )

        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_do_so_when_the_log_came_first(self, tmp_path):
        folder = tmp_path / "home" / "taskruns"

        with logging_into(folder / "r.log"):
            pass

        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
