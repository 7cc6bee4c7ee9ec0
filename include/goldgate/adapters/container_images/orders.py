"""One image to build: named by everything that it is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from goldgate.adapters.container_images.contexts import files_of
from goldgate.domain.digest import Digest, digest_bytes, digest_json

DEFAULT_BASE: Final = "docker.io/library/python:3.11-slim-bookworm"
"""A tag, so that a first build works anywhere; `GOLDGATE_IMAGE_BASE` pins one by digest, and a release should."""

BASE_ENV: Final = "GOLDGATE_IMAGE_BASE"
PIP_CONF_ENV: Final = "GOLDGATE_IMAGE_PIP_CONF"
"""A pip.conf for the build: a mirror, a login. It is mounted while pip runs, and is in no layer."""
REGISTRY_ENV: Final = "GOLDGATE_IMAGE_REGISTRY"
BUILD_WITHIN_S: Final = 900.0


@dataclass(frozen=True, kw_only=True)
class Base:
    """What an image is built on."""

    name: str
    digest: str | None
    """As the builder knows it; None if nobody does, and for `scratch`."""
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Order:
    """One image to build."""

    files: Mapping[str, Path]
    dockerfile: Path
    reference: str
    base: str
    labels: Mapping[str, str]
    inputs: Digest


def order_of(
    context: Path, dockerfile: Path, *, name: str, labels: Mapping[str, str], base: Base, how: Sequence[str]
) -> Order:
    """Name an image by everything that it is made of.

    Raises:
        PermanentError: The ignore file of the Dockerfile is not as it must be.
    """
    files = files_of(context, dockerfile)
    labels = {**base.labels, **labels}
    inputs = digest_json(
        {
            "files": {inside: digest_bytes(path.read_bytes()) for inside, path in files.items()},
            "dockerfile": digest_bytes(dockerfile.read_bytes()),
            "base": [base.name, base.digest],
            "how": list(how),
            "name": name,
            "labels": dict(labels),
        }
    )
    reference = f"localhost/{name}:{inputs[:12]}"
    return Order(files=files, dockerfile=dockerfile, reference=reference, base=base.name, labels=labels, inputs=inputs)
