"""Removes what is older than it may be kept: request logs, lines of TaskRuns, and traces in MLflow.

Records of TaskRuns are not touched: they are removed by `goldgate task prune`. A collector other than MLflow keeps its
own house.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from goldgate.adapters.jsonl_request_log import prune
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.settings import RUN_LOG, Settings
from goldgate.entrypoints.tracing import mlflow_login

log = logging.getLogger(__name__)

REQUESTS: Final = "requests"


@dataclass(frozen=True)
class Retention:
    """How long things are kept."""

    settings: Settings
    env: Mapping[str, str] = field(kw_only=True, repr=False)
    older_than: timedelta = field(kw_only=True)

    def remove_expired(self, *, now: datetime) -> bool:
        """Remove what is too old, and say whether all of it could be. What could not is told in the log."""
        is_done = True
        for folder in (self.settings.home / REQUESTS, self.settings.home / RUN_LOG):
            is_done &= self._prune(folder, now=now)
        if not self.settings.otlp_url:
            for agent in sorted(set(self._agents())):
                is_done &= self._delete_traces(agent, before=now - self.older_than)
        return is_done

    def _prune(self, folder: Path, *, now: datetime) -> bool:
        try:
            if removed := prune(folder, older_than=self.older_than, now=now):
                log.info("request_log.pruned", extra={"files": [str(path) for path in removed]})
        except OSError:
            log.exception("request_log.prune_failed")
            return False
        return True

    def _agents(self) -> Iterator[str]:
        """Name every agent that may have traces: whatever was logged, or can run."""
        for folder in (self.settings.home / REQUESTS, self.settings.home / RUN_LOG, self.settings.agents):
            if folder.is_dir():
                yield from (path.name for path in folder.iterdir() if path.is_dir())

    def _delete_traces(self, agent: str, *, before: datetime) -> bool:
        # 0.1 s of httpx, once a day.
        from goldgate.adapters.mlflow_experiments import delete_traces_before  # noqa: PLC0415

        before_ms = round(before.timestamp() * 1000)
        try:
            count = delete_traces_before(
                self.settings.mlflow_url, agent, before_ms=before_ms, headers=mlflow_login(self.env)
            )
        except (PermanentError, TransientError) as error:
            log.warning("traces.prune_failed", extra={"agent": agent, "reason": str(error)})
            # What MLflow refuses today it refuses in a minute: a person has to act.
            return isinstance(error, PermanentError)
        if count:
            log.info("traces.pruned", extra={"agent": agent, "count": count})
        return True
