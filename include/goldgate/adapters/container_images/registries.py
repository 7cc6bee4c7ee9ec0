"""Images in a registry, known there by the digest of their manifest."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from goldgate.adapters.container_images.programs import Builder, Ran, Run, digest_in, told
from goldgate.domain.errors import PermanentError, TransientError

_PUSH_WITHIN_S: Final = 600.0
_PLAIN: Final = "http://"
_PATH: Final = re.compile(r"[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*)*")


class NotPushedError(Exception):
    """The registry did not take the image; the message says why, without logins."""


@dataclass(frozen=True, kw_only=True)
class Registry:
    """Where images are pushed. Who may push there is the builder's own business (its auth file)."""

    path: str
    """`host[:port][/path]`: images are pushed below it."""
    is_plain: bool
    """Spoken to by plain http."""

    @classmethod
    def parse(cls, text: str) -> "Registry":
        """Read `host[:port][/path]`, or `http://host[:port][/path]` for a registry without TLS.

        Raises:
            PermanentError: It is neither. The text is not repeated if it may hold a login.
        """
        path = text.removeprefix(_PLAIN).removeprefix("https://").rstrip("/")
        if not _PATH.fullmatch(path):
            shown = "an address with a login" if "@" in text else f"`{text}`"
            raise PermanentError(
                f"Found {shown} in GOLDGATE_IMAGE_REGISTRY; expected `host[:port]/path` in small letters, with "
                "`http://` before it only for a registry without TLS. Logins belong to the builder (`buildah login`)."
            )
        return cls(path=path, is_plain=text.startswith(_PLAIN))

    def push(self, reference: str, *, builder: Builder, env: Mapping[str, str], run: Run) -> str:
        """Push a local image, and return the name by which it can be pulled: `<path>/<name>@sha256:...`.

        Pushing what is there moves no layer.

        Raises:
            NotPushedError: The registry said no, or is not there.
            TransientError: The builder was ended by a signal, or took too long.
        """
        target = f"{self.path}/{reference.removeprefix('localhost/')}"
        by_engine = builder.name == "docker"
        digest = (_push_by_engine if by_engine else self._push_directly)(reference, target, builder.name, env, run)
        name = target.rpartition(":")[0]
        if digest is None:
            raise NotPushedError(f"{builder.name} pushed `{target}`, but does not tell its digest")
        return f"{name}@{digest}"

    def _push_directly(self, reference: str, target: str, builder: str, env: Mapping[str, str], run: Run) -> str | None:
        plain = ["--tls-verify=false"] if self.is_plain else []
        with TemporaryDirectory(prefix="goldgate-push-") as temporary:
            told_in = Path(temporary) / "digest"
            command = [
                builder,
                "push",
                "--quiet",
                *plain,
                "--digestfile",
                str(told_in),
                reference,
                f"docker://{target}",
            ]
            _refuse(run(command, env, _PUSH_WITHIN_S), target)
            digest = told_in.read_text(encoding="utf-8") if told_in.exists() else ""
        return digest_in(digest)


def _push_by_engine(reference: str, target: str, builder: str, env: Mapping[str, str], run: Run) -> str | None:
    """Push by an engine, which itself must know a registry without TLS (`insecure-registries`)."""
    _refuse(run([builder, "tag", reference, target], env, _PUSH_WITHIN_S), target)
    _refuse(run([builder, "push", "--quiet", target], env, _PUSH_WITHIN_S), target)
    asked = run(
        [builder, "image", "inspect", "--format", "{{range .RepoDigests}}{{println .}}{{end}}", target],
        env,
        _PUSH_WITHIN_S,
    )
    _refuse(asked, target)
    name = target.rpartition(":")[0]
    for line in asked.output.splitlines():
        where, _, digest = line.strip().partition("@")
        if where == name:
            return digest_in(digest)
    return None


def _refuse(ran: Ran, target: str) -> None:
    if ran.was_cut_short:
        raise TransientError(
            f"Found that the push of `{target}` ended with {ran.code}; expected it to run to its end within "
            f"{_PUSH_WITHIN_S:g} s: {told(ran.output, lines=1)}. Push again."
        )
    if ran.code != 0:
        raise NotPushedError(told(ran.output))
