"""Where evaluations are logged, and candidates are kept as models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """A run in the tracking server, with the page a person opens."""

    run_id: str
    url: str


@dataclass(frozen=True, kw_only=True)
class PackagedModel:
    """A candidate logged as a pyfunc model."""

    model_uri: str
    signature: Mapping[str, object]
    """Inputs and outputs of `predict()`, as MLflow writes them."""


class Tracking(Protocol):
    """The experiment tracker. Raises `TransientError` if it cannot be reached."""

    def log_evaluation(
        self,
        *,
        experiment: str,
        name: str,
        tags: Mapping[str, str],
        params: Mapping[str, str],
        metrics: Mapping[str, float],
        artifacts: Sequence[Path],
    ) -> TrackedRun:
        """Log one evaluation as a finished run. `artifacts` are files and folders."""

    def attach(self, run_id: str, artifacts: Sequence[Path], *, folder: str) -> str:
        """Add artifacts to a run, and return the page a person opens to see them."""

    def package(self, bundle: Path, *, run_id: str, name: str) -> PackagedModel:
        """Log a frozen agent folder as a pyfunc model of a run (models from code)."""
