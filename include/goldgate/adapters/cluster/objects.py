"""The objects of one kind in one namespace, as dicts: what stores need of the API server and lightkube cannot say.

Answers can be asked for as metadata only, so that a run of 700 kB is not sent back with every renewal of its lease, and
an object is deleted only as the one that was looked at.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from lightkube.core.generic_client import GenericSyncClient
from lightkube.core.resource import ApiInfo
from lightkube.generic_resource import GenericNamespacedResource, GenericNamespacedStatus, create_api_info
from lightkube.types import PatchType

from goldgate.adapters.cluster.connection import Cluster
from goldgate.adapters.cluster.failures import (
    FAILURES,
    INVALID_STATUS,
    TAKEN_STATUS,
    Attempts,
    Patience,
    is_absent,
    refusal,
    status_code,
)
from goldgate.contracts.cluster import GROUP, VERSION
from goldgate.domain.errors import PermanentError

Object = dict[str, Any]
"""As the API server writes it."""
T = TypeVar("T")

_METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PAGE: Final = 500


class AbsentError(Exception):
    """There is no such object."""


class TakenError(Exception):
    """There is an object of that name already, or not the one that was meant."""


class UnfitPatchError(Exception):
    """A patch did not fit: one of its tests failed, or a path of it is not there. Nothing was written."""

    def __init__(self, *, lost_an_answer: bool) -> None:
        """Keep whether an earlier attempt of the same patch may have been carried out."""
        super().__init__("the patch did not fit")
        self.lost_an_answer = lost_an_answer


def expect(path: str, value: object) -> Object:
    """Write the condition of a JSON patch: nothing of it is carried out if another value stands there."""
    return {"op": "test", "path": path, "value": value}


def pointer(*keys: str) -> str:
    """Write a JSON pointer."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


class Objects:
    """The objects of one kind. For many threads. Every method raises `PermanentError` or `TransientError`."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        kind: str,
        plural: str,
        group: str = GROUP,
        version: str = VERSION,
        patience: Patience,
    ) -> None:
        """Name a kind of the API server.

        Args:
            cluster: The namespace.
            kind: As in `kind:`.
            plural: As in the address.
            group: Of the API; empty for the core.
            version: Of the API.
            patience: How long requests are tried again.
        """
        # Classes of our own: lightkube's registry takes each kind of the core once, and as its own.
        info = create_api_info(group, version, kind, plural)
        of_status = ApiInfo(info.resource, plural, ["patch"], parent=info.resource, action="status")
        self._main: Any = type(kind, (GenericNamespacedResource,), {"_api_info": info})
        self._status: Any = type(f"{kind}Status", (GenericNamespacedStatus,), {"_api_info": of_status})
        self._kind = kind
        self._labels = cluster.labels
        # lightkube's front door knows neither preconditions of a deletion nor answers of metadata alone.
        self._client: GenericSyncClient = cluster.client._client  # noqa: SLF001 - as above
        self._patience = patience

    def get(self, name: str) -> Object | None:
        """Read an object; None if there is none."""
        return self._found(name, headers=None)

    def metadata(self, name: str) -> Object | None:
        """Read the metadata of an object; None if there is none."""
        found = self._found(name, headers={"Accept": _METADATA})
        return None if found is None else found["metadata"]

    def all_metadata(self, labels: Mapping[str, str] | None = None) -> list[Object]:
        """Read the metadata of all objects with these labels."""
        return [found["metadata"] for found in self._listed(labels, headers={"Accept": _METADATA_LIST}, page=_PAGE)]

    def all(self, labels: Mapping[str, str] | None = None, *, page: int = _PAGE) -> list[Object]:
        """Read all objects with these labels, so many with each request."""
        return self._listed(labels, headers=None, page=page)

    def create(self, obj: Object) -> Object | None:
        """Make an object, and give its metadata.

        None: there is one of that name already, be it of an attempt whose answer was lost.
        """
        metadata = obj["metadata"]
        name = metadata["name"]
        if self._labels:
            obj = {**obj, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **self._labels}}}
        written, headers = self._main.from_dict(obj), {"Accept": _METADATA}
        request = partial(self._client.request, "post", self._main, obj=written, headers=headers)
        try:
            made: Object = self._asked(request, doing=f"create {self._kind} `{name}`")
        except TakenError:
            return None
        except AbsentError as error:
            raise PermanentError(
                f"The API server would not create {self._kind} `{name}`: {error}. Create the namespace, or correct "
                "GOLDGATE_NAMESPACE."
            ) from error
        of_it: Object = made["metadata"]
        return of_it

    def patch(
        self, name: str, operations: Sequence[Object], *, is_of_status: bool = False, patience: Patience | None = None
    ) -> Object:
        """Carry out a JSON patch, whole or not at all.

        Args:
            name: Of the object.
            operations: It must do no harm if it is carried out twice.
            is_of_status: It changes the status alone. Otherwise it cannot change it, but may test it.
            patience: Instead of that of all requests.

        Returns:
            The metadata after it.

        Raises:
            UnfitPatchError: Nothing was written.
            AbsentError: There is no such object.
        """
        resource = self._status if is_of_status else self._main
        return self._patched(name, list(operations), resource, PatchType.JSON, patience or self._patience)

    def merge(self, name: str, changes: Object) -> Object:
        """Merge changes into an object, whatever else it holds; see `patch`."""
        return self._patched(name, changes, self._main, PatchType.MERGE, self._patience)

    def delete(self, name: str, *, uid: str | None = None, version: str | None = None) -> bool:
        """Delete an object; what it owns follows. Nothing happens if there is none.

        Args:
            name: Of the object.
            uid: Only if it is this one.
            version: Only if it was not changed since it had this `resourceVersion`.

        Returns:
            False: it is another one, or was changed.
        """
        conditions = {key: value for key, value in {"uid": uid, "resourceVersion": version}.items() if value}

        def request() -> bool:
            asked = self._client.prepare_request("delete", self._main, name=name)
            asked.data = {"propagationPolicy": "Background", "preconditions": conditions}
            answer = self._client.send(self._client.build_adapter_request(asked))
            self._client.handle_response("delete", answer, asked)
            return True

        try:
            return self._asked(request, doing=f"delete {self._kind} `{name}`")
        except AbsentError:
            return True
        except TakenError:
            return False

    def _patched(self, name: str, change: object, resource: type, kind: PatchType, patience: Patience) -> Object:
        headers = {"Content-Type": kind.value, "Accept": _METADATA}
        attempts = patience.attempts()
        while True:
            try:
                done = self._client.request("patch", resource, name=name, obj=change, headers=dict(headers))
            except FAILURES as error:
                self._note(error, name, attempts)
            else:
                metadata: Object = done["metadata"]
                return metadata

    def _note(self, error: Exception, name: str, attempts: Attempts) -> None:
        """Raise what became of a patch, or return when it is to be tried again."""
        if is_absent(error):
            raise AbsentError(name) from error
        if _is_unfit(error):
            raise UnfitPatchError(lost_an_answer=attempts.lost_an_answer) from error
        # Others changed it each of the five times that the API server itself tried: no business of the patch.
        is_crowded = status_code(error) == TAKEN_STATUS
        if not (attempts.paused() if is_crowded else attempts.may_go_on(error)):
            raise refusal(error, doing=f"write {self._kind} `{name}`") from error

    def _found(self, name: str, *, headers: Mapping[str, str] | None) -> Object | None:
        copied = dict(headers) if headers else None
        request = partial(self._client.request, "get", self._main, name=name, headers=copied)
        try:
            found: Object = self._asked(request, doing=f"read {self._kind} `{name}`")
        except AbsentError:
            return None
        return found

    def _listed(
        self, labels: Mapping[str, str] | None, *, headers: Mapping[str, str] | None, page: int
    ) -> list[Object]:
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())

        def request() -> list[Object]:
            found: list[Object] = []
            following = None
            while True:
                asked = self._client.prepare_request(
                    "list",
                    self._main,
                    headers=dict(headers) if headers else None,
                    params={"labelSelector": selector or None, "limit": str(page), "continue": following},
                )
                answer = self._client.send(self._client.build_adapter_request(asked))
                # As one object: of an empty list the metadata come with null in place of the items.
                answered = self._client.handle_response("get", answer, asked)
                found += answered.get("items") or []
                following = answered["metadata"].get("continue")
                if not following:
                    return found

        return self._asked(request, doing=f"list {self._kind}s")

    def _asked(self, request: Callable[[], T], *, doing: str) -> T:
        """Ask with patience; raise `AbsentError` and `TakenError` for what the caller has an answer to."""
        try:
            return self._patience.ask(request)
        except FAILURES as error:
            if is_absent(error):
                raise AbsentError(str(error)) from error
            if status_code(error) == TAKEN_STATUS:
                raise TakenError(str(error)) from error
            raise refusal(error, doing=doing) from error
        except RecursionError as error:
            # `parameters.extra` of an LLM may hold any JSON: an API server takes it ten thousand levels deep.
            raise PermanentError(
                f"Found values in values, deeper than can be read, when it was tried to {doing}; expected some hundred "
                "levels at most. Apply it again without them."
            ) from error


def _is_unfit(error: Exception) -> bool:
    """Whether a patch could not be carried out. What is refused for its content names the object instead."""
    status = getattr(error, "status", None)
    return status_code(error) == INVALID_STATUS and (
        status is None or status.details is None or not status.details.kind
    )
