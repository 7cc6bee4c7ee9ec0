import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn

from goldgate.adapters.jsonl_request_log import JsonlRequestLogReader
from goldgate.entrypoints.router import main, prune_daily
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
    app = create_arm(lambda request, **_: response(trace_id=request.trace_id), agent="helper", version="7")
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

    @pytest.mark.parametrize("days", ["-5", "0", "nan", "1e12", "soon"])
    def test_refuses_a_retention_that_would_remove_everything_or_nothing(self, days, capsys):
        with pytest.raises(SystemExit) as ended:
            main([f"--retention-days={days}"], env={})

        assert ended.value.code == 2
        assert f"found `{days}`, expected a number above 0" in capsys.readouterr().err

    def test_says_which_setting_is_wrong(self, tmp_path, capsys):
        env = {"GOLDGATE_HOME": str(tmp_path), "GOLDGATE_ROUTER_URL": "here"}

        assert main([], env=env) == 2
        assert "GOLDGATE_ROUTER_URL=`here`" in capsys.readouterr().err

    @pytest.mark.parametrize("listen", ["8800", "here:", "*:99999", "localhost:http"])
    def test_says_how_to_write_where_it_listens(self, tmp_path, capsys, listen):
        env = {"GOLDGATE_HOME": str(tmp_path), "GOLDGATE_ROUTER_LISTEN": listen}

        assert main([], env=env) == 2
        assert f"GOLDGATE_ROUTER_LISTEN=`{listen}`; expected an address and a port" in capsys.readouterr().err

    def test_listens_elsewhere_than_callers_find_it(self, tmp_path, capsys):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            listen = f"127.0.0.1:{taken.getsockname()[1]}"
            env = {"GOLDGATE_ROUTER_URL": "http://router.example.com:80", "GOLDGATE_ROUTER_LISTEN": listen}

            code = main([], env={"GOLDGATE_HOME": str(tmp_path), **env})

        assert code == 2
        assert f"Cannot listen on {listen}" in capsys.readouterr().err

    @pytest.mark.parametrize("proxies", ["everybody", "10.0.0.0/33", "10.0.0.7/8"])
    def test_says_how_to_name_proxies(self, tmp_path, capsys, proxies):
        env = {"GOLDGATE_HOME": str(tmp_path), "GOLDGATE_ROUTER_PROXIES": f"10.0.0.7, {proxies}"}

        assert main([], env=env) == 2
        assert f"Found `{proxies}` in GOLDGATE_ROUTER_PROXIES" in capsys.readouterr().err

    @pytest.mark.slow
    @pytest.mark.parametrize(("proxies", "is_believed"), [("127.0.0.0/8", True), ("10.0.0.0/8", False)])
    def test_believes_whose_question_it_is_only_from_its_proxies(self, tmp_path, arm, nobody, proxies, is_believed):
        table = Table(routes={"helper": Route(agent="helper", champion="7", serving=Serving(version="7", address=arm))})
        save_table(tmp_path / "router" / "traffic.json", encode_table(table))
        with _router(tmp_path, nobody, GOLDGATE_ROUTER_PROXIES=proxies) as router:
            port = _port_told(router)
            for forwarded_for in ("192.0.2.1", "192.0.2.2"):
                _ask(port, forwarded_for=forwarded_for)
            router.send_signal(signal.SIGTERM)
            router.wait(timeout=60)

        since = datetime.now(UTC) - timedelta(hours=1)
        callers = {entry.caller_hash for entry in JsonlRequestLogReader(tmp_path / "requests").since("helper", since)}
        assert len(callers) == (2 if is_believed else 1)

    @pytest.mark.slow
    def test_removes_request_logs_that_are_too_old(self, tmp_path, nobody):
        folder = tmp_path / "requests" / "helper"
        old, kept = (folder / f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%d}.jsonl" for days in (40, 20))
        folder.mkdir(parents=True)
        for path in (old, kept):
            path.touch()

        with _router(tmp_path, nobody) as router:
            event = _event(router, "request_log.pruned")

        assert event["files"] == [str(old)]
        assert (old.exists(), kept.exists()) == (False, True)

    @pytest.mark.slow
    def test_serves_what_it_knew_while_registry_and_supervisor_are_down(self, tmp_path, arm, nobody):
        """Started anew, with only its last table to go by; ended by SIGTERM with every request logged."""
        table = Table(routes={"helper": Route(agent="helper", champion="7", serving=Serving(version="7", address=arm))})
        save_table(tmp_path / "router" / "traffic.json", encode_table(table))
        with _router(tmp_path, nobody) as router:
            answered = _ask(_port_told(router))
            router.send_signal(signal.SIGTERM)
            code = router.wait(timeout=60)

        assert answered["choices"][0]["message"]["content"] == "42"
        assert code == 0
        since = datetime.now(UTC) - timedelta(hours=1)
        assert [e.model for e in JsonlRequestLogReader(tmp_path / "requests").since("helper", since)] == ["helper@7"]
        assert (tmp_path / "router" / "caller.key").stat().st_mode & 0o777 == 0o600


@contextmanager
def _router(home: Path, registry_port: int, **env: str) -> Iterator[subprocess.Popen[str]]:
    env = {
        **os.environ,
        **env,
        "PYTHONPATH": str(CHECKOUT / "include"),
        "GOLDGATE_HOME": str(home),
        "GOLDGATE_MLFLOW_URL": f"http://127.0.0.1:{registry_port}",
    }
    command = [sys.executable, "-m", "goldgate.entrypoints.router", "--host", "*", "--port", "0"]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as router:
        watchdog = threading.Timer(60, router.kill)
        watchdog.start()
        try:
            yield router
        finally:
            watchdog.cancel()
            router.kill()


def _event(router: subprocess.Popen[str], name: str) -> dict[str, object]:
    """Read its log until it tells an event; the pipe closes if it dies."""
    for line in router.stderr:
        event = json.loads(line)
        if event["event"] == name:
            return event
    raise AssertionError(f"the router ended without `{name}`")


def _port_told(router: subprocess.Popen[str]) -> int:
    return int(str(_event(router, "router.listening")["url"]).rpartition(":")[2])


def _ask(port: int, *, forwarded_for: str | None = None) -> dict[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps({"model": "helper", "messages": [{"role": "user", "content": "Why?"}]})
    headers = {"x-forwarded-for": forwarded_for} if forwarded_for else {}
    try:
        connection.request("POST", "/v1/chat/completions", body, headers)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


class TestPruneDaily:
    def test_tries_again_soon_while_something_could_not_be_removed(self):
        waited: list[float] = []
        outcomes = iter([False, OSError("broken"), True])

        def remove_expired() -> bool:
            outcome = next(outcomes)
            if isinstance(outcome, OSError):
                raise outcome
            return outcome

        def wait(seconds: float) -> bool:
            waited.append(seconds)
            return len(waited) == 3

        prune_daily(wait=wait, remove_expired=remove_expired)

        assert waited == [300, 300, 86_400]
