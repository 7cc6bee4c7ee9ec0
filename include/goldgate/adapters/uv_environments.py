"""Environments of their own for agents: made by uv from pinned requirements, kept by the digest of what makes them.

A whole environment has its digest as its name; a half-built one never has. One that is there needs no network.
"""

import contextlib
import os
import platform
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from goldgate.domain.digest import digest_json
from goldgate.domain.errors import PermanentError, TransientError

_BUILD_WITHIN_S: Final = 900
_TOLD_CHARS: Final = 1500
_RECIPE: Final = 1
"""Part of the name: an environment that is made in another way is another one."""

_OF_UV: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_OF_UV_PREFIXES: Final = (
    "UV_",
    "PIP_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "XDG_",
)

_NETWORK: Final = (
    "error sending request",
    "dns error",
    "Failed to fetch",
    "timed out",
    "connect error",
    "Connection refused",
)
"""How uv 0.13 says that the package index did not answer."""

Lock = Callable[[str], AbstractContextManager[None]]
"""Holds a lock of that name between processes."""


class UvEnvironments:
    """Environments in one folder, and in others that are only read, such as one baked into an image."""

    def __init__(self, folder: Path, *, baked: Sequence[Path] = (), env: Mapping[str, str], lock: Lock) -> None:
        """Name the folders, the environment that uv is run in, and a lock so that two processes build once."""
        self._folder = folder
        self._baked = tuple(baked)
        self._env = env
        self._lock = lock

    def interpreter(self, requirements: Path | None, *, requirements_digest: str, python: str) -> Path:
        """Give the interpreter of an environment, built if it is not there.

        Args:
            requirements: The pinned requirements file; None for the standard library alone.
            requirements_digest: SHA-256 of it.
            python: Minor version, such as `3.11`.

        Raises:
            PermanentError: It cannot be built from that file, or there is no such Python or no uv.
            TransientError: The package index could not be reached.
        """
        name = digest_json([_RECIPE, requirements_digest, python, platform.system(), platform.machine()])[:32]
        for folder in (*self._baked, self._folder):
            if (found := _python_of(folder / name)).exists():
                return found
        with self._lock(f"environment-{name}"):
            if not _python_of(self._folder / name).exists():
                self._build(self._folder / name, requirements, python=python)
        return _python_of(self._folder / name)

    def _build(self, target: Path, requirements: Path | None, *, python: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        staging = self._folder / f".staging-{secrets.token_hex(8)}"
        try:
            self._uv(["venv", "--relocatable", "--no-project", "--python", _request(python), str(staging)])
            if requirements is not None and requirements.read_text(encoding="utf-8").strip():
                words = ["pip", "sync", "--python", str(_python_of(staging)), "--require-hashes", "--strict"]
                words.append("--compile-bytecode")  # agents write none, and compiling a framework takes seconds
                self._uv([*words, str(requirements)])
            shutil.rmtree(target, ignore_errors=True)  # without an interpreter: it is none
            staging.rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _uv(self, words: Sequence[str]) -> None:
        command = [self._program(), *words]
        try:
            done = subprocess.run(  # noqa: S603 - uv, with words of ours
                command, env=self._uv_env(), capture_output=True, text=True, check=False, timeout=_BUILD_WITHIN_S
            )
        except subprocess.TimeoutExpired as error:
            raise TransientError(
                f"An environment was not built within {_BUILD_WITHIN_S} s by `uv {words[0]}`."
            ) from error
        if done.returncode == 0:
            return
        told = done.stderr.strip()[-_TOLD_CHARS:]
        if any(sign in done.stderr for sign in _NETWORK):
            raise TransientError(f"An environment could not be built: the package index did not answer.\n{told}")
        raise PermanentError(
            f"`uv {words[0]}` built no environment; correct the requirements or `pythonVersion`.\n{told}"
        )

    def _uv_env(self) -> dict[str, str]:
        kept = {k: v for k, v in self._env.items() if k in _OF_UV or k.startswith(_OF_UV_PREFIXES)}
        return {**kept, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}

    def _program(self) -> str:
        beside = Path(sys.executable).with_name("uv")
        found = str(beside) if beside.exists() else shutil.which("uv", path=self._env.get("PATH", os.defpath))
        if found is None:
            raise PermanentError(
                "Found no `uv` beside the interpreter or on the PATH; expected it, to build an agent's environment. "
                "Install uv, or bake the environment (see include/docs/bring-your-own-agent.md)."
            )
        return found


def _python_of(environment: Path) -> Path:
    return environment / "bin" / "python"


def _request(python: str) -> str:
    """The running Python if it is of that version: uv does not see every one that a version manager has."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(getattr(sys, "_base_executable", None) or sys.executable)
    with contextlib.suppress(OSError):
        if own == python and base.exists():
            return str(base.resolve())
    return python
