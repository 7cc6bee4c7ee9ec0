"""The programs that build images, and how each is spoken to."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

_TOLD_LINES: Final = 6
_TOLD_CHARACTERS: Final = 600
_TOO_SLOW: Final = 124
"""What `timeout(1)` ends with."""
_SIGNALS: Final = range(129, 193)
"""How a shell, and a builder for the step that it ran, tell the signal that ended a program: 128 and its number."""
_TO_END_S: Final = 20.0
"""How long a program that was told to end may take: buildah removes the container that it worked in."""
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
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
class Builder:
    """One program that builds images, and how it is spoken to."""

    name: str
    ask: Sequence[str]
    """Succeeds only where a build could."""
    build: Sequence[str]
    alone: Sequence[str]
    """Options of a build that takes nothing from an earlier one, and tells nothing of it."""
    reusing: Sequence[str]
    """Options of a build that takes the layers of earlier ones whose inputs are the same."""
    digest: Sequence[str]
    """Prints the digest of the image named after it."""
    is_manifest: bool
    """That digest is the one of the image's manifest, by which a registry would know it."""
    env: Mapping[str, str]


BUILDERS: Final = (
    Builder(
        name="buildah",
        ask=("buildah", "images", "--quiet"),
        build=("buildah", "build", "--isolation", "chroot", "--timestamp", "0"),
        alone=("--layers=false",),
        reusing=("--layers=true",),
        digest=("buildah", "inspect", "--type", "image", "--format", "{{.FromImageDigest}}"),
        is_manifest=True,
        # vfs needs nothing of the kernel; who has overlay says so in STORAGE_DRIVER.
        env={"STORAGE_DRIVER": "vfs"},
    ),
    Builder(
        name="podman",
        ask=("podman", "info", "--format", "{{.Version.Version}}"),
        build=("podman", "build", "--timestamp", "0"),
        alone=("--layers=false",),
        reusing=("--layers=true",),
        digest=("podman", "image", "inspect", "--format", "{{.Digest}}"),
        is_manifest=True,
        env={},
    ),
    Builder(
        name="docker",
        ask=("docker", "version", "--format", "{{.Server.Version}}"),
        build=("docker", "build"),
        alone=(),
        reusing=(),
        digest=("docker", "image", "inspect", "--format", "{{.Id}}"),
        is_manifest=False,
        env={"DOCKER_BUILDKIT": "1", "SOURCE_DATE_EPOCH": "0"},
    ),
)
"""buildah comes first because its images are the same, byte for byte, for the same inputs. With layers of earlier
builds they are not: the history of an image then names the layers' own images, which are new each time."""


def run_program(command: Sequence[str], env: Mapping[str, str], within_s: float, *, to_end_s: float = _TO_END_S) -> Ran:
    """Run a program, and take what it says. A program that is missing or too slow is told as a failure.

    What it started ends with it: when it is too slow, and when whoever waits for it is ended. Both are asked to end
    first, and made to after `to_end_s`.
    """
    try:
        with _started(command, env, to_end_s=to_end_s) as process:
            output, _ = process.communicate(timeout=within_s)
    except FileNotFoundError:
        return Ran(code=127, output="not installed")
    except subprocess.TimeoutExpired:
        return Ran(code=_TOO_SLOW, output=f"did not end within {within_s:g} s")
    return Ran(code=process.returncode, output=output.decode(errors="replace"))


@contextmanager
def _started(command: Sequence[str], env: Mapping[str, str], *, to_end_s: float) -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(  # noqa: S603 - a list, no shell
        command,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # a group of its own, which can be ended as a whole
    )
    try:
        yield process
    except BaseException:
        _end(process, to_end_s=to_end_s)
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()


def _end(process: "subprocess.Popen[bytes]", *, to_end_s: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(to_end_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def digest_in(output: str) -> str | None:
    """Find the digest that a program printed, on a line of its own: beside it may stand warnings."""
    lines = [line.strip() for line in output.splitlines()]
    return next((line for line in reversed(lines) if _DIGEST.fullmatch(line)), None)


def told(output: str, *, lines: int = _TOLD_LINES) -> str:
    """Take the last lines of an output, without logins in addresses."""
    last = [line.strip() for line in output.splitlines() if line.strip()][-lines:]
    return _LOGIN.sub("***@", " | ".join(last))[-_TOLD_CHARACTERS:] or "it said nothing"
