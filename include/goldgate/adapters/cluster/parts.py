"""Texts in objects of kind Part: cut so that each is far below what etcd takes, named by their digest.

A part is found by the digest of the whole text, whoever stored it; its name also says whose it is and what for.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from pydantic import TypeAdapter, ValidationError

from goldgate.adapters.cluster.connection import Cluster
from goldgate.adapters.cluster.failures import Patience
from goldgate.adapters.cluster.objects import Object, Objects
from goldgate.contracts.base import API_VERSION
from goldgate.contracts.cluster import PART_CHARS, RUN_LABEL, PartSpec, StoredText
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.parts import PartMissingError

DIGEST_LABEL: Final = "goldgate.dev/text"
"""On a part: the digest of the whole text, as much of it as a label may hold."""
USE_LABEL: Final = "goldgate.dev/use"

PART_BYTES: Final = 1_000_000
"""As the API server writes the text: two thirds of the 1.5 MiB that etcd takes in one request."""

_LABEL_CHARS: Final = 63
_PREFIX_CHARS: Final = 40
_SHORT: Final = 16
_SPEC: Final = TypeAdapter(PartSpec)


class ClusterPartStore:
    """Parts in one namespace; see `goldgate.ports.parts.PartStore`."""

    def __init__(self, cluster: Cluster, *, patience: Patience = Patience()) -> None:  # noqa: B008 - frozen
        """Open the parts of a namespace.

        Args:
            cluster: The namespace.
            patience: How long requests are tried again.
        """
        self._patience = patience
        self._parts = Objects(cluster, kind="Part", plural="parts", patience=patience)
        self._runs = Objects(cluster, kind="TaskRun", plural="taskruns", patience=patience)

    def put(self, text: str, *, owner_run: str | None = None, use: str = "text") -> StoredText:
        """Store a text."""
        stored, pieces = _described(text)
        owners = [] if owner_run is None else [self._owner(owner_run)]
        for index, piece in enumerate(pieces):
            spec = PartSpec(digest=stored.digest, index=index, count=stored.parts, text=piece)
            name = part_name(stored.digest, index, owner_run=owner_run, use=use)
            labels = {DIGEST_LABEL: stored.digest[:_LABEL_CHARS], USE_LABEL: use}
            if owner_run is not None:
                labels[RUN_LABEL] = owner_run
            self._make(name, spec, labels=labels, owners=owners)
        return stored

    def described(self, text: str) -> StoredText:
        """Tell how a text is found once it is stored."""
        return _described(text)[0]

    def get(self, stored: StoredText) -> str:
        """Read a text. Whoever may store may claim any digest: each set of parts that says it is the text is tried."""
        laid = self._laid_down(stored)
        together = {index: piece for pieces in laid.values() for index, piece in pieces.items()}
        if missing := [str(index) for index in range(stored.parts) if index not in together]:
            raise PartMissingError(
                f"Found {len(together)} of {stored.parts} parts of the text `{stored.digest[:_SHORT]}` "
                f"({stored.size_bytes} bytes); missing: {', '.join(missing)}. Restore them, or start anew what they "
                "belong to."
            )
        measured = ("", 0)
        for pieces in (*(each for each in laid.values() if len(each) == stored.parts), together):
            text = "".join(pieces[index] for index in range(stored.parts))
            if (measured := _measured(text)) == (stored.digest, stored.size_bytes):
                return text
        raise PartMissingError(
            f"Found a text of digest `{measured[0][:_SHORT]}` and {measured[1]} bytes in the parts of "
            f"`{stored.digest[:_SHORT]}`, of {stored.size_bytes} bytes. Somebody changed them: restore them."
        )

    def _laid_down(self, stored: StoredText) -> dict[str, dict[int, str]]:
        """Find the pieces of a text, by whoever laid them down: their names but for the number."""
        laid: dict[str, dict[int, str]] = {}
        # Few at a time: each may be a megabyte, and the API server builds an answer in memory.
        for part in self._parts.all({DIGEST_LABEL: stored.digest[:_LABEL_CHARS]}, page=4):
            spec, name = _spec_of(part), str(part["metadata"]["name"])
            if (spec.digest, spec.count) == (stored.digest, stored.parts) and spec.index < stored.parts:
                # A name that belies its piece is a set of its own, and takes no place in another's.
                laid.setdefault(name.removesuffix(f"-{spec.index}"), {})[spec.index] = spec.text
        return laid

    def remove(self, stored: StoredText, *, owner_run: str | None = None, use: str = "text") -> None:
        """Forget a text."""
        for index in range(stored.parts):
            self._parts.delete(part_name(stored.digest, index, owner_run=owner_run, use=use))

    def sweep(self, is_left: Callable[[str], bool], *, before: datetime) -> int:
        """Forget texts that no TaskRun owns and nobody needs any more."""
        left = [
            metadata
            for metadata in self._parts.all_metadata()
            if (use := (metadata.get("labels") or {}).get(USE_LABEL)) is not None
            and is_left(use)
            and not metadata.get("ownerReferences")
            and datetime.fromisoformat(metadata["creationTimestamp"]) < before
        ]
        for metadata in left:
            self._parts.delete(metadata["name"], uid=metadata["uid"])
        return len(left)

    def kept(self, run: str) -> list["KeptPart"]:
        """List the parts that go with a TaskRun."""
        return [_kept(metadata) for metadata in self._parts.all_metadata({RUN_LABEL: run})]

    def forget(self, part: "KeptPart") -> None:
        """Remove one part, if it is still the one that was listed."""
        self._parts.delete(part.name, uid=part.uid)

    def _owner(self, run: str) -> Object:
        metadata = self._runs.metadata(run)
        if metadata is None:
            raise PermanentError(f"Found no TaskRun `{run}`; expected the one that a text is stored for.")
        return owner_of(run, metadata["uid"])

    def _make(self, name: str, spec: PartSpec, *, labels: Mapping[str, str], owners: list[Object]) -> None:
        metadata = {"name": name, "labels": dict(labels), "ownerReferences": owners}
        part = {"apiVersion": API_VERSION, "kind": "Part", "metadata": metadata, "spec": spec.model_dump(mode="json")}
        attempts, was_deleted = self._patience.attempts(), False
        while self._parts.create(part) is None:
            found = self._parts.get(name)
            if found is None:
                continue
            if _spec_of(found) != spec:
                raise PartMissingError(
                    f"Found another text in Part `{name}`; expected part {spec.index} of `{spec.digest[:_SHORT]}`. "
                    "Somebody changed it: delete that Part and try again."
                )
            if _owner_uids(found["metadata"]) == {owner["uid"] for owner in owners}:
                return
            # It belonged to a TaskRun of the same name that is gone, and would soon follow it.
            if was_deleted and not attempts.paused():
                raise TransientError(
                    f"Part `{name}` of a TaskRun that is gone is still there, though it was deleted: something holds "
                    "it back (`metadata.finalizers`). Take that away, or wait for whoever put it there."
                )
            self._parts.delete(name, uid=found["metadata"]["uid"])
            was_deleted = True


@dataclass(frozen=True, kw_only=True)
class KeptPart:
    """A part that goes with a TaskRun, by its metadata."""

    name: str
    uid: str
    use: str
    digest: str
    """Of the whole text, as much of it as a label holds."""

    def is_of(self, stored: StoredText | None) -> bool:
        """Whether it is a piece of this text."""
        return stored is not None and self.digest == stored.digest[:_LABEL_CHARS]


def owner_of(run: str, uid: str) -> Object:
    """Name a TaskRun as the owner of something, which goes when it does."""
    return {"apiVersion": API_VERSION, "kind": "TaskRun", "name": run, "uid": uid}


def pieces_of(text: str) -> Iterator[str]:
    """Cut a text into pieces that fit into one object each; an empty text is one empty piece."""
    if not text:
        yield ""
    start = 0
    while start < len(text):
        end = start + PART_CHARS
        while written_bytes(piece := text[start:end]) > PART_BYTES:
            end = start + len(piece) // 2
        yield piece
        start += len(piece)


def written_bytes(text: str) -> int:
    """Tell at most how many bytes the API server writes for a text: quotes take two, and `<`, `>` and `&` take six."""
    raw = text.encode()
    doubled = raw.count(b'"') + raw.count(b"\\")
    escaped = sum(raw.count(sign) for sign in (b"<", b">", b"&", b"\xe2\x80\xa8", b"\xe2\x80\xa9"))
    controls = len(raw) - len(raw.translate(None, delete=bytes(range(32)) + b"\x7f"))
    return len(raw) + doubled + 5 * (escaped + controls)


def part_name(digest: str, index: int, *, owner_run: str | None, use: str) -> str:
    """Name a part, in at most 63 letters: whose it is, what for, of what, which."""
    prefix = use if owner_run is None else f"{owner_run}-{use}"
    if len(prefix) > _PREFIX_CHARS:
        told_apart = sha256(prefix.encode()).hexdigest()[:8]
        prefix = f"{prefix[: _PREFIX_CHARS - 9].rstrip('-')}-{told_apart}"
    return f"{prefix}-{digest[:_SHORT]}-{index}"


def _described(text: str) -> tuple[StoredText, list[str]]:
    digest, size_bytes = _measured(text)
    pieces = list(pieces_of(text))
    return StoredText(digest=digest, size_bytes=size_bytes, parts=len(pieces)), pieces


def _measured(text: str) -> tuple[str, int]:
    raw = text.encode()
    return sha256(raw).hexdigest(), len(raw)


def _spec_of(part: Object) -> PartSpec:
    try:
        return _SPEC.validate_python(part.get("spec"))
    except ValidationError as error:
        raise PartMissingError(
            f"Found no piece of a text in Part `{part['metadata']['name']}`; expected one. Delete that Part."
        ) from error


def _owner_uids(metadata: Object) -> set[str]:
    return {owner["uid"] for owner in metadata.get("ownerReferences", [])}


def _kept(metadata: Object) -> KeptPart:
    labels = metadata.get("labels", {})
    return KeptPart(
        name=metadata["name"], uid=metadata["uid"], digest=labels.get(DIGEST_LABEL, ""), use=labels.get(USE_LABEL, "")
    )
