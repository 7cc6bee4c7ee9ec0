"""The local stack as others see it: what runs, where, and how it is."""

from typing import Literal

from goldgate.contracts.base import Contract

ProgramState = Literal["ready", "starting", "failing", "stopped", "unsupervised", "elsewhere"]
"""How a program is.

`failing`: the supervisor restarts it, or gave up. `unsupervised`: its address answers, but no supervisor of this stack
looks after it. `elsewhere`: its address is not on this machine.
"""


class ProgramStatus(Contract):
    """One program of the stack."""

    name: str
    state: ProgramState
    pid: int | None
    url: str | None
    log: str | None
    detail: str


class StackStatus(Contract):
    """The whole stack."""

    home: str
    up: bool
    """The supervisor runs."""
    ready: bool
    """Every program answers."""
    programs: list[ProgramStatus]
    passwords: str | None
    """The file that holds the passwords of the Airflow users; None before the first start."""
