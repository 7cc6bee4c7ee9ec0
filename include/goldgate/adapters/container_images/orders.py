"""One image to build: named by everything that it is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from goldgate.adapters.container_images.contexts import read_context, stage
from goldgate.adapters.container_images.programs import Ran, told
from goldgate.contracts.release import ImageUnavailable
from goldgate.domain.digest import Digest, digest_bytes, digest_json
from goldgate.domain.errors import PermanentError, TransientError

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
    """One image to build. It holds what is built, so that nothing of it changes once it is named."""

    files: Mapping[str, bytes]
    dockerfile: bytes
    reference: str
    base: str
    labels: Mapping[str, str]
    inputs: Digest

    def lay_out(self, folder: Path) -> "LaidOut":
        """Write what a builder reads into a new folder."""
        laid_out = LaidOut(context=folder / "context", dockerfile=folder / "dockerfile" / "Dockerfile")
        folder.mkdir()
        stage(self.files, laid_out.context)
        stage({laid_out.dockerfile.name: self.dockerfile}, laid_out.dockerfile.parent)
        return laid_out


@dataclass(frozen=True, kw_only=True)
class LaidOut:
    """Where a builder finds what it reads."""

    context: Path
    dockerfile: Path
    """Alone in its folder: no ignore file beside it leaves out what was let in."""


def order_of(
    context: Path, dockerfile: Path, *, name: str, labels: Mapping[str, str], base: Base, how: Sequence[str]
) -> Order:
    """Name an image by everything that it is made of.

    Raises:
        PermanentError: The ignore file of the Dockerfile is not as it must be, or lets a link in.
    """
    files = read_context(context, dockerfile)
    recipe = dockerfile.read_bytes()
    labels = {**base.labels, **labels}
    inputs = digest_json(
        {
            "files": {inside: digest_bytes(content) for inside, content in files.items()},
            "dockerfile": digest_bytes(recipe),
            "base": [base.name, base.digest],
            "how": list(how),
            "name": name,
            "labels": dict(labels),
        }
    )
    reference = f"localhost/{name}:{inputs[:12]}"
    return Order(files=files, dockerfile=recipe, reference=reference, base=base.name, labels=labels, inputs=inputs)


def secret_options(env: Mapping[str, str]) -> list[str]:
    """Have the pip.conf of an environment, if there is one, mounted while pip runs.

    Raises:
        PermanentError: It is not there, or builders cannot be told of it.
    """
    path = env.get(PIP_CONF_ENV)
    if not path:
        return []
    if "," in path or not Path(path).is_file():
        raise PermanentError(
            f"Found `{path}` in {PIP_CONF_ENV}; expected a pip.conf that is there, by a path without a comma."
        )
    return [f"--secret=id=pip.conf,src={path}"]


def failure_of(built: Ran, *, builder: str, reference: str) -> ImageUnavailable | None:
    """Judge how a build ended.

    Returns:
        Why there is no image; None if there is one.

    Raises:
        TransientError: It was ended by a signal, or took too long: that says nothing about the image.
    """
    if built.was_cut_short:
        raise TransientError(
            f"Found that {builder} ended with {built.code} before `{reference}` was built; expected it to run to its "
            f"end within {BUILD_WITHIN_S:g} s: {told(built.output, lines=1)}. Build again."
        )
    if built.code != 0:
        return ImageUnavailable(reason=f"{builder} could not build `{reference}`: {told(built.output)}")
    return None
