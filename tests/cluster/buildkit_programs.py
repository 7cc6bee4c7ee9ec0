"""BuildKit, built once by Go and kept outside the checkout: a machine that reaches no image registry has no other."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from goldgate.adapters.container_images.images import ContainerImages
from goldgate.contracts.release import ImageBuilt
from tests.cluster.images import base_image
from tests.cluster.one_node.binary import CannotBuildError, built_once, cache_folder, go_said

_SOURCE: Final = Path(__file__).resolve().parent / "buildkit"
_PROGRAMS: Final = ("buildctl", "buildkitd")
_DOCKERFILE: Final = """\
ARG BASE
FROM ${BASE}
COPY --chmod=755 bin /usr/local/bin/
COPY --chmod=755 lib /usr/local/lib/
RUN ldconfig
ENTRYPOINT ["buildkitd"]
"""


def buildkit_programs() -> Path:
    """Return the folder of `buildctl` and `buildkitd`, built if no earlier build of the same versions is kept.

    Raises:
        CannotBuildError: There is no Go here, or it could not build.
    """
    sources = b"".join((_SOURCE / name).read_bytes() for name in ("go.mod", "go.sum"))
    return built_once("buildkit", sources, build=_build)


def _build(into: Path) -> None:
    into.mkdir()
    packages = [f"github.com/moby/buildkit/cmd/{name}" for name in _PROGRAMS]
    go_said(_SOURCE, "build", "-mod=readonly", "-ldflags", "-s -w", "-o", f"{into}/", *packages)


def push_buildkit_image(registry: str) -> str:
    """Build an image of BuildKit and this machine's runc, push it by plain http, and return its name by digest.

    Raises:
        CannotBuildError: See there.
    """
    runc = shutil.which("runc")
    if runc is None:
        raise CannotBuildError("no `runc` on the PATH, which BuildKit runs the steps of a build with")
    with TemporaryDirectory(prefix="goldgate-buildkit-") as temporary:
        context = Path(temporary)
        (context / "bin").mkdir()
        (context / "lib").mkdir()
        for program in (*(buildkit_programs() / name for name in _PROGRAMS), Path(runc)):
            shutil.copyfile(program, context / "bin" / program.name)
        for library in _libraries(runc):
            shutil.copyfile(library, context / "lib" / library.name)
        (context / "Dockerfile").write_text(_DOCKERFILE)
        (context / "Dockerfile.dockerignore").write_text("*\n!bin\n!lib\n")
        env = {
            **os.environ,
            "GOLDGATE_IMAGE_BASE": base_image(os.environ),
            "GOLDGATE_IMAGE_REGISTRY": f"http://{registry}/goldgate",
        }
        images = ContainerImages(cache_folder() / "images" / "records", env=env)
        built = images.build(context=context, dockerfile=context / "Dockerfile", name="buildkit", labels={})
    if not isinstance(built, ImageBuilt) or built.pushed is None:
        raise CannotBuildError(str(built))
    return built.pushed


def _libraries(program: str) -> list[Path]:
    """Find what a program loads beside the C library, which the base has."""
    told = subprocess.run(["ldd", program], check=False, capture_output=True, text=True).stdout
    paths = [Path(line.split("=>")[1].split()[0]) for line in told.splitlines() if "=> /" in line]
    return [path for path in paths if not path.name.startswith("libc.")]
