"""The supervisor daemon of the local stack: start it, ask it, end it."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import cast
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import Faults, SupervisorTransport

from goldgate.domain.errors import PermanentError, TransientError


@dataclass(frozen=True, kw_only=True)
class SupervisedProgram:
    """A program as the supervisor sees it."""

    name: str
    state: str
    """Supervisor's own word: RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL."""
    pid: int | None
    detail: str


@dataclass(frozen=True, kw_only=True)
class SupervisorDaemon:
    """One supervisord, found by its socket."""

    socket: Path

    def start(self, config: Path, *, env: Mapping[str, str]) -> None:
        """Start the daemon in the background, in a session of its own.

        Raises:
            PermanentError: It refused its configuration or could not start.
        """
        done = subprocess.run(  # noqa: S603 - our interpreter, our configuration file
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
            env=dict(env),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            told = (done.stderr or done.stdout).strip()
            raise PermanentError(f"supervisord did not start from `{config}`: {told}")

    def is_up(self) -> bool:
        """Say whether a daemon answers on the socket."""
        try:
            self.programs()
        except TransientError:
            return False
        return True

    def programs(self) -> list[SupervisedProgram]:
        """List every program it knows.

        Raises:
            TransientError: No daemon answers on the socket.
        """
        with self._asked() as server:
            found = cast("list[dict[str, object]]", server.supervisor.getAllProcessInfo())
        return [
            SupervisedProgram(
                name=str(one["name"]),
                state=str(one["statename"]),
                pid=int(str(one["pid"])) or None,
                detail=str(one["description"]),
            )
            for one in found
        ]

    def start_program(self, name: str) -> None:
        """Start one program, and do not wait for it. Nothing happens if it is started already."""
        with self._asked() as server:
            try:
                server.supervisor.startProcess(name, False)
            except Fault as fault:
                if fault.faultCode != Faults.ALREADY_STARTED:
                    raise PermanentError(f"supervisord did not start `{name}`: {fault.faultString}") from fault

    def stop(self) -> None:
        """Stop all programs at once, then the daemon.

        `shutdown` alone stops one group after the other, which adds their times up.
        """
        with self._asked() as server:
            server.supervisor.stopAllProcesses(True)
            server.supervisor.shutdown()

    @contextmanager
    def _asked(self) -> Iterator[ServerProxy]:
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        try:
            with ServerProxy("http://127.0.0.1", transport=transport) as server:
                yield server
        except (OSError, HTTPException) as error:
            raise TransientError(
                f"No supervisord answers on `{self.socket}`: {error}. Start it with `make up`."
            ) from error
