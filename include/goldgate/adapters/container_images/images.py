"""Container images, by whichever of buildah, podman and docker really works here.

A `docker` command may be a client with no engine behind it: each builder is asked to answer before it is believed.
The same inputs are known again, by their digests and that of the base, and are not built twice.
"""

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
    Order,
    failure_of,
    order_of,
    secret_options,
)
from goldgate.adapters.container_images.programs import BUILDERS, Builder, Run, digest_in, run_program, told
from goldgate.adapters.container_images.registries import NotPushedError, Registry
from goldgate.contracts.base import ContractError
from goldgate.contracts.documents import read_json
from goldgate.contracts.durable import write_durably
from goldgate.contracts.release import ImageBuilt, ImageUnavailable
from goldgate.domain.digest import Digest
from goldgate.domain.errors import TransientError

_NO_BASE: Final = "scratch"

_ASK_WITHIN_S: Final = 20.0


class ContainerImages:
    """Builds images, and remembers by their inputs which exist. See `goldgate.ports.delivery.ImageBuilder`."""

    def __init__(
        self,
        records: Path,
        *,
        env: Mapping[str, str] = os.environ,
        run: Run = run_program,
        reuses_layers: bool = False,
    ) -> None:
        """Build with what the environment says.

        Args:
            records: Folder of what was built before.
            env: `GOLDGATE_IMAGE_BASE`, `GOLDGATE_IMAGE_PIP_CONF`, `GOLDGATE_IMAGE_REGISTRY`, and all of the builder's.
            run: Runs a program.
            reuses_layers: Take from earlier builds the layers whose inputs did not change. It is fast, but the image is
                then another one than that of a build from nothing, and of no other machine.
        """
        self._records = records
        self._env = env
        self._run = run
        self._reuses_layers = reuses_layers

    def build(
        self, *, context: Path, dockerfile: Path, name: str, labels: dict[str, str]
    ) -> ImageBuilt | ImageUnavailable:
        """Build and push, or say why not. The same inputs are not built twice, as long as the image is still there.

        Raises:
            PermanentError: The ignore file, the name of the registry, or the pip.conf is not as it must be.
            TransientError: The builder was ended by a signal, or took too long.
        """
        address = self._env.get(REGISTRY_ENV)
        registry = Registry.parse(address) if address else None
        builder = self._working()
        if isinstance(builder, ImageUnavailable):
            return builder
        base = self._base(builder)
        if isinstance(base, ImageUnavailable):
            return base
        how = (builder.name, *(builder.reusing if self._reuses_layers else builder.alone))
        order = order_of(context, dockerfile, name=name, labels=labels, base=base, how=how)
        image = self._known(order.inputs, builder=builder) or self._build(builder, order)
        if isinstance(image, ImageUnavailable) or registry is None:
            return image
        return self._push(image, builder=builder, registry=registry, inputs=order.inputs)

    def _working(self) -> Builder | ImageUnavailable:
        problems = []
        for builder in BUILDERS:
            asked = self._run(builder.ask, self._environment(builder), _ASK_WITHIN_S)
            if asked.code == 0:
                return builder
            problems.append(f"{builder.name}: {told(asked.output, lines=1)}")
        return ImageUnavailable(
            reason=f"no container builder works here: {'; '.join(problems)}; install buildah, podman or docker"
        )

    def _base(self, builder: Builder) -> Base | ImageUnavailable:
        """Find out what the base is right now: a tag may be another image tomorrow, and then all is built again."""
        name = self._env.get(BASE_ENV) or DEFAULT_BASE
        if name == _NO_BASE:
            return Base(name=name, digest=None, labels={})
        labels = {"org.opencontainers.image.base.name": name}
        _, at, pinned = name.partition("@")
        digest = pinned if at else self._digest(builder, name)
        if digest is None:
            pulled = self._run([builder.name, "pull", "--quiet", name], self._environment(builder), BUILD_WITHIN_S)
            if pulled.was_cut_short:
                raise TransientError(f"Found that {builder.name} ended with {pulled.code} at `{name}`. Build again.")
            digest = self._digest(builder, name)
            if pulled.code != 0 or digest is None:
                reason = f"{builder.name} has no base `{name}`, and cannot pull it: {told(pulled.output)}"
                return ImageUnavailable(reason=reason)
        if at or builder.is_manifest:
            labels["org.opencontainers.image.base.digest"] = digest
        return Base(name=name, digest=digest, labels=labels)

    def _build(self, builder: Builder, order: Order) -> ImageBuilt | ImageUnavailable:
        options = self._options(builder, order)
        with TemporaryDirectory(prefix="goldgate-image-") as temporary:
            laid_out = order.lay_out(Path(temporary) / "order")
            command = [*builder.build, *options, "--file", str(laid_out.dockerfile), str(laid_out.context)]
            built = self._run(command, self._environment(builder), BUILD_WITHIN_S)
        if failure := failure_of(built, builder=builder.name, reference=order.reference):
            return failure
        digest = self._digest(builder, order.reference)
        if digest is None:
            return ImageUnavailable(reason=f"{builder.name} built `{order.reference}`, but does not know it")
        image = ImageBuilt(builder=builder.name, reference=order.reference, digest=digest, reused=False)
        self._keep(image, order.inputs)
        return image

    def _options(self, builder: Builder, order: Order) -> list[str]:
        return [
            *(builder.reusing if self._reuses_layers else builder.alone),
            f"--build-arg=BASE={order.base}",
            *(f"--label={key}={value}" for key, value in sorted(order.labels.items())),
            *secret_options(self._env),
            "--tag",
            order.reference,
        ]

    def _push(
        self, image: ImageBuilt, *, builder: Builder, registry: Registry, inputs: Digest
    ) -> ImageBuilt | ImageUnavailable:
        try:
            pushed = registry.push(image.reference, builder=builder, env=self._environment(builder), run=self._run)
        except NotPushedError as error:
            return ImageUnavailable(reason=f"`{image.reference}` could not be pushed to `{registry.path}`: {error}")
        image = image.model_copy(update={"pushed": pushed})
        self._keep(image.model_copy(update={"reused": False}), inputs)
        return image

    def _keep(self, image: ImageBuilt, inputs: Digest) -> None:
        write_durably(self._records / f"{inputs}.json", image.model_dump_json().encode() + b"\n")

    def _known(self, inputs: Digest, *, builder: Builder) -> ImageBuilt | None:
        """Find what the same inputs gave before, if it is still there and still the same."""
        path = self._records / f"{inputs}.json"
        if not path.exists():
            return None
        try:
            image = read_json(path, ImageBuilt)
        except ContractError:
            return None  # damaged, or of another version of Goldgate: building again writes it anew
        is_there = self._digest(builder, image.reference) == image.digest
        return image.model_copy(update={"reused": True, "pushed": None}) if is_there else None

    def _digest(self, builder: Builder, reference: str) -> str | None:
        found = self._run([*builder.digest, reference], self._environment(builder), _ASK_WITHIN_S)
        return digest_in(found.output) if found.code == 0 else None

    def _environment(self, builder: Builder) -> dict[str, str]:
        return {**builder.env, **self._env}
