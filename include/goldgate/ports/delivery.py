"""What turns a candidate into something that serves: images, arms, validation of results, time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from goldgate.contracts.prediction import PredictRequest, PredictResponse
from goldgate.domain.errors import TransientError

if TYPE_CHECKING:
    # For annotations alone: the pod of a run, which reads a clock, need not build the contracts of releases.
    from goldgate.contracts.evaluation import ResultRow
    from goldgate.contracts.release import ImageBuilt, ImageUnavailable


class ImageBuilder(Protocol):
    """Builds container images with whatever really works on this machine."""

    def build(
        self, *, context: Path, dockerfile: Path, name: str, labels: dict[str, str]
    ) -> "ImageBuilt | ImageUnavailable":
        """Build, or say why not. The same inputs are not built twice.

        Raises:
            TransientError: The build was cut short; that is no answer.
        """


class Arms(Protocol):
    """Starts and stops the processes that answer for one version of an agent each.

    An arm is known as `<agent>@<version>`. Arms outlive the router and are restarted when they die.
    """

    def ensure(self, agent: str, version: str) -> None:
        """Have an arm for the version started; returns at once. Again: does nothing."""

    def address(self, agent: str, version: str) -> str | None:
        """Base URL of an arm that is ready to answer, else None."""

    def stop(self, agent: str, version: str) -> None:
        """End an arm. Does nothing if there is none."""

    def running(self) -> Sequence[tuple[str, str]]:
        """All (agent, version) that have an arm, ready or not."""


ArmFailure = Literal["refused", "timeout", "broken", "status", "garbled"]
"""No connection; no answer in time; connection lost; an HTTP error; an answer that breaks the contract."""


class ArmFailedError(TransientError):
    """An arm did not answer a request. The same request may succeed on another arm, or later."""

    def __init__(self, message: str, *, failure: ArmFailure) -> None:
        """Keep the kind of failure, for the request log and the metrics."""
        super().__init__(message)
        self.failure = failure


class ArmClient(Protocol):
    """Asks arms. One client serves many requests at a time, on one event loop."""

    async def predict(
        self, address: str, request: PredictRequest, *, within_s: float, parent_span_id: str | None = None
    ) -> PredictResponse:
        """Ask the arm at a base URL, once. Raises `ArmFailedError`, by `within_s` seconds at the latest.

        `parent_span_id` is the span of the question in the trace that `request` names: the arm goes on below it.
        """

    async def close(self) -> None:
        """Let all connections go."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Whether a results table is fit to decide on."""

    is_valid: bool
    failures: Sequence[str]
    """One sentence for each expectation not met."""
    report: Path
    """Folder with `index.html`."""


class ResultsValidator(Protocol):
    """Validates a results table and writes a report for people."""

    def validate(self, rows: "Sequence[ResultRow]", *, expected_rows: int, repeats: int, report: Path) -> Validation:
        """Hold the table to its expectations. `report` is the folder to write into."""


class Clock(Protocol):
    """The time of day."""

    def now(self) -> datetime:
        """Now, aware, in UTC."""
