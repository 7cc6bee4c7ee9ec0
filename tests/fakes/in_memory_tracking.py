"""An experiment tracker in memory."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from goldgate.domain.errors import PermanentError
from goldgate.ports.tracking import PackagedModel, TrackedRun


class InMemoryTracking:
    """Implements `goldgate.ports.tracking.Tracking`."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.attached: dict[tuple[str, str], list[str]] = {}
        """(run, folder) to the names of what was attached."""
        self.packaged: list[Path] = []

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
        run_id = f"run-{len(self.runs) + 1}"
        self.runs[run_id] = {
            "experiment": experiment,
            "name": name,
            "tags": dict(tags),
            "params": dict(params),
            "metrics": dict(metrics),
            "artifacts": [_present(artifact).name for artifact in artifacts],
        }
        return TrackedRun(run_id=run_id, url=f"memory://{run_id}")

    def attach(self, run_id: str, artifacts: Sequence[Path], *, folder: str) -> str:
        self._known(run_id)
        self.attached.setdefault((run_id, folder), []).extend(_present(artifact).name for artifact in artifacts)
        return f"memory://{run_id}/{folder}"

    def package(self, bundle: Path, *, run_id: str, name: str) -> PackagedModel:  # noqa: ARG002
        self._known(run_id)
        self.packaged.append(_present(bundle))
        return PackagedModel(model_uri=f"models:/m-{len(self.packaged)}", signature={"inputs": "[]", "outputs": "[]"})

    def _known(self, run_id: str) -> None:
        if run_id not in self.runs:
            raise PermanentError(f"There is no run `{run_id}`.")


def _present(path: Path) -> Path:
    if not path.exists():
        raise PermanentError(f"There is no `{path}`.")
    return path
