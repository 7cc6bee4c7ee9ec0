"""Arms as programs of the local supervisor.

Each arm has a configuration file of its own, `<home>/run/arms.d/<agent>@<version>.conf`, so that a supervisor that is
started again brings its arms back. An arm that is ready has told its address in `<home>/run/arms/`; it counts as ready
while it answers there by its own name.
"""

import hashlib
import http.client
import json
import re
import shlex
import socket
import time
import xmlrpc.client
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from supervisor.xmlrpc import Faults

from goldgate.contracts.durable import write_durably
from goldgate.domain.errors import PermanentError, TransientError

# A Unix socket's path holds 108 bytes with its end (man 7 unix), and supervisord first binds to one with its pid added.
_MAX_SOCKET_PATH: Final = 100
_ASK_WITHIN_S: Final = 5.0
_PROBE_WITHIN_S: Final = 0.5
_PROBE_KEPT_S: Final = 1.0
"""How long an answer, or a hang, is believed. A refused connection costs nothing to try again."""

_FATAL_RETRY_S: Final = 30.0
"""How soon an arm that the supervisor gave up on is tried again."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
"""Safe as a file name and as a program name, which may hold no space, colon or slash."""

_UP: Final = {"STARTING", "RUNNING", "BACKOFF", "STOPPING"}


def supervisor_socket(home: Path) -> Path:
    """Where the supervisor of a home listens: below it, or in /tmp if that path is too long for a socket."""
    below = home / "run" / "supervisor.sock"
    if len(str(below).encode()) <= _MAX_SOCKET_PATH:
        return below
    return Path("/tmp") / f"goldgate-{hashlib.sha256(str(home).encode()).hexdigest()[:16]}.sock"  # noqa: S108 - short on every machine


def arm_address_file(home: Path, *, agent: str, version: str) -> Path:
    """Where an arm tells its address and its process once it is ready."""
    return home / "run" / "arms" / f"{_arm(agent, version)}.json"


class SupervisorArms:
    """Starts and stops arms through a running supervisor. See `goldgate.ports.delivery.Arms`.

    Args:
        home: The folder of this machine's state; its supervisor includes `<home>/run/arms.d/*.conf`.
        python: The interpreter that arms run in.
        env: What is set for arms on top of the supervisor's own environment. Written to disk: no secrets; those reach
            the arms through the supervisor.
        program: What the interpreter runs, before `--agent`, `--version` and `--home`.
        monotonic_s: Seconds that never go back.
    """

    def __init__(
        self,
        home: Path,
        *,
        python: str,
        env: Mapping[str, str],
        program: Sequence[str] = ("-m", "goldgate.entrypoints.arm"),
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = home
        self._command = [python, *program]
        self._env = dict(env)
        self._monotonic_s = monotonic_s
        self._probed: dict[str, tuple[str | None, float]] = {}
        self._revived_s: dict[str, float] = {}

    def ensure(self, agent: str, version: str) -> None:
        """Have an arm started; returns at once. One that the supervisor gave up on is tried again now and then."""
        name = _arm(agent, version)
        with self._supervisor() as supervisor:
            state = _state_of(supervisor, name)
            if state in _UP or (state == "FATAL" and not self._may_revive(name)):
                return
            if state is not None:
                _remove(supervisor, name)
            write_durably(self._config_file(name), self._config(agent, version).encode())
            supervisor.reloadConfig()
            supervisor.addProcessGroup(name)

    def address(self, agent: str, version: str) -> str | None:
        """Base URL of an arm that answers by its name, else None."""
        name, now_s = _arm(agent, version), self._monotonic_s()
        told = _told_address(arm_address_file(self._home, agent=agent, version=version))
        if told is None:
            return None
        kept = self._probed.get(name)
        if kept is not None and now_s < kept[1] and kept[0] in (told, None):
            return kept[0]
        try:
            found = told if _answers(told, agent=agent, version=version) else None
        except TimeoutError:
            self._probed[name] = (None, now_s + _PROBE_KEPT_S)
            return None
        if found is not None:
            self._probed[name] = (found, now_s + _PROBE_KEPT_S)
        return found

    def stop(self, agent: str, version: str) -> None:
        """Have an arm ended; returns at once. `running` sees it until it has ended."""
        name = _arm(agent, version)
        self._config_file(name).unlink(missing_ok=True)
        with self._supervisor() as supervisor:
            state = _state_of(supervisor, name)
            if state in {"STARTING", "RUNNING", "BACKOFF"}:
                supervisor.stopProcess(name, False)
            elif state is not None and state != "STOPPING":
                _remove(supervisor, name)
        arm_address_file(self._home, agent=agent, version=version).unlink(missing_ok=True)
        self._probed.pop(name, None)

    def running(self) -> Sequence[tuple[str, str]]:
        """Name all arms. Those that were stopped and have ended by now are taken from the supervisor's list."""
        with self._supervisor() as supervisor:
            found: list[tuple[str, str]] = []
            for process in supervisor.getAllProcessInfo():
                agent, at, version = str(process["name"]).rpartition("@")
                if not at:
                    continue
                if process["statename"] == "STOPPED" and not self._config_file(str(process["name"])).exists():
                    _remove(supervisor, str(process["name"]))
                else:
                    found.append((agent, version))
        return found

    def _may_revive(self, name: str) -> bool:
        now_s = self._monotonic_s()
        if now_s - self._revived_s.get(name, -_FATAL_RETRY_S) < _FATAL_RETRY_S:
            return False
        self._revived_s[name] = now_s
        return True

    def _config_file(self, name: str) -> Path:
        return self._home / "run" / "arms.d" / f"{name}.conf"

    def _config(self, agent: str, version: str) -> str:
        """Write the program's section. An arm that dies within `startsecs` is restarted with growing pauses."""
        name = _arm(agent, version)
        command = shlex.join([*self._command, "--agent", agent, "--version", version, "--home", str(self._home)])
        (self._home / "logs").mkdir(parents=True, exist_ok=True)
        lines = [
            f"[program:{name}]",
            f"command={_plain(command)}",
            "autorestart=true",
            "startsecs=10",
            "startretries=4",
            "stopwaitsecs=8",
            "stopasgroup=true",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={_plain(str(self._home / 'logs' / f'arm-{name}.log'))}",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=1",
        ]
        if self._env:
            pairs = ",".join(f'{key}="{_plain(value)}"' for key, value in sorted(self._env.items()))
            lines.append(f"environment={pairs}")
        return "\n".join(lines) + "\n"

    @contextmanager
    def _supervisor(self) -> Iterator[Any]:
        path = supervisor_socket(self._home)
        try:
            with xmlrpc.client.ServerProxy("http://localhost", transport=_UnixTransport(path)) as server:
                yield server.supervisor
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise TransientError(f"No supervisor answers on `{path}`: {error}. Start it with `make up`.") from error
        except xmlrpc.client.Fault as fault:
            raise TransientError(f"The supervisor on `{path}` refused: {fault.faultString}. See its log.") from fault


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket, with a bound on every wait."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_ASK_WITHIN_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_ASK_WITHIN_S)
        self.sock.connect(str(self._path))


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: tuple[str, dict[str, str]] | str) -> http.client.HTTPConnection:
        connection = self._connection[1] or _UnixConnection(self._path)
        self._connection = host, connection
        return connection


def _arm(agent: str, version: str) -> str:
    if not _NAME.fullmatch(agent) or not _NAME.fullmatch(version):
        raise PermanentError(
            f"Found the arm `{agent}@{version}`; expected an agent and a version of at most 63 lower-case letters, "
            "digits, `.`, `_` and `-`, beginning with a letter or digit."
        )
    return f"{agent}@{version}"


def _state_of(supervisor: Any, name: str) -> str | None:
    try:
        return str(supervisor.getProcessInfo(name)["statename"])
    except xmlrpc.client.Fault as fault:
        if fault.faultCode == Faults.BAD_NAME:
            return None
        raise


def _remove(supervisor: Any, name: str) -> None:
    try:
        supervisor.removeProcessGroup(name)
    except xmlrpc.client.Fault as fault:
        if fault.faultCode not in (Faults.BAD_NAME, Faults.STILL_RUNNING):
            raise


def _told_address(path: Path) -> str | None:
    try:
        return str(json.loads(path.read_bytes())["url"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise PermanentError(
            f"The address file `{path}` is not one: {error!r}. Delete it; the arm restarts."
        ) from error


def _answers(url: str, *, agent: str, version: str) -> bool:
    """Ask whoever listens for their name. Raises TimeoutError if they hang."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_PROBE_WITHIN_S)
    try:
        connection.request("GET", "/healthz")
        answered = connection.getresponse()
        return answered.status == http.client.OK and json.loads(answered.read()) == {"agent": agent, "version": version}
    except TimeoutError:
        raise
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()


def _plain(value: str) -> str:
    """Write a value so that supervisord reads it back as it is.

    Raises:
        PermanentError: Its configuration has no way to say it.
    """
    if re.search(r'[\n"]|\s[;#]', value):
        raise PermanentError(
            f"Found `{value}`; expected no quote, line break, ` ;` or ` #`: supervisord cannot hold it."
        )
    return value.replace("%", "%%")
