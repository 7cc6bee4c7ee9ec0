"""What an evaluation that is done in a pod is told, and what it tells."""

from pydantic import Field

from goldgate.contracts.base import Contract
from goldgate.contracts.cluster import StoredText
from goldgate.contracts.evaluation import GoldSetPlan


class StoredContestant(Contract):
    """A bundle that is asked, as it lies in parts."""

    archive: StoredText
    bundle_digest: str
    version: str
    """What its spans say."""


class EvaluationOrder(Contract):
    """A gold set to ask, and who is asked."""

    agent: str
    release_id: str
    contestants: dict[str, StoredContestant] = Field(min_length=1)
    rows: StoredText
    """A GoldRow a line."""
    plan: GoldSetPlan
    judge_version: str
    """How whoever asks for it scores a row. A pod of another version would make scores of another basis."""


class EvaluationTold(Contract):
    """Where the results lie: a ResultRow a line, under each contestant."""

    results: dict[str, StoredText]
