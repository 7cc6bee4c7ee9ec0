"""Container images, by whichever of buildah, podman and docker really works here.

A `docker` command may be a client with no engine behind it: each builder is asked to answer before it is believed.
The build sees only what the Dockerfile's own ignore file lets in, copied aside with plain permissions, so that the
same inputs are known again and are not built twice.

buildah comes first because its images are the same, byte for byte, for the same inputs.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from goldgate.contracts.base import ContractError
from goldgate.contracts.documents import read_json
from goldgate.contracts.durable import write_durably
from goldgate.contracts.release import ImageBuilt, ImageUnavailable
from goldgate.domain.digest import Digest, digest_bytes, digest_json
from goldgate.domain.errors import PermanentError, TransientError

DEFAULT_BASE: Final = "docker.io/library/python:3.11-slim-bookworm"
"""A tag, so that a first build works anywhere; `GOLDGATE_IMAGE_BASE` pins one by digest, and a release should."""

_BASE_ENV: Final = "GOLDGATE_IMAGE_BASE"
_PIP_CONF_ENV: Final = "GOLDGATE_IMAGE_PIP_CONF"
"""A pip.conf for the build: a mirror, a login. It is mounted while pip runs, and is in no layer."""

_BUILD_WITHIN_S: Final = 900.0
_ASK_WITHIN_S: Final = 20.0
_TOLD_LINES: Final = 6
_TOLD_CHARACTERS: Final = 600
_TOO_SLOW: Final = 124
"""What `timeout(1)` ends with."""
_SIGNALS: Final = range(129, 193)
"""How a shell, and a builder for the step that it ran, tell the signal that ended a program: 128 and its number."""
_LOGIN: Final = re.compile(r"(?<=://)[^\s/@]+@")


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a program ended."""

    code: int
    """Negative: the signal that ended it."""
    output: str
    """Standard output and error, as they came."""

    @property
    def was_cut_short(self) -> bool:
        """It was ended from outside, or took too long: that says nothing about what it was asked."""
        return self.code < 0 or self.code == _TOO_SLOW or self.code in _SIGNALS


Run = Callable[[Sequence[str], Mapping[str, str], float], Ran]
"""Runs a program with an environment, for at most so many seconds."""


@dataclass(frozen=True, kw_only=True)
class _Builder:
    """One program that builds images, and how it is spoken to."""

    name: str
    ask: Sequence[str]
    """Succeeds only where a build could."""
    build: Sequence[str]
    digest: Sequence[str]
    """Prints the digest of the image named after it."""
    env: Mapping[str, str]


_BUILDERS: Final = (
    _Builder(
        name="buildah",
        ask=("buildah", "images", "--quiet"),
        build=("buildah", "build", "--isolation", "chroot", "--timestamp", "0", "--layers=true"),
        digest=("buildah", "inspect", "--type", "image", "--format", "{{.FromImageDigest}}"),
        # vfs needs nothing of the kernel; who has overlay says so in STORAGE_DRIVER.
        env={"STORAGE_DRIVER": "vfs"},
    ),
    _Builder(
        name="podman",
        ask=("podman", "info", "--format", "{{.Version.Version}}"),
        build=("podman", "build", "--timestamp", "0", "--layers=true"),
        digest=("podman", "image", "inspect", "--format", "{{.Digest}}"),
        env={},
    ),
    _Builder(
        name="docker",
        ask=("docker", "version", "--format", "{{.Server.Version}}"),
        build=("docker", "build"),
        digest=("docker", "image", "inspect", "--format", "{{.Id}}"),
        env={"DOCKER_BUILDKIT": "1", "SOURCE_DATE_EPOCH": "0"},
    ),
)


def run_program(command: Sequence[str], env: Mapping[str, str], within_s: float) -> Ran:
    """Run a program, and take what it says. A program that is missing or too slow is told as a failure."""
    try:
        ended = subprocess.run(  # noqa: S603 - a list, no shell
            command,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=within_s,
        )
    except FileNotFoundError:
        return Ran(code=127, output="not installed")
    except subprocess.TimeoutExpired:
        return Ran(code=_TOO_SLOW, output=f"did not end within {within_s:g} s")
    return Ran(code=ended.returncode, output=ended.stdout.decode(errors="replace"))


class ContainerImages:
    """Builds images, and remembers by their inputs which exist. See `goldgate.ports.delivery.ImageBuilder`."""

    def __init__(self, records: Path, *, env: Mapping[str, str] = os.environ, run: Run = run_program) -> None:
        self._records = records
        self._env = env
        self._run = run

    def build(
        self, *, context: Path, dockerfile: Path, name: str, labels: dict[str, str]
    ) -> ImageBuilt | ImageUnavailable:
        """Build, or say why not. The same inputs are not built twice, as long as the image is still there.

        Raises:
            TransientError: The builder was ended by a signal, or took too long.
        """
        builder = self._working()
        if isinstance(builder, ImageUnavailable):
            return builder
        base = self._env.get(_BASE_ENV) or DEFAULT_BASE
        files = _files(context, dockerfile)
        inputs = digest_json(
            {
                "files": {inside: digest_bytes(path.read_bytes()) for inside, path in files.items()},
                "dockerfile": digest_bytes(dockerfile.read_bytes()),
                "base": base,
                "builder": builder.name,
                "name": name,
                "labels": labels,
            }
        )
        if (known := self._known(inputs, builder=builder)) is not None:
            return known
        reference = f"localhost/{name}:{inputs[:12]}"
        options = [f"--build-arg=BASE={base}", *(f"--label={key}={value}" for key, value in sorted(labels.items()))]
        return self._build(builder, files, dockerfile=dockerfile, reference=reference, options=options, inputs=inputs)

    def _working(self) -> _Builder | ImageUnavailable:
        problems = []
        for builder in _BUILDERS:
            asked = self._run(builder.ask, self._environment(builder), _ASK_WITHIN_S)
            if asked.code == 0:
                return builder
            problems.append(f"{builder.name}: {_told(asked.output, lines=1)}")
        return ImageUnavailable(
            reason=f"no container builder works here: {'; '.join(problems)}; install buildah, podman or docker"
        )

    def _build(
        self,
        builder: _Builder,
        files: Mapping[str, Path],
        *,
        dockerfile: Path,
        reference: str,
        options: Sequence[str],
        inputs: Digest,
    ) -> ImageBuilt | ImageUnavailable:
        with TemporaryDirectory(prefix="goldgate-image-") as temporary:
            staged = Path(temporary) / "context"
            _stage(files, staged)
            command = [
                *builder.build,
                *options,
                *self._secret(),
                "--tag",
                reference,
                "--file",
                str(dockerfile.resolve()),
            ]
            built = self._run([*command, str(staged)], self._environment(builder), _BUILD_WITHIN_S)
        if built.was_cut_short:
            raise TransientError(
                f"Found that {builder.name} ended with {built.code} before `{reference}` was built; expected it to run "
                f"to its end within {_BUILD_WITHIN_S:g} s: {_told(built.output, lines=1)}. Build again."
            )
        if built.code != 0:
            return ImageUnavailable(reason=f"{builder.name} could not build `{reference}`: {_told(built.output)}")
        digest = self._digest(builder, reference)
        if digest is None:
            return ImageUnavailable(reason=f"{builder.name} built `{reference}`, but does not know it")
        image = ImageBuilt(builder=builder.name, reference=reference, digest=digest, reused=False)
        write_durably(self._records / f"{inputs}.json", image.model_dump_json().encode() + b"\n")
        return image

    def _known(self, inputs: Digest, *, builder: _Builder) -> ImageBuilt | None:
        """Find what the same inputs gave before, if it is still there and still the same."""
        path = self._records / f"{inputs}.json"
        if not path.exists():
            return None
        try:
            image = read_json(path, ImageBuilt)
        except ContractError:
            return None  # damaged, or of another version of Goldgate: building again writes it anew
        is_there = self._digest(builder, image.reference) == image.digest
        return image.model_copy(update={"reused": True}) if is_there else None

    def _digest(self, builder: _Builder, reference: str) -> str | None:
        found = self._run([*builder.digest, reference], self._environment(builder), _ASK_WITHIN_S)
        digest = found.output.strip()
        return digest if found.code == 0 and digest.startswith("sha256:") else None

    def _secret(self) -> list[str]:
        path = self._env.get(_PIP_CONF_ENV)
        return [f"--secret=id=pip.conf,src={path}"] if path else []

    def _environment(self, builder: _Builder) -> dict[str, str]:
        return {**builder.env, **self._env}


def _files(context: Path, dockerfile: Path) -> dict[str, Path]:
    """Read the Dockerfile's ignore file, `<Dockerfile>.dockerignore`: everything (`*`) but what `!` lets in.

    Only this form is understood: what an image is made of is named, never what it is not made of.
    """
    ignore = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    if not ignore.is_file():
        raise PermanentError(f"Found no `{ignore}`; expected `*`, and a line `!<path>` for each path the image needs.")
    lines = [line for line in ignore.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    if not lines or lines[0] != "*":
        raise PermanentError(f"Found `{ignore}` without `*` in its first line; expected it, so that nothing slips in.")
    files: dict[str, Path] = {}
    for line in lines[1:]:
        if line in {"**/__pycache__", "**/*.pyc"}:
            continue
        path = context / line.removeprefix("!")
        if not line.startswith("!") or not path.exists():
            raise PermanentError(f"Found the line `{line}` in `{ignore}`; expected `!` and a path below `{context}`.")
        files |= {
            found.relative_to(context).as_posix(): found for found in ([path] if path.is_file() else _below(path))
        }
    return dict(sorted(files.items()))


def _below(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    ]


def _stage(files: Mapping[str, Path], target: Path) -> None:
    target.mkdir()
    for inside, path in files.items():
        copied = target / inside
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copied)
        copied.chmod(0o644)
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
        folder.chmod(0o755)


def _told(output: str, *, lines: int = _TOLD_LINES) -> str:
    """Take the last lines of an output, without logins in addresses."""
    last = [line.strip() for line in output.splitlines() if line.strip()][-lines:]
    return _LOGIN.sub("***@", " | ".join(last))[-_TOLD_CHARACTERS:] or "it said nothing"
