"""Bundles in a cluster: archives that lie in parts, found by the digest of the bundle alone.

Whoever works on a run needs no more than `get` on parts, and trusts none of them: what was unpacked has to have the
digest that the run recorded, or that its Agent names.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from goldgate.agent.bundle_archive import pack_bundle, unpack_bundle
from goldgate.contracts.base import API_VERSION
from goldgate.contracts.bundle import BundleError
from goldgate.contracts.cluster import (
    AGENT_LABEL,
    BUNDLE_ANNOTATION,
    ENV_ANNOTATION,
    ROOT_LABEL,
    RUN_LABEL,
    Part,
    PartSpec,
    as_written,
)
from goldgate.contracts.documents import parse
from goldgate.contracts.env_references import env_from_of
from goldgate.contracts.resource_parts import EnvName, FromEnv
from goldgate.domain.digest import digest_bytes, short
from goldgate.domain.errors import TransientError
from goldgate.entrypoints.agent_resources import env_of_bundle, env_written_on, written_env
from goldgate.ports.resources import Applied, Document, Resources

PIECE_CHARS: Final = 180_000
"""Of an archive, in one part: `kubectl apply` writes each object into an annotation of it, of 262,144 bytes at most."""
_ADDRESS_CHARS: Final = 40
"""Of a digest, as git has it: with a word and a number it fits into the 63 letters of a name."""


def parts_of_agent(bundle: Path, *, digest: str, agent: str) -> list[Document]:
    """Write the parts of a bundle that an Agent names."""
    metadata = {"labels": {AGENT_LABEL: agent}, "annotations": _told_of(bundle, digest=digest)}
    return _parts(pack_bundle(bundle), place=_place(digest), metadata=metadata)


def parts_of_run(bundle: Path, *, digest: str, run: Document) -> list[Document]:
    """Write the parts of a bundle that one run alone was begun by; they go when the run goes."""
    name = run["metadata"]["name"]
    owner = {"apiVersion": run["apiVersion"], "kind": run["kind"], "name": name, "uid": run["metadata"]["uid"]}
    metadata = {
        "labels": {RUN_LABEL: name},
        "annotations": _told_of(bundle, digest=digest),
        "ownerReferences": [{**owner, "controller": False, "blockOwnerDeletion": False}],
    }
    return _parts(pack_bundle(bundle), place=_place_of_run(digest, name), metadata=metadata)


def store_parts(parts: Sequence[Document], *, resources: Resources) -> Applied:
    """Lay parts down; what lies there already stays, and what is of another archive is replaced."""
    outcome = Applied.UNCHANGED
    for part in parts:
        name = part["metadata"]["name"]
        if resources.create(part):
            outcome = Applied.CREATED if outcome is Applied.UNCHANGED else outcome
            continue
        found = resources.get("Part", name)
        if found is None or found["spec"] != part["spec"]:
            resources.remove("Part", name)  # a part is never changed: whoever reads it holds it to its digest
            resources.create(part)
            outcome = Applied.CONFIGURED
    return outcome


def fetch_bundle(digest: str, *, run: str, resources: Resources, into: Path) -> Path:
    """Bring a bundle to this machine, from the parts of its agent or of the run that was begun by it.

    Args:
        digest: Of the bundle.
        run: Name of the run that needs it.
        resources: Where it lies.
        into: It becomes `into/<digest>`; one that is there is not fetched.

    Raises:
        TransientError: It is not there, or not whole.
        BundleError: What lies there is not it.
    """
    if (into / digest).is_dir():
        return into / digest
    for place in (_place(digest), _place_of_run(digest, run)):
        archive = _archive_at(place, resources=resources)
        if archive is not None:
            return unpack_bundle(archive, into=into, digest=digest)
    raise TransientError(
        f"Found no part `{_place(digest)}-0` of bundle {short(digest)}, by which the run is worked on; expected the "
        "parts that `goldgate agent apply` lays down. Apply that agent again, or cancel the run and start it anew."
    )


@dataclass(frozen=True, kw_only=True)
class StoredEnv:
    """What a stored bundle reads from Secrets, as its parts say it."""

    env: Mapping[EnvName, FromEnv]
    is_vouched_for: bool
    """Somebody who may apply agents laid it down, for this very agent. What a pod laid down may name any Secret."""


def env_of_stored(digest: str, *, run: str, agent: str, resources: Resources) -> StoredEnv | None:
    """Name what a stored bundle reads from Secrets, by its parts alone; None if it is not there.

    Args:
        digest: Of the bundle, as the run recorded it: a word of the pod that works on it.
        run: Name of the run.
        agent: Whose bundle it is to be.
        resources: Where it lies.

    Raises:
        PermanentError: What the parts say of it was damaged.
    """
    for place in (_place(digest), _place_of_run(digest, run)):
        part = resources.get("Part", f"{place}-0")
        if part is not None:
            labels = part["metadata"].get("labels") or {}
            is_vouched_for = labels.get(AGENT_LABEL) == agent and ROOT_LABEL not in labels
            return StoredEnv(env=env_from_of(*env_written_on(part)), is_vouched_for=is_vouched_for)
    return None


def _told_of(bundle: Path, *, digest: str) -> dict[str, str]:
    return {BUNDLE_ANNOTATION: digest, ENV_ANNOTATION: written_env(env_of_bundle(bundle))}


def _parts(archive: bytes, *, place: str, metadata: Mapping[str, Any]) -> list[Document]:
    text = base64.b64encode(archive).decode("ascii")
    pieces = [text[at : at + PIECE_CHARS] for at in range(0, len(text), PIECE_CHARS)]
    digest = digest_bytes(text.encode("ascii"))
    return [
        {
            "apiVersion": API_VERSION,
            "kind": "Part",
            "metadata": {"name": f"{place}-{index}", **metadata},
            "spec": {"digest": digest, "index": index, "count": len(pieces), "text": piece},
        }
        for index, piece in enumerate(pieces)
    ]


def _archive_at(place: str, *, resources: Resources) -> bytes | None:
    first = _part(f"{place}-0", resources=resources)
    if first is None:
        return None
    text = "".join([first.text, *_others(place, first, resources=resources)])
    if digest_bytes(text.encode()) != first.digest:
        raise BundleError(f"Found another text in the parts `{place}-...` than their digest says; apply again.")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise BundleError(f"Found no archive in the parts `{place}-...` ({error}); apply again.") from error


def _others(place: str, first: PartSpec, *, resources: Resources) -> Iterator[str]:
    for index in range(1, first.count):
        part = _part(f"{place}-{index}", resources=resources)
        if part is None or part.digest != first.digest:
            raise TransientError(
                f"Found no part `{place}-{index}` that belongs to `{place}-0`; expected {first.count} of them. It is "
                "being laid down, or was removed: `goldgate agent apply` lays it down again."
            )
        yield part.text


def _part(name: str, *, resources: Resources) -> PartSpec | None:
    found = resources.get("Part", name)
    return None if found is None else parse(as_written(found), Part, where=f"Part `{name}`").spec


def _place(digest: str) -> str:
    return f"bundle-{digest[:_ADDRESS_CHARS]}"


def _place_of_run(digest: str, run: str) -> str:
    return f"run-{digest_bytes(f'{run}/{digest}'.encode())[:_ADDRESS_CHARS]}"
