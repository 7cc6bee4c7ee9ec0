import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pytest

from goldgate.adapters.local_processes import is_alive, read_pid
from goldgate.adapters.supervisor_daemon import SupervisorDaemon
from goldgate.domain.errors import PermanentError, TransientError

CONFIG = """
[unix_http_server]
file={folder}/s.sock
[supervisord]
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:waits]
command={python} -c "import time; time.sleep(600)"
autostart=false
startsecs=0
"""


@pytest.fixture
def folder():
    """Short, because the path of a socket may not be longer than about 100 characters."""
    made = Path(tempfile.mkdtemp(prefix="gg-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def daemon(folder):
    config = folder / "supervisord.conf"
    config.write_text(CONFIG.format(folder=folder, python=sys.executable))
    started = SupervisorDaemon(socket=folder / "s.sock")
    started.start(config, env=os.environ)
    yield started
    pid = read_pid(folder / "supervisord.pid")
    if started.is_up():
        started.stop()
    await_end(pid)


def await_end(pid):
    give_up_at = time.monotonic() + 20
    while pid is not None and is_alive(pid):
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


class TestSupervisorDaemon:
    def test_starts_and_lists_its_programs(self, daemon):
        assert daemon.is_up()
        assert [(one.name, one.state, one.pid) for one in daemon.programs()] == [("waits", "STOPPED", None)]

    def test_starts_a_program_once(self, daemon):
        daemon.start_program("waits")
        first = daemon.programs()[0].pid
        daemon.start_program("waits")

        assert daemon.programs()[0].pid == first is not None

    def test_leaves_nothing_behind_when_it_stops(self, daemon, folder):
        daemon.start_program("waits")
        pid, own = daemon.programs()[0].pid, read_pid(folder / "supervisord.pid")

        daemon.stop()
        await_end(own)

        assert not is_alive(pid)
        assert not daemon.is_up()

    def test_says_so_when_none_answers(self, folder):
        with pytest.raises(TransientError, match="No supervisord answers"):
            SupervisorDaemon(socket=folder / "s.sock").programs()

    def test_tells_what_is_wrong_with_a_configuration(self, folder):
        config = folder / "supervisord.conf"
        config.write_text("[supervisord]\nlogfile_maxbytes=many\n")

        with pytest.raises(PermanentError, match="did not start"):
            SupervisorDaemon(socket=folder / "s.sock").start(config, env=os.environ)
