"""The programs of the local stack: what each is started with, where it answers, and what moves its port."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from goldgate.entrypoints.settings import CHECKOUT, Settings

MARKER: Final = "GOLDGATE_STACK"
"""Every process of a stack inherits it, set to the home folder: how `down` finds what was left behind."""

_CLEAN_PLACE: Final = (sys.executable, "-m", "goldgate.entrypoints.supervised")
"""Ends what an earlier life of the program left, then becomes its command."""

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, kw_only=True)
class Program:
    """One long-running program."""

    name: str
    command: Sequence[str]
    url: str | None = None
    """Where a person or a client finds it."""
    probe: str | None = None
    """Answers 200 when the program is ready. None: the Airflow API reports on it."""
    moved_by: str | None = None
    """The variable that moves its port."""
    when: Literal["at once", "migrated"] = "at once"
    """`migrated`: Airflow's database must be there first."""
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int | None:
        """The port it listens on."""
        return urlsplit(self.url).port if self.url else None

    @property
    def is_elsewhere(self) -> bool:
        """Its address is on another machine: it is used, not started."""
        return self.url is not None and urlsplit(self.url).hostname not in LOOPBACK


def programs(settings: Settings) -> list[Program]:
    """List all programs, those that need nothing else first."""
    return [_mlflow(settings), _standin(settings), _router(settings), *_airflow(settings)]


def supervisor_config(settings: Settings, *, socket: Path) -> str:
    """Write the configuration of supervisord for the programs that run on this machine."""
    run, logs = settings.home / "run", settings.home / "logs"
    parts = [
        "[unix_http_server]",
        f"file={_plain(socket)}",
        "chmod=0600",
        "",
        "[supervisord]",
        f"logfile={_plain(logs / 'supervisord.log')}",
        f"pidfile={_plain(run / 'supervisord.pid')}",
        f"childlogdir={_plain(logs)}",
        f"directory={_plain(settings.home)}",
        "logfile_maxbytes=5MB",
        "logfile_backups=1",
        "",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        "",
        "[include]",
        f"files = {_plain(run / 'arms.d')}/*.conf",
    ]
    for program in programs(settings):
        if not program.is_elsewhere:
            parts += ["", *_section(program, logs=logs)]
    return "\n".join(parts) + "\n"


def stack_env(settings: Settings, *, env: Mapping[str, str]) -> dict[str, str]:
    """Make the environment that every program of the stack starts with.

    Args:
        settings: Where everything is.
        env: The caller's environment: keys of models and proxies reach the agents; what would configure Airflow or
            MLflow behind our back, or another Python, does not.
    """
    foreign = ("AIRFLOW_", "_AIRFLOW_", "MLFLOW_", "_MLFLOW_", "PYTHON", "VIRTUAL_ENV", "SUPERVISOR_")
    kept = {
        name: value
        for name, value in env.items()
        if not name.startswith(foreign) or name.startswith("MLFLOW_TRACKING_")
    }
    path = [str(Path(sys.executable).parent), *env.get("PATH", os.defpath).split(os.pathsep)]
    return (
        kept
        | settings.as_env()
        | {
            MARKER: str(settings.home),
            "AIRFLOW_HOME": str(settings.home / "airflow"),
            "PATH": os.pathsep.join(dict.fromkeys(path)),
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT / "include"), str(CHECKOUT / "plugins")]),
            "PYTHONUNBUFFERED": "1",
            "MLFLOW_TRACKING_URI": settings.mlflow_url,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "GX_ANALYTICS_ENABLED": "false",
        }
    )


def _mlflow(settings: Settings) -> Program:
    url = urlsplit(settings.mlflow_url)
    folder = settings.home / "mlflow"
    # One worker, no job runner, no pool: 394 MB instead of 1 GB, and SQLite's default pool starves under threads.
    return Program(
        name="mlflow",
        command=[
            *(_python("mlflow", "server", "--host", "127.0.0.1", "--port", str(url.port), "--workers", "1")),
            *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
            *("--artifacts-destination", str(folder / "artifacts")),
        ],
        url=settings.mlflow_url,
        probe=f"{settings.mlflow_url}/health",
        moved_by="GOLDGATE_MLFLOW_URL",
        env={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool"},
    )


def _standin(settings: Settings) -> Program:
    port = urlsplit(settings.model_url).port
    return Program(
        name="standin",
        command=_python("goldgate.entrypoints.standin", "--port", str(port)),
        url=settings.model_url,
        probe=f"{settings.model_url}/models",
        moved_by="GOLDGATE_MODEL_URL",
    )


def _router(settings: Settings) -> Program:
    return Program(
        name="router",
        command=_python("goldgate.entrypoints.router"),
        url=settings.router_url,
        probe=f"{settings.router_url}/healthz",
        moved_by="GOLDGATE_ROUTER_URL",
    )


def _airflow(settings: Settings) -> list[Program]:
    """Four programs. Their log servers stay off: they listen on every address, and the logs lie on this machine."""
    port = str(urlsplit(settings.airflow_url).port)
    api = Program(
        name="api-server",
        command=_python("airflow", "api-server", "--host", "127.0.0.1", "--port", port),
        url=settings.airflow_url,
        probe=f"{settings.airflow_url}/api/v2/version",
        moved_by="GOLDGATE_AIRFLOW_URL",
        when="migrated",
    )
    if api.is_elsewhere:
        return [api]
    return [
        api,
        Program(name="scheduler", command=_python("airflow", "scheduler", "--skip-serve-logs"), when="migrated"),
        Program(name="dag-processor", command=_python("airflow", "dag-processor"), when="migrated"),
        Program(name="triggerer", command=_python("airflow", "triggerer", "--skip-serve-logs"), when="migrated"),
    ]


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _section(program: Program, *, logs: Path) -> list[str]:
    lines = [
        f"[program:{program.name}]",
        f"command={_plain(shlex.join([*_CLEAN_PLACE, *program.command]))}",
        f"autostart={'true' if program.when == 'at once' else 'false'}",
        "autorestart=true",
        "startsecs=3",
        "startretries=3",
        "stopwaitsecs=8",
        "stopasgroup=true",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={_plain(logs / f'{program.name}.log')}",
        "stdout_logfile_maxbytes=10MB",
        "stdout_logfile_backups=2",
    ]
    if program.env:
        pairs = ",".join(f'{name}="{_plain(value)}"' for name, value in program.env.items())
        lines.append(f"environment={pairs}")
    return lines


def _plain(value: object) -> str:
    """Write a value so that supervisord does not expand it."""
    return str(value).replace("%", "%%")
