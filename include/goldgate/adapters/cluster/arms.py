"""Arms as Deployments of a cluster, each with a Service in front.

What exists is read from the API server: several routers act on the same arms, and what one did another sees. Looks are
kept for a moment, because a router asks for each arm three times a second.
"""

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from lightkube.codecs import from_dict
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import Service
from lightkube.resources.discovery_v1 import EndpointSlice
from lightkube.types import CascadeType

from goldgate.adapters.cluster.arm_manifests import (
    AGENT_ANNOTATION,
    ARM_LABEL,
    ARM_PORT,
    ARMS,
    ORDER_ANNOTATION,
    VERSION_ANNOTATION,
    ArmOrder,
    arm_name,
    deployment,
    service,
)
from goldgate.adapters.cluster.connection import Cluster
from goldgate.adapters.cluster.failures import is_absent, refusal

FIELD_MANAGER: Final = "goldgate-router"

_LOOK_KEPT_S: Final = 0.25
"""Below the pause between two looks of a router."""
_PROBE_WITHIN_S: Final = 0.5
_HEADLESS: Final = "None"


@dataclass(frozen=True, kw_only=True)
class _Arm:
    """An arm as it was found."""

    name: str
    agent: str
    version: str
    order: str
    uid: str
    is_ready: bool
    """Some pod of it is."""
    address: str | None
    """Where it is to be asked; None while its Service is missing, or has nobody behind it."""


def answers_by_name(url: str, *, agent: str, version: str) -> bool:
    """Ask whoever listens for their name."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_PROBE_WITHIN_S)
    try:
        connection.request("GET", "/healthz")
        answered = connection.getresponse()
        return answered.status == http.client.OK and json.loads(answered.read()) == {"agent": agent, "version": version}
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()


class ClusterArms:
    """Starts and stops arms as Deployments. See `goldgate.ports.delivery.Arms`.

    Args:
        cluster: The namespace that arms are in.
        order: What each is made from. Arms that are there and were made from something else are made anew, pod by
            pod, at the first look: so a new image or setting reaches them with the router's own.
        answers: Asks at an address for an agent and a version by name; once, before traffic goes to a new address.
        monotonic_s: Seconds that never go back.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        order: ArmOrder,
        answers: Callable[..., bool] = answers_by_name,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = cluster.client
        self._namespace = cluster.namespace
        self._order = order
        self._answers = answers
        self._monotonic_s = monotonic_s
        self._seen: tuple[Mapping[str, _Arm], float] | None = None
        self._reached: dict[str, tuple[str, str]] = {}
        self._is_renewed = False

    def ensure(self, agent: str, version: str) -> None:
        """Have an arm started; returns at once. One whose Service is missing gets it again."""
        arm = self._look().get(arm_name(agent, version))
        if arm is None or (arm.is_ready and arm.address is None):
            self._apply(agent, version)

    def address(self, agent: str, version: str) -> str | None:
        """Base URL of an arm that has a ready pod and has answered by its name, else None."""
        name = arm_name(agent, version)
        arm = self._look().get(name)
        if arm is None or not arm.is_ready or arm.address is None:
            self._reached.pop(name, None)
            return None
        if self._reached.get(name) != (arm.uid, arm.address):
            if not self._answers(arm.address, agent=agent, version=version):
                return None
            self._reached[name] = (arm.uid, arm.address)
        return arm.address

    def stop(self, agent: str, version: str) -> None:
        """Have an arm ended; returns at once. Its pods answer what is under way; its Service goes with it."""
        with _told(doing=f"end the arm {agent}@{version}"), _unless_absent():
            self._client.delete(Deployment, arm_name(agent, version), cascade=CascadeType.BACKGROUND)
        self._seen = None

    def running(self) -> Sequence[tuple[str, str]]:
        """Name all arms."""
        arms = self._look()
        if not self._is_renewed:
            for arm in arms.values():
                if arm.order != _order_of(deployment(arm.agent, arm.version, order=self._order)):
                    self._apply(arm.agent, arm.version)
            self._is_renewed = True
        return [(arm.agent, arm.version) for arm in arms.values()]

    def _apply(self, agent: str, version: str) -> None:
        """Have it be as ordered, whoever wrote it before."""
        with _told(doing=f"make the arm {agent}@{version}"):
            made = self._put(deployment(agent, version, order=self._order))
            uid, is_headless = made["metadata"]["uid"], self._order.is_headless
            self._put(service(agent, version, owner_uid=uid, is_headless=is_headless))
        self._seen = None

    def _put(self, manifest: dict[str, Any]) -> dict[str, Any]:
        wanted: Any = from_dict(manifest)
        return dict(self._client.apply(wanted, field_manager=FIELD_MANAGER, force=True).to_dict())

    def _look(self) -> Mapping[str, _Arm]:
        now_s = self._monotonic_s()
        if self._seen is not None and now_s < self._seen[1]:
            return self._seen[0]
        with _told(doing=f"list the arms of namespace {self._namespace}"):
            deployments = [one for one in self._list(Deployment) if _is_arm(one)]
            addresses = self._addresses()
        arms = {arm.name: arm for arm in (_arm(one, addresses) for one in deployments)}
        self._seen = (arms, now_s + _LOOK_KEPT_S)
        return arms

    def _addresses(self) -> dict[str, str]:
        """Find where each arm is to be asked: its Service, or the first pod of one that has no address of its own."""
        ips = {one["metadata"]["name"]: str(one["spec"].get("clusterIP", "")) for one in self._list(Service)}
        found = {name: _url(ip) for name, ip in ips.items() if ip not in {"", _HEADLESS}}
        if _HEADLESS in ips.values():
            found |= {name: _url(pod) for name, pod in self._ready_pods().items() if ips.get(name) == _HEADLESS}
        return found

    def _ready_pods(self) -> dict[str, str]:
        ready: dict[str, list[str]] = {}
        for piece in self._list(EndpointSlice):
            for endpoint in piece.get("endpoints") or []:
                if endpoint.get("conditions", {}).get("ready"):
                    ready.setdefault(piece["metadata"]["labels"][ARM_LABEL], []).extend(endpoint["addresses"])
        return {name: min(addresses) for name, addresses in ready.items() if addresses}

    def _list(self, kind: Any) -> list[dict[str, Any]]:
        return [one.to_dict() for one in self._client.list(kind, labels={ARM_LABEL: None, **ARMS})]


def _order_of(manifest: Mapping[str, Any]) -> str:
    return str(manifest["metadata"]["annotations"].get(ORDER_ANNOTATION, ""))


def _is_arm(found: Mapping[str, Any]) -> bool:
    """Say whether a Deployment is one of ours, and stays."""
    metadata = found["metadata"]
    return {AGENT_ANNOTATION, VERSION_ANNOTATION} <= metadata.get("annotations", {}).keys() and (
        metadata.get("deletionTimestamp") is None
    )


def _arm(found: Mapping[str, Any], addresses: Mapping[str, str]) -> _Arm:
    metadata = found["metadata"]
    return _Arm(
        name=metadata["name"],
        agent=metadata["annotations"][AGENT_ANNOTATION],
        version=metadata["annotations"][VERSION_ANNOTATION],
        order=_order_of(found),
        uid=metadata["uid"],
        is_ready=found.get("status", {}).get("readyReplicas", 0) > 0,
        address=addresses.get(metadata["name"]),
    )


def _url(host: str) -> str:
    return f"http://[{host}]:{ARM_PORT}" if ":" in host else f"http://{host}:{ARM_PORT}"


@contextmanager
def _told(*, doing: str) -> Iterator[None]:
    try:
        yield
    except httpx2.HTTPError as error:
        raise refusal(error, doing=doing) from error


@contextmanager
def _unless_absent() -> Iterator[None]:
    try:
        yield
    except httpx2.HTTPError as error:
        if not is_absent(error):
            raise
