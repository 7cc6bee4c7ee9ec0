"""Run the stand-in model: `python -m goldgate.entrypoints.standin --port 8700`.

A stand-in for a language model, for tests and demonstrations without a key and without a network. It copies
sentences from what it is given. See include/docs/stand-in.md.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence

import uvicorn

from goldgate.contracts.base import ContractError
from goldgate.contracts.documents import parse
from goldgate.standin.server import create_app
from goldgate.standin.settings import ENV_PREFIX, StandinSettings

DEFAULT_PORT = 8700

GRACE_S = 2
"""How long requests under way may take to end when the server is told to stop. A hanging one would take a minute."""


class DeliberateFaults(logging.Filter):
    """Keeps out of the log what is done on purpose: dropped connections, and hanging requests cancelled at the end."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything else through."""
        is_drop = "without completing response" in record.getMessage()
        is_cancelled = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
        return not (is_drop or is_cancelled)


def main(argv: Sequence[str] | None = None, *, env: Mapping[str, str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Args:
        argv: Flags; those of the process by default.
        env: Where settings are read that no flag gives; the process environment by default.

    Returns:
        0 after a clean stop, 2 if a setting is wrong or the address cannot be had.
    """
    arguments = _parser().parse_args(argv)
    try:
        settings = _settings(arguments, env=os.environ if env is None else env)
        listener = _listen(arguments.host, arguments.port)
    except (ContractError, OSError) as error:
        print(f"stand-in: {error}", file=sys.stderr)  # noqa: T201 - a command that talks to people
        return 2
    with listener:
        _serve(listener, settings)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m goldgate.entrypoints.standin",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="default 8700; 0 takes a free one")
    settings = parser.add_argument_group("settings", f"each may also come from {ENV_PREFIX}<NAME>; a flag wins")
    for name, field in StandinSettings.model_fields.items():
        described = " ".join((field.description or "").split()).replace("%", "%%")
        flag = f"--{name.replace('_', '-')}"
        settings.add_argument(flag, metavar="N", help=f"{described} Default {field.default:g}.")
    return parser


def _settings(arguments: argparse.Namespace, *, env: Mapping[str, str]) -> StandinSettings:
    flags = {name: value for name in StandinSettings.model_fields if (value := getattr(arguments, name)) is not None}
    from_env = StandinSettings.from_env(env)
    return parse({**from_env.model_dump(), **flags}, StandinSettings, where="command line")


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        raise OSError(
            f"Cannot listen on {host}:{port} ({error}). Stop what listens there, or choose another with --port; "
            "--port 0 takes a free one."
        ) from error


def _serve(listener: socket.socket, settings: StandinSettings) -> None:
    host, port = listener.getsockname()[:2]
    config = uvicorn.Config(
        create_app(settings),
        log_level="warning",
        access_log=False,
        # Forwarded addresses are not believed: the caller's own decides who may set faults.
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    logging.getLogger("uvicorn.error").addFilter(DeliberateFaults())
    server = uvicorn.Server(config)

    def stop(*_: object) -> None:
        server.should_exit = True

    # The server raises the signal that stopped it once more when it is done; by default that would end us with -15.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    print(f"stand-in model on http://{host}:{port}/v1", flush=True)  # noqa: T201 - as above
    server.run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
