"""Which product stands behind each port. The one place where adapters are chosen.

Adapters are imported when they are first needed, because their products are slow to import (mlflow 4 s,
great_expectations 9 s): a step pays only for what it uses.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from goldgate.adapters.file_ledger import FileLedger
from goldgate.adapters.file_locks import FileLocks
from goldgate.adapters.file_release_store import FileReleaseStore
from goldgate.adapters.jsonl_request_log import JsonlRequestLogReader
from goldgate.adapters.system_clock import SystemClock
from goldgate.entrypoints.settings import Settings
from goldgate.ports.delivery import Clock, ImageBuilder, ResultsValidator
from goldgate.ports.records import Ledger, Locks, ReleaseStore, RequestLogReader
from goldgate.ports.registry import Registry
from goldgate.ports.tracking import Tracking

if TYPE_CHECKING:
    from goldgate.adapters.cluster.connection import Access


@dataclass(frozen=True)
class Wiring:
    """The parts that one process needs, made once each."""

    settings: Settings
    access: "Access | None" = None
    """The cluster whose pods ask gold sets. None: that of the settings, if they name one."""

    @cached_property
    def clock(self) -> Clock:
        """The machine's clock."""
        return SystemClock()

    @cached_property
    def locks(self) -> Locks:
        """Locks between the processes of this machine."""
        return FileLocks(self.settings.home / "locks")

    @cached_property
    def ledger(self) -> Ledger:
        """The release ledger."""
        return FileLedger(self.settings.home / "ledger" / "ledger.jsonl", clock=self.clock, locks=self.locks)

    @cached_property
    def store(self) -> ReleaseStore:
        """Records and files of releases."""
        return FileReleaseStore(self.settings.home / "releases")

    @cached_property
    def requests(self) -> RequestLogReader:
        """What the router logged."""
        return JsonlRequestLogReader(self.settings.home / "requests")

    @cached_property
    def registry(self) -> Registry:
        """The model registry."""
        from goldgate.adapters.mlflow_registry import MlflowRegistry

        return MlflowRegistry(self.settings.mlflow_url, locks=self.locks)

    @cached_property
    def tracking(self) -> Tracking:
        """The experiment tracker."""
        from goldgate.adapters.mlflow_tracking import MlflowTracking

        return MlflowTracking(self.settings.mlflow_url)

    @cached_property
    def validator(self) -> ResultsValidator:
        """The validator of results tables."""
        from goldgate.adapters.great_expectations_validator import GreatExpectationsValidator

        return GreatExpectationsValidator()

    @cached_property
    def images(self) -> ImageBuilder:
        """Whatever builds container images here, or where BUILDKIT_HOST says."""
        from goldgate.adapters.container_images.buildkit import HOST_ENV, BuildkitImages
        from goldgate.adapters.container_images.images import ContainerImages

        if os.environ.get(HOST_ENV):
            return BuildkitImages()
        return ContainerImages(self.settings.home / "images")
