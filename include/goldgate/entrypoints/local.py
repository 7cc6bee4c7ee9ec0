"""The whole stack on one machine: `up`, `down`, `status`, `logs`.

Every program is supervised: one that dies is started again. Everything listens on this machine only.
"""

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console

from goldgate.adapters.local_processes import (
    end_processes,
    holder_of_port,
    is_alive,
    processes_with,
    read_pid,
    unmarked_processes_in,
)
from goldgate.adapters.supervisor_arms import supervisor_socket
from goldgate.adapters.supervisor_daemon import SupervisorDaemon
from goldgate.contracts.local import StackStatus
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.airflow_settings import AirflowObjects, airflow_env, read_airflow_settings
from goldgate.entrypoints.local_airflow import import_pools, migrate, prepare
from goldgate.entrypoints.local_programs import MARKER, Program, programs, stack_env, supervisor_config
from goldgate.entrypoints.local_status import log_of, status, status_table
from goldgate.entrypoints.refusals import refused
from goldgate.entrypoints.settings import Settings

__all__ = ["down", "logs", "main", "processes_of", "status", "up"]

Say = Callable[[str], None]

READY_WITHIN_S: Final = 240.0
"""Three times what a cold start takes on two busy cores."""

_LOOK_EVERY_S: Final = 0.5
_END_WITHIN_S: Final = 10.0
_TAIL_LINES: Final = 25


def print_line(text: str) -> None:
    """Say one line of progress."""
    print(text, flush=True)  # noqa: T201 - a command that talks to people


def up(settings: Settings, *, env: Mapping[str, str] | None = None, say: Say = print_line) -> StackStatus:
    """Start what is not running yet, and return when every program answers.

    What this call began, it also ends if it fails or is interrupted.

    Raises:
        PermanentError: A port is taken, a program does not start, or another `up` is at work; what to do is told.
    """
    with _alone(settings):
        daemon = SupervisorDaemon(socket=supervisor_socket(settings.home))
        if daemon.is_up():
            say("The stack is up already.")
            return _await_ready(settings, say=say)
        _refuse_taken_ports(settings)
        _sweep(settings, say=say)
        try:
            _start(settings, daemon, env=os.environ if env is None else env, say=say)
            return _await_ready(settings, say=say)
        except BaseException:
            _end(settings, say=say)
            raise


def down(settings: Settings, *, say: Say = print_line) -> None:
    """End every process of the stack, also those that an earlier run left behind.

    Raises:
        PermanentError: A process does not end.
    """
    if not _end(settings, say=say):
        say("Nothing was running.")


def logs(settings: Settings, *, name: str | None = None, follow: bool = False, lines: int = 50) -> int:
    """Show the newest lines of one program's log, or of all.

    Raises:
        PermanentError: There is no log of that name; the names are told.
    """
    folder = settings.home / "logs"
    known = sorted(path.stem for path in folder.glob("*.log"))
    if name is not None and name not in known:
        raise PermanentError(f"No log of `{name}` in `{folder}`; there are: {', '.join(known) or 'none'}.")
    files = [str(log_of(settings, one)) for one in ([name] if name else known)]
    tail = shutil.which("tail")
    if not files or tail is None:
        raise PermanentError(f"Nothing to show: no log in `{folder}` yet, or no `tail` on this machine.")
    how = ["-F"] if follow else []
    return subprocess.run([tail, "-n", str(lines), *how, *files], check=False).returncode  # noqa: S603 - our own files


def _start(settings: Settings, daemon: SupervisorDaemon, *, env: Mapping[str, str], say: Say) -> None:
    objects = read_airflow_settings()
    for folder in ("run/arms.d", "run/arms", "logs", "mlflow/artifacts"):
        (settings.home / folder).mkdir(parents=True, exist_ok=True)
    prepare(settings)
    config = settings.home / "run" / "supervisord.conf"
    config.write_text(supervisor_config(settings, socket=daemon.socket), encoding="utf-8")
    started_with = stack_env(settings, env=env) | airflow_env(objects, env=env)
    say(f"Starting in {settings.home}")
    daemon.start(config, env=started_with)
    if any(program.when == "migrated" for program in _local(settings)):
        _start_airflow(settings, daemon, objects=objects, env=started_with, say=say)


def _start_airflow(
    settings: Settings, daemon: SupervisorDaemon, *, objects: AirflowObjects, env: Mapping[str, str], say: Say
) -> None:
    began = time.monotonic()
    migrate(settings, env=env)
    say(f"  airflow database   ready after {time.monotonic() - began:5.1f} s")
    for program in _local(settings):
        if program.when == "migrated":
            daemon.start_program(program.name)
    import_pools(settings, objects=objects, env=env)


def _await_ready(settings: Settings, *, say: Say) -> StackStatus:
    began, told = time.monotonic(), set[str]()
    while True:
        found = status(settings)
        for one in found.programs:
            if one.state in {"ready", "elsewhere"} and one.name not in told:
                told.add(one.name)
                say(f"  {one.name:18s} {one.state} after {time.monotonic() - began:5.1f} s  {one.url or ''}".rstrip())
        if found.ready:
            return found
        waiting = [one.name for one in found.programs if one.state not in {"ready", "elsewhere"}]
        failed = [one.name for one in found.programs if one.detail.startswith("FATAL")]
        if not found.up or failed:
            raise PermanentError(_failure(settings, failed or waiting, why="did not start"))
        if time.monotonic() - began > READY_WITHIN_S:
            raise PermanentError(_failure(settings, waiting, why=f"not ready after {READY_WITHIN_S:.0f} s"))
        time.sleep(_LOOK_EVERY_S)


def _failure(settings: Settings, names: Sequence[str], *, why: str) -> str:
    parts = [f"{', '.join(names)}: {why}."]
    for name in names:
        log = log_of(settings, name)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        parts += [f"--- the end of {log}", *lines[-_TAIL_LINES:]]
    return "\n".join(parts)


def _end(settings: Settings, *, say: Say) -> bool:
    daemon, pid = SupervisorDaemon(socket=supervisor_socket(settings.home)), _daemon_pid(settings)
    began, was_up = time.monotonic(), daemon.is_up()
    if was_up:
        say("Stopping ...")
        daemon.stop()
        while pid is not None and is_alive(pid) and time.monotonic() - began < _END_WITHIN_S:
            time.sleep(0.1)
    swept = _sweep(settings, say=say)
    if was_up:
        say(f"Stopped after {time.monotonic() - began:.1f} s.")
    return was_up or swept


def _sweep(settings: Settings, *, say: Say) -> bool:
    """End processes that no supervisor looks after any more, and remove what they left in `run/`."""
    pids = processes_of(settings)
    if pids:
        say(f"Ending {len(pids)} processes that were left behind.")
        left = end_processes(pids, within_s=_END_WITHIN_S)
        if left:
            raise PermanentError(f"Processes {', '.join(map(str, left))} do not end. Look at them with `ps`.")
    run = settings.home / "run"
    for stale in (supervisor_socket(settings.home), run / "supervisord.pid", *run.glob("arms/*.json")):
        stale.unlink(missing_ok=True)
    return bool(pids)


def processes_of(settings: Settings) -> list[int]:
    """Name every process of this stack except this one, whether or not a supervisor looks after it."""
    found = {*processes_with({MARKER: str(settings.home)}), *unmarked_processes_in(settings.home)}
    return sorted(found - {os.getpid()})


def _refuse_taken_ports(settings: Settings) -> None:
    """Refuse while others hold our ports, before anything is ended: what an earlier run left may still serve."""
    ours, problems = processes_of(settings), []
    for program in _local(settings):
        holder = holder_of_port(program.port) if program.port else None
        if holder and holder.pid not in ours:
            who = f"process {holder.pid} (`{holder.command}`)" if holder.pid else holder.command
            problems.append(
                f"Port {program.port} of {program.name} is taken by {who}. End it, or set {program.moved_by} "
                f"to an address with a free port, such as `{_moved(program)}`."
            )
    if problems:
        raise PermanentError("\n".join(problems))


def _moved(program: Program) -> str:
    return str(program.url).replace(f":{program.port}", f":{(program.port or 0) + 10000}")


def _local(settings: Settings) -> list[Program]:
    return [program for program in programs(settings) if not program.is_elsewhere]


def _daemon_pid(settings: Settings) -> int | None:
    return read_pid(settings.home / "run" / "supervisord.pid")


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the stack: two `up` at once would start everything twice."""
    path: Path = settings.home / "run" / "up.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PermanentError(
                f"Another `up` is at work in `{settings.home}`. Wait for it, or `make down`."
            ) from error
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 1 if it could not be done, 130 if it was interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything, and wait until it answers")
    commands.add_parser("down", help="end everything")
    shown = commands.add_parser("status", help="what runs, and how it is")
    shown.add_argument("--json", action="store_true", help="for programs")
    followed = commands.add_parser("logs", help="the newest lines of the logs")
    followed.add_argument("name", nargs="?", help="a program; all if left out")
    followed.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(arguments, Settings.from_env(os.environ))
    except PermanentError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command that talks to people
        return 1
    except OSError as error:
        print(refused(error), file=sys.stderr)  # noqa: T201 - as above
        return 1
    except KeyboardInterrupt:
        return 130


def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    match arguments.command:
        case "up":
            found = up(settings)
            print_line(f"Airflow: {settings.airflow_url} (user `admin`, password in {found.passwords})")
        case "down":
            down(settings)
        case "status":
            found = status(settings)
            print_line(found.model_dump_json(indent=2)) if arguments.json else Console().print(status_table(found))
            return 0 if found.ready else 1
        case _:
            return logs(settings, name=arguments.name, follow=arguments.follow)
    return 0


if __name__ == "__main__":
    sys.exit(main())
