"""The program that is every part of the cluster, built once by Go and kept outside the checkout."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).resolve().parents[1] / "node"

_STAMPED: Final = "k8s.io/component-base/version"
"""Without a stamp the API server calls itself v0.0.0, and clients misjudge what it can do."""


class CannotBuildError(Exception):
    """There is no program, and none can be made here. The message says what is missing."""


def cache_folder(env: Mapping[str, str] = os.environ) -> Path:
    """Say where what is built is kept: `GOLDGATE_CACHE`, else `~/.cache/goldgate`."""
    return Path(env.get("GOLDGATE_CACHE") or Path.home() / ".cache" / "goldgate").resolve()


def kubernetes_version() -> str:
    """Read which Kubernetes the module pins."""
    for line in (SOURCE / "go.mod").read_text(encoding="utf-8").splitlines():
        words = line.removeprefix("require ").split()
        if len(words) >= 2 and words[0] == "k8s.io/kubernetes" and words[1].startswith("v"):
            return words[1]
    raise CannotBuildError(f"Found no version of k8s.io/kubernetes in `{SOURCE / 'go.mod'}`.")


def node_binary() -> Path:
    """Return the program, built if no earlier build of the same sources is kept: minutes the first time, then none.

    Raises:
        CannotBuildError: There is no Go here, or it could not build.
    """
    sources = b"".join((SOURCE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    return built_once("node", sources, build=_build)


def built_once(name: str, sources: bytes, *, build: Callable[[Path], object]) -> Path:
    """Return what was built from these sources: kept from before, or built now, whole or not at all.

    Args:
        name: What it is kept by, beside its sources.
        sources: All that it depends on.
        build: Makes a file or folder at the path that it is given.
    """
    kept = cache_folder() / f"{name}-{hashlib.sha256(sources).hexdigest()[:16]}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        half = kept.with_name(f".{kept.name}.{os.getpid()}")
        try:
            build(half)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True) if half.is_dir() else half.unlink(missing_ok=True)
            raise
        half.rename(kept)
    return kept


def go_said(source: Path, *arguments: str) -> str:
    """Run the go command in the folder of a module, without C; what it says.

    Raises:
        CannotBuildError: There is no Go here, or it failed.
    """
    go = shutil.which("go")
    if go is None:
        raise CannotBuildError(f"no `go` on the PATH, which builds `{source.name}` (Go 1.26 or newer)")
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""}
    ran = subprocess.run([go, *arguments], cwd=source, env=env, check=False, capture_output=True, text=True)
    if ran.returncode != 0:
        raise CannotBuildError(f"`go {arguments[0]}` in `{source}` ended with {ran.returncode}: {ran.stderr[-2000:]}")
    return ran.stdout


def _build(into: Path) -> None:
    version = kubernetes_version()
    major, minor = version.removeprefix("v").split(".")[:2]
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    flags = " ".join(["-s", "-w", *(f"-X {_STAMPED}.{name}={value}" for name, value in stamps.items())])
    go_said(SOURCE, "build", "-mod=readonly", "-trimpath", "-ldflags", flags, "-o", str(into), ".")
