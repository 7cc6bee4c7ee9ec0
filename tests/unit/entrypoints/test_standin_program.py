"""The stand-in as a program."""

import os
import re
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from goldgate.entrypoints.settings import CHECKOUT
from goldgate.entrypoints.standin import main

PROGRAM = [sys.executable, "-m", "goldgate.entrypoints.standin"]
ENV = {**os.environ, "PYTHONPATH": str(CHECKOUT / "include")}


class TestMain:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_serves_until_it_is_told_to_stop(self, number):
        env = {**ENV, "GOLDGATE_STANDIN_SEED": "5", "GOLDGATE_STANDIN_LATENCY_MS": "9"}
        with subprocess.Popen(
            [*PROGRAM, "--port", "0", "--latency-ms", "1"], env=env, stdout=subprocess.PIPE, text=True
        ) as program:
            url = re.search(r"http://127\.0\.0\.1:\d+", program.stdout.readline())[0]
            settings = httpx.get(f"{url}/admin/faults", timeout=30).json()

            program.send_signal(number)

            assert program.wait(timeout=30) == 0
        assert (settings["seed"], settings["latency_ms"]) == (5, 1)

    def test_does_not_complain_of_faults_that_are_set(self):
        with subprocess.Popen(
            [*PROGRAM, "--port", "0", "--drop-every-nth", "1"],
            env=ENV,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as program:
            url = re.search(r"http://127\.0\.0\.1:\d+", program.stdout.readline())[0]
            with pytest.raises(httpx.RemoteProtocolError):
                httpx.post(f"{url}/v1/embeddings", json={"model": "standin-1", "input": "x"}, timeout=30)

            program.terminate()
            _, complaints = program.communicate(timeout=30)

        assert complaints == ""

    def test_says_who_should_move_if_the_port_is_taken(self, capsys):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]

            code = main(["--port", str(port)], env={})

        assert code == 2
        assert f"127.0.0.1:{port}" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("argv", "env"),
        [
            (["--hang-ratio", "2"], {}),
            ([], {"GOLDGATE_STANDIN_HANG_RATIO": "2"}),
        ],
    )
    def test_names_a_setting_that_is_wrong(self, argv, env, capsys):
        assert main(["--port", "0", *argv], env=env) == 2
        assert "hang_ratio" in capsys.readouterr().err
