"""Real processes for one TaskRun, each of which kills itself with SIGKILL where it is told.

`python task_run_zygote.py NAME` has everything imported, then forks a process for each line `before N` or `after N` of
its standard input, which ends before or after the N-th time it writes a record; `never`: it is not killed. For each it
answers with one line: the exit code, negative for a signal.
"""

import os
import signal
import sys
from typing import Any

import goldgate.adapters.mcp_tools
import goldgate.adapters.openai_chat.model
import goldgate.entrypoints.agents
import goldgate.entrypoints.freezing
import goldgate.entrypoints.tracing  # noqa: F401 - imported before the processes are forked
from goldgate.adapters.file_task_runs import FileTaskRunStore
from goldgate.adapters.process_owners import is_known_dead, this_process
from goldgate.adapters.system_clock import SystemClock
from goldgate.agent.driver import TaskRunDriver
from goldgate.contracts.task_runs import TaskRun
from goldgate.entrypoints.agent_opener import AgentOpener, find_task
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.task_run import TRY_AGAIN, exit_code_of
from goldgate.ports.task_runs import Lease, RunHeldError


class SelfKillingStore(FileTaskRunStore):
    """Writes records like any other, until its process dies of one."""

    def __init__(self, *arguments: Any, where: str, dies_at: int, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._where, self._left = where, dies_at

    def save(self, lease: Lease, run: TaskRun) -> None:
        self._left -= 1
        if self._left == 0 and self._where == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        super().save(lease, run)
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def live(name: str, *, where: str, dies_at: int) -> int:
    settings = Settings.from_env(os.environ)
    driver = TaskRunDriver(
        store=SelfKillingStore(
            settings.home / "taskruns", clock=SystemClock(), is_dead=is_known_dead, where=where, dies_at=dies_at
        ),
        open_agent=AgentOpener(settings=settings, env=os.environ),
        find_task=lambda task: find_task(task, agents=settings.agents).spec,
        clock=SystemClock(),
        owner=this_process(),
    )
    return exit_code_of(driver.go_on(name))


def main() -> None:
    for line in sys.stdin:
        where, _, number = line.strip().partition(" ")
        child = os.fork()
        if child == 0:
            code = 99
            try:
                code = live(sys.argv[1], where=where, dies_at=int(number or 0))
            except RunHeldError:
                code = TRY_AGAIN
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
