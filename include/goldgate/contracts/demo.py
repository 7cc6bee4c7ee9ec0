"""What a demonstration found: the same figures as its table, for programs."""

from datetime import datetime

from pydantic import Field

from goldgate.contracts.base import Contract
from goldgate.contracts.release import CanaryRecord, GateResult
from goldgate.contracts.story import Outcome


class DemoRelease(Contract):
    """One release of the story, as it went."""

    name: str
    release_id: str
    expected: Outcome
    outcome: str
    """As its record `Closing` says; `unknown` if the release left none."""
    step: str
    reason: str
    champion: str | None
    """Version that serves after it."""
    gates: list[GateResult]
    broken_rows: list[str]
    canary: CanaryRecord | None
    seconds: float = Field(ge=0)
    steps_s: dict[str, float]
    """Seconds of each task that ran, in the order in which they ended; the wait of the canary included."""
    airflow_url: str
    mlflow_url: str | None
    report_url: str | None


class DemoRollback(Contract):
    """The alias moved back, and the router followed."""

    outcome: str
    from_version: str | None
    to_version: str
    served_after_s: float | None
    """From the ledger's entry before the move until the router first answered with that version. None: it never did."""
    airflow_url: str


class DemoTraffic(Contract):
    """Live requests while releases ran."""

    sent: int = Field(ge=0)
    answered: int = Field(ge=0)
    before_first_champion: int = Field(ge=0)
    """Sent while nothing served yet, and told so."""
    failed: int = Field(ge=0)
    by_version: dict[str, int]


class DemoReport(Contract):
    """`demo.json`: a whole demonstration."""

    agent: str
    home: str
    started_at: datetime
    seconds: float = Field(ge=0)
    releases: list[DemoRelease]
    rollback: DemoRollback | None
    """None: the story has no two champions to go between."""
    traffic: DemoTraffic
    problems: list[str]
    """What did not go as the story says; empty if all did."""
