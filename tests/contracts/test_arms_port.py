"""What everything that starts arms holds to. The real one is held to it with a real supervisor."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from goldgate.adapters.supervisor_arms import SupervisorArms, supervisor_socket
from goldgate.ports.delivery import Arms
from tests.fakes.in_memory_arms import InMemoryArms
from tests.waiting import until

CHECKOUT = Path(__file__).resolve().parents[2]


def supervisor_config(home: Path) -> str:
    return f"""\
[unix_http_server]
file={supervisor_socket(home)}
[supervisord]
nodaemon=true
logfile={home}/logs/supervisord.log
pidfile={home}/run/supervisord.pid
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[include]
files = {home}/run/arms.d/*.conf
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Path]:
    """A home with a running supervisor."""
    home = tmp_path_factory.mktemp("home")
    for folder in ("run/arms.d", "run/arms", "logs"):
        (home / folder).mkdir(parents=True)
    (home / "supervisord.conf").write_text(supervisor_config(home))
    env = {**os.environ, "PYTHONPATH": f"{CHECKOUT / 'include'}{os.pathsep}{CHECKOUT}"}
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(home / "supervisord.conf")]
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) as supervisor:
        try:
            until(supervisor_socket(home).exists)
            yield home
        finally:
            supervisor.terminate()


def supervised(home: Path, **changes) -> SupervisorArms:
    program = ["-m", "tests.fakes.tiny_arm"]
    return SupervisorArms(home, python=sys.executable, env={"GREETING": "100 %, a=b"}, program=program, **changes)


@pytest.fixture(params=["supervised", "in_memory"])
def arms(request) -> Iterator[Arms]:
    if request.param == "in_memory":
        yield InMemoryArms(starts_ready=True)
        return
    arms = supervised(request.getfixturevalue("home"))
    yield arms
    for name in arms.running():
        arms.stop(*name)
    until(lambda: not arms.running())


class TestArms:
    def test_are_started_once_and_become_ready(self, arms):
        arms.ensure("helper", "7")
        arms.ensure("helper", "7")

        until(lambda: arms.address("helper", "7"))

        assert list(arms.running()) == [("helper", "7")]
        assert arms.address("helper", "7").startswith("http://")

    def test_are_known_by_agent_and_version(self, arms):
        arms.ensure("helper", "7")

        assert arms.address("helper", "8") is None
        assert arms.address("other", "7") is None

    def test_end_when_they_are_stopped_and_start_again(self, arms):
        arms.ensure("helper", "7")
        until(lambda: arms.address("helper", "7"))

        arms.stop("helper", "7")
        assert arms.address("helper", "7") is None
        until(lambda: not arms.running())

        arms.ensure("helper", "7")
        until(lambda: arms.address("helper", "7"))

    def test_that_are_not_there_can_be_stopped(self, arms):
        arms.stop("nobody", "1")

        assert list(arms.running()) == []
