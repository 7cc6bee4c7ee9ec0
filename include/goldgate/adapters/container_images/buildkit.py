"""Container images by a BuildKit that runs elsewhere, such as in a pod: `BUILDKIT_HOST` says where.

What is built goes to a registry at once, because the builder's own store is out of reach. Nothing is remembered here:
BuildKit knows by itself what it has built before. `buildctl` understands `tcp://host:port`, and
`kube-pod://NAME?namespace=N`, which goes by `kubectl exec` and needs no open port.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from goldgate.adapters.container_images.contexts import stage
from goldgate.adapters.container_images.orders import (
    BASE_ENV,
    BUILD_WITHIN_S,
    DEFAULT_BASE,
    PIP_CONF_ENV,
    REGISTRY_ENV,
    Base,
    Order,
    order_of,
)
from goldgate.adapters.container_images.programs import Run, run_program, told
from goldgate.adapters.container_images.registries import Registry
from goldgate.contracts.release import ImageBuilt, ImageUnavailable
from goldgate.domain.errors import PermanentError, TransientError

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
            PermanentError: There is no registry to push to, or the ignore file is not as it must be.
            TransientError: The client was ended by a signal, or took too long.
        """
        address = self._env.get(REGISTRY_ENV)
        if not address:
            raise PermanentError(
                f"Found {HOST_ENV}, but no {REGISTRY_ENV}; expected the registry that a builder elsewhere pushes to, "
                "as `host[:port]/path`. Set it, or unset the other."
            )
        registry = Registry.parse(address)
        order = order_of(context, dockerfile, name=name, labels=labels, base=_base(self._env), how=(_NAME,))
        target = f"{registry.path}/{order.reference.removeprefix('localhost/')}"
        with TemporaryDirectory(prefix="goldgate-image-") as temporary:
            staged, metadata = Path(temporary) / "context", Path(temporary) / "metadata.json"
            stage(order.files, staged)
            options = self._options(order, staged, target=target, is_plain=registry.is_plain)
            command = ["buildctl", "build", *options, "--metadata-file", str(metadata)]
            built = self._run(command, self._env, BUILD_WITHIN_S)
            if built.was_cut_short:
                raise TransientError(
                    f"Found that buildctl ended with {built.code} before `{target}` was built; expected it to run to "
                    f"its end within {BUILD_WITHIN_S:g} s: {told(built.output, lines=1)}. Build again."
                )
            if built.code != 0:
                return ImageUnavailable(reason=f"buildctl could not build `{target}`: {told(built.output)}")
            digest = _digest(metadata)
        if digest is None:
            return ImageUnavailable(reason=f"buildctl built `{target}`, but does not tell its digest")
        pushed = f"{target.rpartition(':')[0]}@{digest}"
        return ImageBuilt(builder=_NAME, reference=target, digest=digest, reused=False, pushed=pushed)

    def _options(self, order: Order, staged: Path, *, target: str, is_plain: bool) -> Sequence[str]:
        pip_conf = self._env.get(PIP_CONF_ENV)
        # Files get the time of the epoch too, so that the same inputs are the same image.
        output = f"type=image,name={target},push=true,oci-mediatypes=true,rewrite-timestamp=true"
        return [
            "--frontend=dockerfile.v0",
            f"--local=context={staged}",
            f"--local=dockerfile={order.dockerfile.resolve().parent}",
            f"--opt=filename={order.dockerfile.name}",
            f"--opt=build-arg:BASE={order.base}",
            "--opt=build-arg:SOURCE_DATE_EPOCH=0",
            *(f"--opt=label:{key}={value}" for key, value in sorted(order.labels.items())),
            *([f"--secret=id=pip.conf,src={pip_conf}"] if pip_conf else []),
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
    if not metadata.exists():
        return None
    digest = json.loads(metadata.read_text(encoding="utf-8")).get("containerimage.digest")
    return digest if isinstance(digest, str) and digest.startswith("sha256:") else None
