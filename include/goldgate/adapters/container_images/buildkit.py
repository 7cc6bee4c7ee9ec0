"""Container images by a BuildKit that runs elsewhere, such as in a pod: `BUILDKIT_HOST` says where.

What is built goes to a registry at once, because the builder's own store is out of reach. Nothing is remembered here:
BuildKit knows by itself what it has built before. `buildctl` understands `tcp://host:port`, and
`kube-pod://NAME?namespace=N`, which goes by `kubectl exec` and needs no open port.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from goldgate.adapters.container_images.orders import (
    BASE_ENV,
    BUILD_WITHIN_S,
    DEFAULT_BASE,
    REGISTRY_ENV,
    Base,
    LaidOut,
    Order,
    failure_of,
    order_of,
    secret_options,
)
from goldgate.adapters.container_images.programs import Run, digest_in, run_program
from goldgate.adapters.container_images.registries import Registry
from goldgate.contracts.release import ImageBuilt, ImageUnavailable
from goldgate.domain.errors import PermanentError

HOST_ENV: Final = "BUILDKIT_HOST"
_NAME: Final = "buildkit"


class BuildkitImages:
    """Builds images elsewhere and has them pushed. See `goldgate.ports.delivery.ImageBuilder`."""

    def __init__(self, *, env: Mapping[str, str] = os.environ, run: Run = run_program) -> None:
        """Build where `BUILDKIT_HOST` says, with `GOLDGATE_IMAGE_BASE`, `_PIP_CONF` and `_REGISTRY`."""
        self._env = env
        self._run = run

    def build(
        self, *, context: Path, dockerfile: Path, name: str, labels: dict[str, str]
    ) -> ImageBuilt | ImageUnavailable:
        """Build and push, or say why not.

        Raises:
            PermanentError: There is no registry to push to, or the ignore file or the pip.conf is not as it must be.
            TransientError: The client was ended by a signal, or took too long.
        """
        registry = self._registry()
        order = order_of(context, dockerfile, name=name, labels=labels, base=_base(self._env), how=(_NAME,))
        target = f"{registry.path}/{order.reference.removeprefix('localhost/')}"
        with TemporaryDirectory(prefix="goldgate-image-") as temporary:
            laid_out, metadata = order.lay_out(Path(temporary) / "order"), Path(temporary) / "metadata.json"
            options = self._options(order, laid_out, target=target, is_plain=registry.is_plain)
            command = ["buildctl", "build", *options, "--metadata-file", str(metadata)]
            built = self._run(command, self._env, BUILD_WITHIN_S)
            if failure := failure_of(built, builder="buildctl", reference=target):
                return failure
            digest = _digest(metadata)
        if digest is None:
            return ImageUnavailable(reason=f"buildctl built `{target}`, but does not tell its digest")
        pushed = f"{target.rpartition(':')[0]}@{digest}"
        return ImageBuilt(builder=_NAME, reference=target, digest=digest, reused=False, pushed=pushed)

    def _registry(self) -> Registry:
        address = self._env.get(REGISTRY_ENV)
        if not address:
            raise PermanentError(
                f"Found {HOST_ENV}, but no {REGISTRY_ENV}; expected the registry that a builder elsewhere pushes to, "
                "as `host[:port]/path`. Set it, or unset the other."
            )
        return Registry.parse(address)

    def _options(self, order: Order, laid_out: LaidOut, *, target: str, is_plain: bool) -> list[str]:
        # Files get the time of the epoch too, so that the same inputs are the same image.
        output = f"type=image,name={target},push=true,oci-mediatypes=true,rewrite-timestamp=true"
        return [
            "--frontend=dockerfile.v0",
            f"--local=context={laid_out.context}",
            f"--local=dockerfile={laid_out.dockerfile.parent}",
            f"--opt=filename={laid_out.dockerfile.name}",
            f"--opt=build-arg:BASE={order.base}",
            "--opt=build-arg:SOURCE_DATE_EPOCH=0",
            *(f"--opt=label:{key}={value}" for key, value in sorted(order.labels.items())),
            *secret_options(self._env),
            f"--output={output}{',registry.insecure=true' if is_plain else ''}",
        ]


def _base(env: Mapping[str, str]) -> Base:
    """Tell the base as far as it is known here: only the builder sees what a tag stands for."""
    name = env.get(BASE_ENV) or DEFAULT_BASE
    digest = name.partition("@")[2] or None
    labels = {"org.opencontainers.image.base.name": name}
    if digest:
        labels["org.opencontainers.image.base.digest"] = digest
    return Base(name=name, digest=digest, labels=labels)


def _digest(metadata: Path) -> str | None:
    try:
        told = json.loads(metadata.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return digest_in(str(told.get("containerimage.digest"))) if isinstance(told, dict) else None
