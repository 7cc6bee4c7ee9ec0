"""Run one arm: `python -m goldgate.entrypoints.arm --agent A --version V [--home H]`.

Fetches the bundle of the version, makes it answer on a free port of this machine (in a pod: `--host "*" --port N`), and
tells where in `<home>/run/arms/<agent>@<version>.json`. A bundle that is there already is checked and used, so that an
arm restarts while the registry is down; a damaged one is fetched again.
"""

import argparse
import json
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI

from goldgate.adapters.file_locks import FileLocks
from goldgate.adapters.supervisor_arms import arm_address_file
from goldgate.agent.bundle import verify_bundle
from goldgate.contracts.durable import write_durably
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.agents import load_agent
from goldgate.entrypoints.logs import log_as_json
from goldgate.entrypoints.serving_loop import listen_on, serve_until_stopped
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.tracing import SERVING_CLOSE_WITHIN_S, open_sink
from goldgate.ports.agents import Agent
from goldgate.ports.registry import Registry
from goldgate.ports.traces import SpanSink
from goldgate.serving.arm import create_arm

log = logging.getLogger(__name__)

EXIT_IMPOSSIBLE: Final = 2
EXIT_TRY_AGAIN: Final = 75
"""sysexits' EX_TEMPFAIL; the supervisor tries again in any case."""

LOOPBACK: Final = "127.0.0.1"
_GRACE_S: Final = 5
"""How long requests under way may take to end. Below the supervisor's `stopwaitsecs`."""


class _AnnouncedServer(uvicorn.Server):
    """Tells its address once it accepts connections."""

    def __init__(self, config: uvicorn.Config, *, told: Path, url: str) -> None:
        super().__init__(config)
        self._told = told
        self._content = json.dumps({"url": url, "pid": os.getpid()}).encode()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            write_durably(self._told, self._content)
            log.info("arm.ready", extra={"told": str(self._told)})

    def forget(self) -> None:
        """Take the address back, unless another process has told its own meanwhile."""
        with suppress(FileNotFoundError):
            if self._told.read_bytes() == self._content:
                self._told.unlink()


def main(argv: Sequence[str] | None = None, *, env: Mapping[str, str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns:
        0 after a clean stop, 2 if this version can never answer, 75 if it may later.
    """
    arguments = _parser().parse_args(argv)
    env = dict(os.environ if env is None else env)
    try:
        settings = Settings.from_env({**env, "GOLDGATE_HOME": arguments.home} if arguments.home else env)
        runtime, sink = _opened(settings, agent=arguments.agent, version=arguments.version, env=env)
    except TransientError as error:
        print(f"arm: {error}", file=sys.stderr)  # noqa: T201 - a command that talks to people
        return EXIT_TRY_AGAIN
    except PermanentError as error:
        print(f"arm: {error}", file=sys.stderr)  # noqa: T201 - as above
        return EXIT_IMPOSSIBLE
    log_as_json()
    try:
        _answer(runtime, arguments, home=settings.home, spans_dropped=lambda: sink.dropped)
    except PermanentError as error:
        print(f"arm: {error}", file=sys.stderr)  # noqa: T201 - as above
        return EXIT_IMPOSSIBLE
    finally:
        runtime.close()
        sink.close()
    return 0


def _opened(settings: Settings, *, agent: str, version: str, env: Mapping[str, str]) -> tuple[Agent, SpanSink]:
    bundle = fetched_bundle(settings, agent=agent, version=version)
    sink = open_sink(
        settings,
        env=env,
        agent=agent,
        attributes={"goldgate.version": version},
        close_within_s=SERVING_CLOSE_WITHIN_S,
    )
    return load_agent(bundle, env=env, sink=sink), sink


def _answer(runtime: Agent, arguments: argparse.Namespace, *, home: Path, spans_dropped: Callable[[], int]) -> None:
    # Readiness is told only now: a canary is judged on its latency from its first request on.
    for problem in runtime.warm_up():
        log.warning("arm.warm_up.incomplete", extra={"reason": problem})
    app = create_arm(runtime.predict, agent=arguments.agent, version=arguments.version, spans_dropped=spans_dropped)
    told = arm_address_file(home, agent=arguments.agent, version=arguments.version)
    serve(app, told=told, host=arguments.host, port=arguments.port)


def mlflow_registry(settings: Settings) -> Registry:
    """Reach the registry of this installation."""
    from goldgate.adapters.mlflow_registry import MlflowRegistry  # noqa: PLC0415 - 4 s that a restart does without

    return MlflowRegistry(settings.mlflow_url, locks=FileLocks(settings.home / "locks"))


def fetched_bundle(
    settings: Settings, *, agent: str, version: str, registry_of: Callable[[Settings], Registry] = mlflow_registry
) -> Path:
    """Return the version's bundle, from the machine if it is there and whole, else from the registry.

    Raises:
        TransientError: It is not here, or damaged, and the registry cannot be reached.
    """
    folder = settings.home / "bundles" / agent / version
    damage = _damage(folder) if folder.exists() else None
    if folder.exists() and damage is None:
        return folder
    try:
        return registry_of(settings).fetch_bundle(agent, version, into=settings.home / "bundles")
    except TransientError as error:
        if damage is None:
            raise
        raise TransientError(
            f"The copy of the bundle on this machine is damaged, and there is no other while the registry is down. "
            f"{damage} {error} Start MLflow: the bundle is then fetched again by itself."
        ) from error


def _damage(folder: Path) -> str | None:
    try:
        verify_bundle(folder)
    except PermanentError as error:
        log.warning("arm.bundle.damaged", extra={"folder": str(folder), "reason": str(error)})
        return str(error)
    return None


def serve(app: FastAPI, *, told: Path, host: str = LOOPBACK, port: int = 0) -> None:
    """Serve an arm, and tell its address for as long as it can be asked. Port 0 takes a free one."""
    with _listener(host, port) as listener:
        url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=_GRACE_S, timeout_keep_alive=75
        )
        server = _AnnouncedServer(config, told=told, url=url)
        try:
            serve_until_stopped(server, listener=listener)
        finally:
            server.forget()


def _listener(host: str, port: int) -> socket.socket:
    try:
        return listen_on(host, port=port)
    except (OSError, OverflowError) as error:
        raise PermanentError(
            f"Cannot listen on {host}:{port} ({error}). Stop what listens there, or give another --host or --port."
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m goldgate.entrypoints.arm",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--agent", required=True)
    parser.add_argument("--version", required=True, help="version of the registered model")
    parser.add_argument(
        "--host", default=LOOPBACK, help="address to listen on, `*`: all of them (default: this machine)"
    )
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--home", help="state folder; GOLDGATE_HOME by default")
    return parser


if __name__ == "__main__":
    sys.exit(main())
