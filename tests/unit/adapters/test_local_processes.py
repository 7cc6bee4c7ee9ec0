import os
import socket
import subprocess
import sys

import pytest

from goldgate.adapters.local_processes import (
    end_processes,
    holder_of_port,
    is_alive,
    processes_below,
    processes_with,
    read_pid,
    unmarked_processes_in,
)

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture
def stubborn():
    """A process that does not end when it is asked to."""
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], env={**os.environ, "GOLDGATE_TEST_MARK": "stubborn"}, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        yield process
        process.kill()


class TestHolderOfPort:
    def test_names_the_process_that_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            holder = holder_of_port(listener.getsockname()[1])

        assert holder.pid == os.getpid()
        assert "py" in holder.command

    def test_finds_nobody_on_a_free_port(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]

        assert holder_of_port(port) is None


class TestProcessesWith:
    def test_finds_a_process_by_its_environment(self, stubborn):
        assert processes_with({"GOLDGATE_TEST_MARK": "stubborn"}) == [stubborn.pid]

    def test_leaves_out_another_value(self, stubborn):
        assert stubborn.pid not in processes_with({"GOLDGATE_TEST_MARK": "other"})


WRITES_A_TITLE = """
import time
from setproctitle import setproctitle
setproctitle("airflow worker -- LocalExecutor: <idle>")
print("up", flush=True)
time.sleep(600)
"""


class TestUnmarkedProcessesIn:
    @pytest.fixture
    def working_in(self):
        running = []

        def start(folder, script=WRITES_A_TITLE):
            process = subprocess.Popen(
                [sys.executable, "-c", script],
                cwd=folder,
                env={**os.environ, "GOLDGATE_TEST_MARK": "titled"},
                stdout=subprocess.PIPE,
            )
            running.append(process)
            process.stdout.readline()
            return process.pid

        yield start
        for process in running:
            process.kill()
            process.wait()
            process.stdout.close()

    def test_finds_one_that_wrote_a_title_over_its_environment(self, working_in, tmp_path):
        titled = working_in(tmp_path)

        assert processes_with({"GOLDGATE_TEST_MARK": "titled"}) == []
        assert unmarked_processes_in(tmp_path) == [titled]

    def test_leaves_out_what_only_works_in_the_folder(self, working_in, tmp_path):
        """Such as the shell of a person who looks at the logs."""
        working_in(tmp_path, STUBBORN)

        assert unmarked_processes_in(tmp_path) == []

    def test_leaves_out_other_folders(self, working_in, tmp_path):
        inner = tmp_path / "home"
        inner.mkdir()
        working_in(tmp_path)

        assert unmarked_processes_in(inner) == []


class TestProcessesBelow:
    def test_names_children(self, stubborn):
        assert stubborn.pid in processes_below(os.getpid())

    def test_names_none_below_one_that_is_gone(self, stubborn):
        stubborn.kill()
        stubborn.wait()

        assert processes_below(stubborn.pid) == set()


class TestEndProcesses:
    def test_forces_one_that_does_not_listen(self, stubborn):
        assert end_processes([stubborn.pid], within_s=0.2) == []
        assert not is_alive(stubborn.pid)

    def test_takes_one_that_is_gone_as_ended(self):
        with subprocess.Popen([sys.executable, "-c", ""]) as gone:
            gone.wait()

        assert end_processes([gone.pid], within_s=0.2) == []


class TestReadPid:
    @pytest.mark.parametrize(("text", "pid"), [("123\n", 123), ("", None), ("x", None)])
    def test_reads_a_number_and_nothing_else(self, tmp_path, text, pid):
        (tmp_path / "pid").write_text(text)

        assert read_pid(tmp_path / "pid") == pid

    def test_reads_nothing_where_there_is_no_file(self, tmp_path):
        assert read_pid(tmp_path / "none") is None
