"""What tests of several folders share."""

import importlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

_READY_WITHIN_S = 120

# A deadline would make a property depend on the speed of the machine.
settings.register_profile("goldgate", settings(deadline=None))
settings.load_profile("goldgate")


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server of its own, on a free port, for the whole test session. Tests use names of their own."""
    _import_mlflow_quietly()
    folder = tmp_path_factory.mktemp("mlflow")
    url = f"http://127.0.0.1:{_free_port()}"
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            _command(url, folder), env=_environment(), stdout=output, stderr=output, start_new_session=True
        )
    try:
        _await_health(url, server, log)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _import_mlflow_quietly() -> None:
    """MLflow 3.17 warns of its own type hints while it is imported, and warnings are errors here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("mlflow.pyfunc")


def _command(url: str, folder: Path) -> list[str]:
    port = url.rsplit(":", 1)[1]
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _await_health(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < give_up_at:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):  # our own server
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"MLflow did not become ready:\n{log.read_text(errors='replace')[-3000:]}")
