"""How the local stack is: what the supervisor says of each program, and whether the program answers."""

import json
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from rich.table import Table

from goldgate.adapters.supervisor_arms import supervisor_socket
from goldgate.adapters.supervisor_daemon import SupervisedProgram, SupervisorDaemon
from goldgate.contracts.local import ProgramState, ProgramStatus, StackStatus
from goldgate.domain.errors import TransientError
from goldgate.entrypoints.local_airflow import passwords_file
from goldgate.entrypoints.local_programs import Program, programs
from goldgate.entrypoints.settings import Settings

_PROBE_WITHIN_S = 2.0
_STYLES: Mapping[ProgramState, str] = {
    "ready": "green",
    "starting": "yellow",
    "failing": "red",
    "stopped": "dim",
    "unsupervised": "yellow",
    "elsewhere": "cyan",
}


def status(settings: Settings) -> StackStatus:
    """Look at every program once."""
    try:
        supervised = SupervisorDaemon(socket=supervisor_socket(settings.home)).programs()
        up = True
    except TransientError:
        supervised, up = [], False
    passwords = passwords_file(settings)
    found = [*_own(settings, supervised), *_arms(settings, supervised)]
    return StackStatus(
        home=str(settings.home),
        up=up,
        ready=up and all(one.state in {"ready", "elsewhere"} for one in found),
        programs=found,
        passwords=str(passwords) if passwords.exists() else None,
    )


def state_of(supervised: SupervisedProgram | None, *, answers: bool) -> ProgramState:
    """Decide what to call a program of this machine."""
    if supervised is None:
        return "unsupervised" if answers else "stopped"
    match supervised.state:
        case "RUNNING" | "STARTING":
            return "ready" if answers else "starting"
        case "STOPPED" | "STOPPING":
            return "stopped"
        case _:
            return "failing"


def status_table(found: StackStatus) -> Table:
    """Draw the status for people."""
    table = Table(title=f"Goldgate in {found.home}", title_justify="left")
    for column in ("program", "state", "pid", "address", "detail"):
        table.add_column(column, no_wrap=column != "detail")
    for one in found.programs:
        state = f"[{_STYLES[one.state]}]{one.state}[/]"
        table.add_row(one.name, state, str(one.pid or ""), one.url or "", one.detail)
    table.caption = f"Passwords of the Airflow users: {found.passwords}" if found.passwords else None
    return table


def log_of(settings: Settings, name: str) -> Path:
    """Where the supervisor keeps the output of a program."""
    return settings.home / "logs" / f"{name}.log"


def _own(settings: Settings, supervised: Sequence[SupervisedProgram]) -> list[ProgramStatus]:
    by_name = {one.name: one for one in supervised}
    health = _airflow_health(settings) if "scheduler" in by_name else {}
    found = []
    for program in programs(settings):
        running = by_name.get(program.name)
        answers = _answers(program.probe) if program.probe else health.get(program.name.replace("-", "_"), False)
        found.append(_program_status(program, running, answers=answers, log=log_of(settings, program.name)))
    return found


def _program_status(program: Program, running: SupervisedProgram | None, *, answers: bool, log: Path) -> ProgramStatus:
    if program.is_elsewhere:
        said = "answers" if answers else "does not answer"
        return ProgramStatus(name=program.name, state="elsewhere", pid=None, url=program.url, log=None, detail=said)
    state = state_of(running, answers=answers)
    if state == "unsupervised":
        detail = "answers, but no supervisor looks after it: `make up` starts it anew, `make down` ends it"
    else:
        detail = _detail(running) if running else ""
    return ProgramStatus(
        name=program.name,
        state=state,
        pid=running.pid if running else None,
        url=program.url,
        log=str(log),
        detail=detail,
    )


def _arms(settings: Settings, supervised: Sequence[SupervisedProgram]) -> list[ProgramStatus]:
    """Arms come and go with releases; the router asks them, so here the supervisor's word is enough."""
    own = {program.name for program in programs(settings)}
    return [
        ProgramStatus(
            name=one.name,
            state=state_of(one, answers=one.state == "RUNNING"),
            pid=one.pid,
            url=None,
            log=str(log_of(settings, one.name)),
            detail=_detail(one),
        )
        for one in supervised
        if one.name not in own
    ]


def _detail(one: SupervisedProgram) -> str:
    """Leave the pid out of `pid 12, uptime 0:01:02`: it has a column."""
    return one.detail.rpartition(", ")[2] if one.state == "RUNNING" else f"{one.state} {one.detail}".strip()


def _airflow_health(settings: Settings) -> dict[str, bool]:
    body = _get(f"{settings.airflow_url}/api/v2/monitor/health")
    if body is None:
        return {}
    return {name: (part or {}).get("status") == "healthy" for name, part in json.loads(body).items()}


def _answers(url: str) -> bool:
    return _get(url) is not None


def _get(url: str) -> bytes | None:
    try:
        with urlopen(url, timeout=_PROBE_WITHIN_S) as response:  # noqa: S310 - an address of the settings: http(s) only
            return bytes(response.read())
    except (OSError, HTTPException):
        return None
