"""Where the arms of a router are: programs of this machine's supervisor, or Deployments of the router's cluster."""

import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from goldgate.adapters.supervisor_arms import SupervisorArms
from goldgate.contracts.documents import read_yaml
from goldgate.contracts.pods import PodSettings
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.settings import Settings, SettingsError
from goldgate.ports.delivery import Arms
from goldgate.ports.registry import Registry

log = logging.getLogger(__name__)

IN_CLUSTER: Final = "in-cluster"
"""Value of `GOLDGATE_CLUSTER` in a pod. One elsewhere cannot reach what runs in pods: its arms are its machine's."""

ArmName = tuple[str, str]
_AGAIN_AFTER_S: Final = 5.0


def arms_of(settings: Settings, *, registry: Registry, is_headless: bool) -> Arms:
    """Choose what starts arms.

    Args:
        settings: In a pod, `pods` names the file that says how arms are made.
        registry: Holds their bundles.
        is_headless: In a cluster: whether arms' pods are asked directly, and not through their Services.

    Raises:
        PermanentError: That file is missing or breaks its contract, or this is no pod.
    """
    if settings.cluster != IN_CLUSTER:
        return SupervisorArms(settings.home, python=sys.executable, env=settings.as_env())
    if settings.pods is None:
        raise SettingsError(
            "Found no GOLDGATE_PODS; expected the file of kind PodSettings that says how arms are made, such as "
            "include/deploy/router/arms.yaml."
        )
    # Only routers in clusters need a client for the API server: 0.15 s of import.
    from goldgate.adapters.cluster.arm_manifests import ArmOrder  # noqa: PLC0415 - as above
    from goldgate.adapters.cluster.arms import ClusterArms  # noqa: PLC0415 - as above
    from goldgate.adapters.cluster.connection import connect  # noqa: PLC0415 - as above

    order = ArmOrder(
        settings=read_yaml(settings.pods, PodSettings).spec, env=_env_of_arms(settings), is_headless=is_headless
    )
    arms = ClusterArms(connect(settings.cluster, namespace=settings.namespace), order=order)
    bundles = settings.home / "bundles"
    return FetchedArms(arms, bundles=bundles, fetch=lambda name: registry.fetch_bundle(*name, into=bundles))


def _env_of_arms(settings: Settings) -> dict[str, str]:
    shared = {"GOLDGATE_MLFLOW_URL": settings.mlflow_url, "GOLDGATE_MODEL_URL": settings.model_url}
    return {**shared, **({"GOLDGATE_OTLP_URL": settings.otlp_url} if settings.otlp_url else {})}


class FetchedArms:
    """Arms of other machines, each ready only when its bundle is on this one too.

    What a version allows one caller stands in its bundle, and the router reads it where an arm of its own machine would
    have left it. Implements `goldgate.ports.delivery.Arms`.

    Args:
        arms: Those elsewhere.
        bundles: Where bundles lie here: `<agent>/<version>`.
        fetch: Has the bundle of an arm put there, whole or not at all.
        monotonic_s: Seconds that never go back.
    """

    def __init__(
        self,
        arms: Arms,
        *,
        bundles: Path,
        fetch: Callable[[ArmName], object],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._arms = arms
        self._bundles = bundles
        self._fetch = fetch
        self._monotonic_s = monotonic_s
        self._not_before_s: dict[ArmName, float] = {}
        self._asked: queue.SimpleQueue[ArmName] = queue.SimpleQueue()
        threading.Thread(target=self._fetch_all, name="fetch-bundles", daemon=True).start()

    def ensure(self, agent: str, version: str) -> None:
        """Have an arm started, and its bundle fetched."""
        self._is_here((agent, version))
        self._arms.ensure(agent, version)

    def address(self, agent: str, version: str) -> str | None:
        """Base URL of an arm that is ready and whose bundle is here, else None."""
        is_here = self._is_here((agent, version))
        address = self._arms.address(agent, version)
        return address if is_here else None

    def stop(self, agent: str, version: str) -> None:
        """End an arm. Its bundle stays: a version never changes."""
        self._arms.stop(agent, version)

    def running(self) -> Sequence[ArmName]:
        """Name all arms."""
        return self._arms.running()

    def _is_here(self, name: ArmName) -> bool:
        if self._bundles.joinpath(*name).is_dir():
            return True
        now_s = self._monotonic_s()
        if now_s >= self._not_before_s.get(name, now_s):
            self._not_before_s[name] = now_s + _AGAIN_AFTER_S
            self._asked.put(name)
        return False

    def _fetch_all(self) -> None:
        while True:
            name = self._asked.get()
            if self._bundles.joinpath(*name).is_dir():
                continue
            try:
                self._fetch(name)
            except (TransientError, PermanentError) as error:
                log.warning("router.bundle.missing", extra={"agent": name[0], "version": name[1], "reason": str(error)})
            except Exception:
                # Without this thread no new version would ever be served.
                log.exception("router.bundle.failed")
