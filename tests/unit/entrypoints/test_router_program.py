import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn

from goldgate.adapters.jsonl_request_log import JsonlRequestLogReader
from goldgate.entrypoints.router import main
from goldgate.serving.arm import create_arm
from goldgate.serving.saved_table import encode_table, save_table
from goldgate.serving.traffic_table import Route, Serving, Table
from tests.fakes.scripted_arm_client import response

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port that is bound, so that nobody else gets it, and not listened to."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def arm() -> Iterator[str]:
    """An arm that answers."""
    app = create_arm(lambda request: response(trace_id=request.trace_id), agent="helper", version="7")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


class TestRouterProgram:
    def test_says_who_to_stop_when_its_port_is_taken(self, tmp_path, capsys):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]

            code = main(["--host", "127.0.0.1", "--port", str(port)], env={"GOLDGATE_HOME": str(tmp_path)})

        assert code == 2
        told = capsys.readouterr().err
        assert f"Cannot listen on 127.0.0.1:{port}" in told
        assert "GOLDGATE_ROUTER_URL" in told

    def test_says_which_setting_is_wrong(self, tmp_path, capsys):
        env = {"GOLDGATE_HOME": str(tmp_path), "GOLDGATE_ROUTER_URL": "here"}

        assert main([], env=env) == 2
        assert "GOLDGATE_ROUTER_URL=`here`" in capsys.readouterr().err

    @pytest.mark.slow
    def test_serves_what_it_knew_while_registry_and_supervisor_are_down(self, tmp_path, arm, nobody):
        """Started anew, with only its last table to go by; ended by SIGTERM with every request logged."""
        table = Table(routes={"helper": Route(agent="helper", champion="7", serving=Serving(version="7", address=arm))})
        save_table(tmp_path / "router" / "traffic.json", encode_table(table))
        env = {
            **os.environ,
            "PYTHONPATH": str(CHECKOUT / "include"),
            "GOLDGATE_HOME": str(tmp_path),
            "GOLDGATE_MLFLOW_URL": f"http://127.0.0.1:{nobody}",
        }
        command = [sys.executable, "-m", "goldgate.entrypoints.router", "--host", "127.0.0.1", "--port", "0"]
        with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as router:
            try:
                port = _port_told(router)
                answered = _ask(port)
                router.send_signal(signal.SIGTERM)
                code = router.wait(timeout=60)
            finally:
                router.kill()

        assert answered["choices"][0]["message"]["content"] == "42"
        assert code == 0
        since = datetime.now(UTC) - timedelta(hours=1)
        assert [e.model for e in JsonlRequestLogReader(tmp_path / "requests").since("helper", since)] == ["helper@7"]
        assert (tmp_path / "router" / "caller.key").stat().st_mode & 0o777 == 0o600


def _port_told(router: subprocess.Popen[str]) -> int:
    """Read its log until it says where it listens; the pipe closes if it dies."""
    for line in router.stderr:
        event = json.loads(line)
        if event["event"] == "router.listening":
            return int(event["url"].rpartition(":")[2])
    raise AssertionError("the router ended without listening")


def _ask(port: int) -> dict[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps({"model": "helper", "messages": [{"role": "user", "content": "Why?"}]})
    try:
        connection.request("POST", "/v1/chat/completions", body)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
