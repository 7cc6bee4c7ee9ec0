"""The program that is every part of the cluster, built once by Go and kept outside the checkout."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
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
    go = shutil.which("go")
    if go is None:
        raise CannotBuildError("no `go` on the PATH, which builds the one-node cluster (Go 1.26 or newer)")
    sources = b"".join((SOURCE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    kept = cache_folder() / f"node-{hashlib.sha256(sources).hexdigest()[:16]}"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        _build(go, into=kept)
    return kept


def _build(go: str, *, into: Path) -> None:
    version = kubernetes_version()
    major, minor = version.removeprefix("v").split(".")[:2]
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    flags = " ".join(["-s", "-w", *(f"-X {_STAMPED}.{name}={value}" for name, value in stamps.items())])
    half = into.with_name(f".{into.name}.{os.getpid()}")
    built = subprocess.run(
        [go, "build", "-mod=readonly", "-trimpath", "-ldflags", flags, "-o", str(half), "."],
        cwd=SOURCE,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""},
        check=False,
        capture_output=True,
        text=True,
    )
    if built.returncode != 0:
        half.unlink(missing_ok=True)
        raise CannotBuildError(f"`go build` in `{SOURCE}` ended with {built.returncode}: {built.stderr[-2000:]}")
    half.replace(into)
