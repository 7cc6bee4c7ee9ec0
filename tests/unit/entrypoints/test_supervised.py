import os
import subprocess
import sys

import pytest

from goldgate.adapters.local_processes import is_alive
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.local_programs import MARKER
from goldgate.entrypoints.supervised import NAME, end_earlier_life

WAITS = "import time; print('up', flush=True); time.sleep(600)"
WRITES_A_TITLE = f"from setproctitle import setproctitle; setproctitle('airflow worker'); {WAITS}"
"""As the scheduler's workers do: it hides the environment."""


@pytest.fixture
def started():
    running = []

    def start(home, name, script=WAITS, cwd=None):
        env = {**os.environ, MARKER: str(home), NAME: name}
        process = subprocess.Popen([sys.executable, "-c", script], env=env, cwd=cwd, stdout=subprocess.PIPE)
        running.append(process)
        process.stdout.readline()
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


class TestEndEarlierLife:
    def test_ends_what_the_same_program_left(self, started, tmp_path):
        left = started(tmp_path, "mlflow")

        assert end_earlier_life({MARKER: str(tmp_path), NAME: "mlflow"}, supervisor=os.getpid()) == [left.pid]
        assert not is_alive(left.pid)

    def test_leaves_other_programs_and_other_stacks_alone(self, started, tmp_path):
        other_program, other_stack = started(tmp_path, "router"), started(tmp_path / "other", "mlflow")

        assert end_earlier_life({MARKER: str(tmp_path), NAME: "mlflow"}, supervisor=os.getpid()) == []
        assert other_program.poll() is other_stack.poll() is None

    def test_ends_a_worker_without_a_name_once_it_has_lost_its_parent(self, started, tmp_path):
        supervisor = started(tmp_path, "supervisor")
        worker = started(tmp_path, "scheduler", WRITES_A_TITLE, cwd=tmp_path)

        ended = end_earlier_life({MARKER: str(tmp_path), NAME: "scheduler"}, supervisor=supervisor.pid)

        assert ended == [worker.pid]
        assert not is_alive(worker.pid)

    def test_leaves_a_worker_below_the_supervisor_alone(self, started, tmp_path):
        worker = started(tmp_path, "scheduler", WRITES_A_TITLE, cwd=tmp_path)

        assert end_earlier_life({MARKER: str(tmp_path), NAME: "scheduler"}, supervisor=os.getpid()) == []
        assert worker.poll() is None

    @pytest.mark.parametrize("env", [{}, {MARKER: "/home"}, {NAME: "mlflow"}])
    def test_refuses_to_guess_who_it_is(self, env):
        with pytest.raises(PermanentError, match="supervisor"):
            end_earlier_life(env, supervisor=os.getpid())


class TestMain:
    def run(self, env, *command):
        words = [sys.executable, "-m", "goldgate.entrypoints.supervised", *command]
        return subprocess.run(words, env={**os.environ, **env}, capture_output=True, text=True, check=False)

    def test_becomes_the_command_with_its_exit_code(self, tmp_path):
        env = {MARKER: str(tmp_path), NAME: "mlflow"}

        done = self.run(env, sys.executable, "-c", "import os; print(os.getppid()); raise SystemExit(7)")

        assert done.returncode == 7
        assert int(done.stdout) == os.getpid()

    def test_does_not_start_the_command_when_it_cannot_make_room(self):
        done = self.run({MARKER: ""}, sys.executable, "-c", "print('started')")

        assert done.returncode == 1
        assert done.stdout == ""
