"""`up`, `down`, `status` and `logs` where they must refuse or clean up; the journey starts a real stack."""

import os
import socket
import subprocess
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from goldgate.adapters.local_processes import is_alive
from goldgate.adapters.supervisor_daemon import SupervisedProgram
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints import local
from goldgate.entrypoints.local_programs import MARKER
from goldgate.entrypoints.local_status import state_of, status
from goldgate.entrypoints.settings import Settings

WAITS = "import time; print('up', flush=True); time.sleep(600)"
WRITES_A_TITLE = f"from setproctitle import setproctitle; setproctitle('airflow api_server'); {WAITS}"
"""As Airflow does: it hides the environment."""


@pytest.fixture
def settings(tmp_path):
    return Settings.from_env({"GOLDGATE_HOME": str(tmp_path / "home")} | free_addresses())


@pytest.fixture
def left_behind(settings):
    """A process of a stack whose supervisor is gone."""
    running = []

    def start(script):
        settings.home.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, MARKER: str(settings.home)},
            cwd=settings.home,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        running.append(process)
        process.stdout.readline()
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def answering():
    """A server that says 200 to everybody, as a router does whose supervisor was killed."""

    class Says200(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(HTTPStatus.OK)
            self.end_headers()

        def log_message(self, *_arguments):
            """Stay silent."""

    servers = []

    def start(url):
        server = ThreadingHTTPServer(("127.0.0.1", int(url.rsplit(":", 1)[1])), Says200)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def free_addresses():
    names = ("GOLDGATE_AIRFLOW_URL", "GOLDGATE_MLFLOW_URL", "GOLDGATE_MODEL_URL", "GOLDGATE_ROUTER_URL")
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    found = {name: f"http://127.0.0.1:{one.getsockname()[1]}" for name, one in zip(names, listeners, strict=True)}
    for one in listeners:
        one.close()
    return found


class TestUp:
    def test_names_who_holds_a_port_and_what_moves_it(self, settings):
        port = int(settings.router_url.rsplit(":", 1)[1])

        with socket.create_server(("127.0.0.1", port)), pytest.raises(PermanentError) as refused:
            local.up(settings, env=os.environ, say=[].append)

        assert f"Port {port} of router is taken by process {os.getpid()}" in str(refused.value)
        assert "GOLDGATE_ROUTER_URL" in str(refused.value)

    def test_starts_nothing_when_it_refuses(self, settings):
        port = int(settings.mlflow_url.rsplit(":", 1)[1])

        with socket.create_server(("127.0.0.1", port)), pytest.raises(PermanentError):
            local.up(settings, env=os.environ, say=[].append)

        assert not status(settings).up

    def test_ends_nothing_when_it_refuses(self, settings, left_behind):
        """What an earlier run left may still answer traffic."""
        left = left_behind(WAITS)
        port = int(settings.mlflow_url.rsplit(":", 1)[1])

        with socket.create_server(("127.0.0.1", port)), pytest.raises(PermanentError):
            local.up(settings, env=os.environ, say=[].append)

        assert is_alive(left.pid)


class TestDown:
    def test_says_so_when_nothing_runs(self, settings):
        said = []

        local.down(settings, say=said.append)

        assert said == ["Nothing was running."]

    @pytest.mark.parametrize("script", [WAITS, WRITES_A_TITLE], ids=["marked", "titled"])
    def test_ends_what_a_killed_supervisor_left_behind(self, settings, left_behind, script):
        left = left_behind(script)

        local.down(settings, say=[].append)

        assert not is_alive(left.pid)

    def test_leaves_another_stack_alone(self, settings, tmp_path):
        other = subprocess.Popen(
            [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"],
            env={**os.environ, MARKER: str(tmp_path / "other")},
            stdout=subprocess.PIPE,
        )
        other.stdout.readline()
        try:
            local.down(settings, say=[].append)

            assert other.poll() is None
        finally:
            other.kill()
            other.wait()
            other.stdout.close()


class TestStatus:
    def test_calls_everything_stopped_before_the_first_start(self, settings):
        found = status(settings)

        assert not found.up
        assert not found.ready
        assert found.passwords is None
        assert {one.state for one in found.programs} == {"stopped"}

    @pytest.mark.parametrize(
        ("word", "answers", "state"),
        [
            ("RUNNING", True, "ready"),
            ("RUNNING", False, "starting"),
            ("STARTING", True, "ready"),
            ("STOPPED", False, "stopped"),
            ("BACKOFF", False, "failing"),
            ("FATAL", False, "failing"),
            ("EXITED", True, "failing"),
        ],
    )
    def test_says_ready_only_of_a_program_that_runs_and_answers(self, word, answers, state):
        """Another process may answer on the port of a program that failed."""
        assert state_of(SupervisedProgram(name="x", state=word, pid=1, detail=""), answers=answers) == state

    def test_tells_of_a_program_that_answers_without_a_supervisor(self, settings, answering):
        answering(settings.router_url)

        found = status(settings)

        router = next(one for one in found.programs if one.name == "router")
        assert not found.ready
        assert router.state == "unsupervised"
        assert "make up" in router.detail


class TestLogs:
    def test_names_the_logs_that_there_are(self, settings):
        folder = settings.home / "logs"
        folder.mkdir(parents=True)
        (folder / "router.log").write_text("x\n")

        with pytest.raises(PermanentError, match="there are: router"):
            local.logs(settings, name="ruoter")

    def test_shows_the_end_of_one(self, settings, capfd):
        folder = settings.home / "logs"
        folder.mkdir(parents=True)
        (folder / "router.log").write_text("".join(f"line {number}\n" for number in range(100)))

        assert local.logs(settings, name="router", lines=2) == 0
        assert capfd.readouterr().out.split("\n")[-3:] == ["line 98", "line 99", ""]


class TestMain:
    def test_ends_with_1_and_a_sentence_when_it_cannot(self, settings):
        done = subprocess.run(
            [sys.executable, "-m", "goldgate.entrypoints.local", "logs"],
            env={**os.environ, **settings.as_env()},
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 1
        assert "Nothing to show" in done.stderr
        assert "Traceback" not in done.stderr
