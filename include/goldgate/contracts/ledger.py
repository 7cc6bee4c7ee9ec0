"""One entry of the release ledger."""

from datetime import datetime

from pydantic import Field, JsonValue

from goldgate.contracts.base import Contract


class LedgerEntry(Contract):
    """What was decided, when, by whom, on which evidence; chained to the entry before it."""

    seq: int = Field(ge=0)
    at: datetime
    agent: str
    release_id: str
    step: str
    """A step of the playbook: open, check, evaluate, build, judge, register, canary, promote, rollback, close."""
    outcome: str
    by: str
    evidence: dict[str, JsonValue]
    """Ids, digests and figures; never raw content."""
    previous: str = Field(pattern=r"^[0-9a-f]{64}$")
    """`hash` of the entry before; 64 zeros for the first."""
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 over the canonical JSON of all other fields."""
