"""Pods by the Kubernetes API. Values of variables are never logged: only names and the server's words are told."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import GenericNamespacedResource, create_api_info

from goldgate.adapters.cluster.connection import Cluster
from goldgate.adapters.cluster.failures import (
    FAILURES,
    TAKEN_STATUS,
    Patience,
    denial,
    is_absent,
    is_passing,
    refusal,
    status_code,
)
from goldgate.adapters.cluster.pod_facts import CONTAINER, facts_of
from goldgate.adapters.cluster.pod_manifest import manifest_of
from goldgate.domain.errors import first_line
from goldgate.domain.runs.pods import PodFacts
from goldgate.ports.delivery import Clock
from goldgate.ports.pods import PodOrder, PodPostponedError, PodRefusedError, QuotaExceededError

SHORT: Final = Patience(within_s=5.0)
"""Whoever makes pods is asked again later anyhow."""

_NOT_OF_THE_POD: Final = frozenset({None, 401, 404})
"""No answer, nobody we are, no such namespace: that says nothing about what was ordered."""

_FORBIDDEN: Final = 403
_INTERNAL: Final = 500
_THERE: Final = "already exists"
"""Else a 409 is about the quota, which others change at the same time."""
_MISSING_RIGHT: Final = "cannot create resource"
_LISTS: Final = ("goldgate.dev/images", "goldgate.dev/secrets")
"""Annotations of a namespace, which somebody can add to: what pods may run there, and read."""

_MOST_SAID: Final = 1000

_REFUSALS: Final[Mapping[str, str]] = {
    "no PriorityClass with name": "Correct `priorityClass` of the PodSettings, or make that PriorityClass.",
    "RuntimeClass ": "Correct `runtimeClass` of the PodSettings, or make that RuntimeClass.",
    "usage per ": "Ask for what the LimitRange of the namespace allows, in `resources` of the PodSettings.",
    "failed quota": "Say in `resources` of the PodSettings what the quota of the namespace wants to be told.",
    "violates PodSecurity": (
        "As it is ordered it fits the level `restricted`: look what changes pods on their way, such as a webhook."
    ),
    "is being terminated": "Its namespace is being deleted, with the run: make it anew.",
}
"""What to do, by words of the API server's own checks. Policies bring their own advice."""
_ANY_REFUSAL: Final = "Correct the PodSettings, or the policy that refuses it."


class PodResource(GenericNamespacedResource):
    """A pod as the dict that it is on the wire: what is not read need not be decoded."""

    _api_info = create_api_info("", "v1", "Pod", "pods")


class ClusterPods:
    """The pods of one namespace. Implements `goldgate.ports.pods.Pods`."""

    def __init__(self, cluster: Cluster, *, clock: Clock, patience: Patience = SHORT) -> None:
        """Work with the pods of a namespace.

        Args:
            cluster: The namespace.
            clock: Tells how old a pod is.
            patience: How long requests are tried again.
        """
        self._client = cluster.client
        self._namespace = cluster.namespace
        self._clock = clock
        self._patience = patience

    def launch(self, order: PodOrder) -> None:
        """Make a pod, once."""
        manifest = manifest_of(order, namespace=self._namespace)
        attempts = self._patience.attempts()
        while True:
            try:
                self._client.create(PodResource.from_dict(manifest))
            except FAILURES as error:
                if status_code(error) == TAKEN_STATUS and _THERE in str(error):
                    self._require_ours(order)
                    return
                if (postponed := _postponed(error, order)) is not None:
                    raise postponed from error
                if not is_passing(error) and status_code(error) not in _NOT_OF_THE_POD:
                    raise _refused(error, order) from error
                if not attempts.may_go_on(error):
                    raise refusal(error, doing=f"make pod `{order.name}`") from error
            else:
                return

    def look(self, name: str, *, run_uid: str) -> PodFacts | None:
        """Tell how a run's pod is."""
        try:
            found = self._patience.ask(lambda: self._client.get(PodResource, name))
        except FAILURES as error:
            if is_absent(error):
                return None
            raise refusal(error, doing=f"read pod `{name}`") from error
        facts = facts_of(found, now=self._clock.now())
        return facts if facts.owner == run_uid else None

    def labelled(self, labels: Mapping[str, str]) -> list[PodFacts]:
        """Tell how all pods with these labels are."""
        wanted: Any = dict(labels)
        try:
            found = self._patience.ask(lambda: list(self._client.list(PodResource, labels=wanted)))
        except FAILURES as error:
            raise refusal(error, doing="list pods") from error
        return [facts_of(pod, now=self._clock.now()) for pod in found]

    def log(self, name: str, *, since: datetime | None = None) -> Iterator[str]:
        """Yield what the pod has said so far."""
        ago_s = None if since is None else max(int((self._clock.now() - since).total_seconds()) + 1, 1)
        try:
            yield from self._client.log(name, container=CONTAINER, since=ago_s, newlines=False)
        except ApiError:
            return  # it never began, or is gone
        except FAILURES as error:
            raise refusal(error, doing=f"read the log of pod `{name}`") from error

    def end(self, name: str) -> None:
        """Have a pod end within its grace."""
        try:
            self._patience.ask(lambda: self._client.delete(PodResource, name))
        except FAILURES as error:
            if not is_absent(error):
                raise refusal(error, doing=f"delete pod `{name}`") from error

    def _require_ours(self, order: PodOrder) -> None:
        if self.look(order.name, run_uid=order.run_uid) is None:
            raise PodPostponedError(
                f"A pod `{order.name}` of another run of that name is still there. It goes as soon as the cluster has "
                f"removed what that run left; else `kubectl delete pod {order.name}`."
            )


def _postponed(error: Exception, order: PodOrder) -> PodPostponedError | None:
    """Tell what time, or somebody else, can put right; None if it is something else."""
    said = first_line(error)
    if status_code(error) == TAKEN_STATUS:
        return PodPostponedError(f"others ask for pods at the same time: {said}")
    if status_code(error) == _INTERNAL and "failed calling webhook" in said:
        return PodPostponedError(f"an admission webhook does not answer: {said}")
    return _not_yet_allowed(error, order) if status_code(error) == _FORBIDDEN else None


def _not_yet_allowed(error: Exception, order: PodOrder) -> PodPostponedError | None:
    said, denied = first_line(error), denial(error)
    if "exceeded quota" in said:
        return QuotaExceededError(
            f"the quota of the namespace has no room for pod `{order.name}`: {said}. Raise the quota, end other pods, "
            "or ask for less in `resources` of the PodSettings."
        )
    if _MISSING_RIGHT in said:
        # A server that has just begun refuses so what it allows a moment later.
        return PodPostponedError(f"{said}. Give this account the right to create pods (include/deploy/rbac).")
    if "error looking up service account" in said:
        return PodPostponedError(f"{said}. Apply include/deploy, which makes it, or correct `serviceAccount`.")
    if denied is not None and any(each in denied for each in _LISTS):
        return PodPostponedError(f"{denied}.")
    return None


def _refused(error: Exception, order: PodOrder) -> PodRefusedError:
    said = str(error)[:_MOST_SAID].rstrip(". \n")
    advice = next((advice for words, advice in _REFUSALS.items() if words in said), _ANY_REFUSAL)
    return PodRefusedError(f"The cluster refuses pod `{order.name}`: {said}. {advice} Then start the run anew.")
