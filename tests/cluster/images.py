"""The images of the cluster tests, as archives that containerd imports: built once for the same inputs.

Archives lie outside the checkout, named after the digest of the image. `python -m tests.cluster.images` makes them, and
prints a line for each: the name it has in the cluster, the archive.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from goldgate.adapters.container_images.images import ContainerImages
from goldgate.contracts.release import ImageBuilt
from tests.cluster.one_node.binary import CannotBuildError, cache_folder

CHECKOUT: Final = Path(__file__).resolve().parents[2]
PAUSE: Final = "localhost/pause:1"
AGENT: Final = "localhost/goldgate-agent:test"
ROUTER: Final = "localhost/goldgate-router:test"

_BASE: Final = "localhost/goldgate-base:ci"
_KEPT: Final = 4
"""Archives of one image that stay: that of the agent has 180 MB, and every change of the code makes another."""


def image_archives(env: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """Make what is missing, and return the archive of each image by its name in the cluster.

    The base is `GOLDGATE_IMAGE_BASE`, else one made of Debian's packages.

    Raises:
        CannotBuildError: No builder, no base, or no Go here. The message says what is missing.
    """
    return {PAUSE: pause_archive(env), AGENT: _runtime_archive("agent", env), ROUTER: _runtime_archive("router", env)}


def pause_archive(env: Mapping[str, str] = os.environ) -> Path:
    """Make the image that holds a pod's namespaces open."""
    source = CHECKOUT / "tests" / "cluster" / "pause"
    go = shutil.which("go")
    if go is None:
        raise CannotBuildError("no `go` on the PATH, which builds the one-node cluster (Go 1.26 or newer)")
    with TemporaryDirectory(prefix="goldgate-pause-") as temporary:
        context = Path(temporary)
        program = [go, "build", "-trimpath", "-ldflags", "-s -w -buildid=", "-o", str(context / "pause"), "main.go"]
        _run(program, env={**env, "CGO_ENABLED": "0", "GOFLAGS": ""}, within=source)
        for name in ("Dockerfile", "Dockerfile.dockerignore"):
            shutil.copyfile(source / name, context / name)
        return _archive(PAUSE, context=context, dockerfile=context / "Dockerfile", env=env, base="scratch")


def _runtime_archive(image: str, env: Mapping[str, str]) -> Path:
    context = CHECKOUT / "include"
    dockerfile = context / "images" / image / "Dockerfile"
    name = {"agent": AGENT, "router": ROUTER}[image]
    return _archive(name, context=context, dockerfile=dockerfile, env=env, base=base_image(env))


def base_image(env: Mapping[str, str]) -> str:
    """Name what images are built on: `GOLDGATE_IMAGE_BASE`, else one made of Debian's packages, if it is not there yet.

    Raises:
        CannotBuildError: It cannot be made.
    """
    if named := env.get("GOLDGATE_IMAGE_BASE"):
        return named
    _run([str(CHECKOUT / ".ci" / "base-image"), _BASE], env=env)
    return _BASE


def _archive(name: str, *, context: Path, dockerfile: Path, env: Mapping[str, str], base: str) -> Path:
    folder = cache_folder(env) / "images"
    folder.mkdir(parents=True, exist_ok=True)
    pip_conf = {"GOLDGATE_IMAGE_PIP_CONF": "/etc/pip.conf"} if Path("/etc/pip.conf").exists() else {}
    builder = ContainerImages(
        folder / "records", env={**pip_conf, **env, "GOLDGATE_IMAGE_BASE": base}, reuses_layers=True
    )
    short = name.removeprefix("localhost/").partition(":")[0]
    image = builder.build(context=context, dockerfile=dockerfile, name=short, labels={})
    if not isinstance(image, ImageBuilt):
        raise CannotBuildError(image.reason)
    if image.builder not in {"buildah", "podman"}:
        raise CannotBuildError(
            f"`{image.builder}` works here, but only buildah and podman write archives for containerd"
        )
    archive = folder / f"{short}-{image.digest.removeprefix('sha256:')[:16]}.tar"
    if not archive.is_file():
        half = archive.with_name(f".{archive.name}.{os.getpid()}")
        _run([image.builder, "push", "--quiet", image.reference, f"oci-archive:{half}:{name}"], env=env)
        half.replace(archive)
    archive.touch()
    for old in sorted(folder.glob(f"{short}-*.tar"), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
        old.unlink()
    return archive


def _run(command: list[str], *, env: Mapping[str, str], within: Path | None = None) -> None:
    done = subprocess.run(command, env=dict(env), cwd=within, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotBuildError(f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr[-2000:]}")


if __name__ == "__main__":
    for image_name, image_archive in image_archives().items():
        sys.stdout.write(f"{image_name} {image_archive}\n")
