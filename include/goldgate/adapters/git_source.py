"""Where a candidate comes from: the agents folder, another folder, or a commit of a git repository."""

import os
import shutil
import subprocess  # git has no library that is as sure as git
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from goldgate.domain.errors import PermanentError

_GIT_PREFIX: Final = "git:"
_AGENT_FILE: Final = "agent.yaml"

# A fetch is never made, so git only reads the local disk.
_GIT_WITHIN_S: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class ResolvedSource:
    """A candidate's folder, ready to be read."""

    folder: Path
    revision: str | None
    """The commit. For a folder with changes that no commit holds, `<commit>+changes`; None outside a repository."""


def resolve_source(source: str, *, agent: str, agents: Path, into: Path) -> ResolvedSource:
    """Find the folder of a candidate.

    Args:
        source: Empty for the agent's folder as it lies; `git:<ref>` for the same folder at a commit, branch or tag;
            else a path to a folder.
        agent: Which agent.
        agents: The folder of all agents.
        into: Where the folder of all agents at a git ref is laid, because agents may ask each other. What is there is
            replaced.

    Raises:
        PermanentError: There is no such agent, folder or ref, or git is not there.
    """
    if source.startswith(_GIT_PREFIX):
        return _from_git(source.removeprefix(_GIT_PREFIX), agent=agent, agents=agents, into=into)
    folder = Path(source).expanduser().resolve() if source else agents / agent
    if not folder.is_dir():
        raise PermanentError(_unknown(agent, agents) if not source else f"Source `{source}` is no folder: `{folder}`.")
    if not (folder / _AGENT_FILE).is_file():
        raise PermanentError(f"Found no `{_AGENT_FILE}` in `{folder}`; expected the folder of an agent.")
    return ResolvedSource(folder=folder, revision=_revision(folder))


def last_change(paths: Sequence[Path]) -> str | None:
    """Name the last commit that changed one of some paths of one repository.

    Returns:
        The commit, with `+changes` behind it if no commit holds the paths as they lie; None outside a repository, and
        where no commit knows them.
    """
    at = paths[0] if paths[0].is_dir() else paths[0].parent
    if _top(at) is None:
        return None
    names = [str(path.resolve()) for path in paths]
    commit = _git("log", "-1", "--format=%H", "--", *names, at=at).stdout.decode().strip()
    changes = _git("status", "--porcelain", "--", *names, at=at).stdout.strip()
    return commit + ("+changes" if changes else "") if commit else None


def _from_git(ref: str, *, agent: str, agents: Path, into: Path) -> ResolvedSource:
    if not ref or ref.startswith("-"):
        raise PermanentError(
            f"Found the source `{_GIT_PREFIX}{ref}`; expected `{_GIT_PREFIX}` and a commit, branch or tag."
        )
    top = _top(agents)
    if top is None:
        raise PermanentError(f"`{agents}` is not in a git repository, so there is no `{ref}`. Name a folder instead.")
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", at=top)
    if commit.returncode:
        raise PermanentError(f"Git knows no commit, branch or tag `{ref}` in `{top}`. Fetch it first, or correct it.")
    revision = commit.stdout.decode().strip()
    inside = agents.resolve().relative_to(top.resolve()).as_posix()
    found = _git("cat-file", "-e", f"{revision}:{inside}/{agent}/{_AGENT_FILE}", at=top)
    archive = _git("archive", "--format=tar", revision, "--", inside, at=top)
    if found.returncode or archive.returncode:
        raise PermanentError(
            f"There is no agent `{agent}` in `{top}` at `{ref}` ({revision[:12]}): git says "
            f"`{(found.stderr or archive.stderr).decode(errors='replace').strip()}`."
        )
    return ResolvedSource(folder=_unpack(archive.stdout, inside=inside, target=into) / agent, revision=revision)


def _unpack(archive: bytes, *, inside: str, target: Path) -> Path:
    staging = target.with_name(f".{target.name}.unpacking")
    for old in (staging, target):
        if old.exists():
            shutil.rmtree(old)
    staging.mkdir(parents=True)
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(staging, filter="data")
    (staging / inside).rename(target)
    shutil.rmtree(staging)
    return target


def _revision(folder: Path) -> str | None:
    if _top(folder) is None:
        return None
    commit = _git("rev-parse", "--verify", "--quiet", "HEAD", at=folder)
    if commit.returncode:
        return None
    changes = _git("status", "--porcelain", "--", ".", at=folder).stdout.strip()
    return commit.stdout.decode().strip() + ("+changes" if changes else "")


def _top(folder: Path) -> Path | None:
    """Find the root of the repository around a folder; None without a repository, or without git."""
    if shutil.which("git") is None or not folder.is_dir():
        return None
    found = _git("rev-parse", "--show-toplevel", at=folder)
    return None if found.returncode else Path(found.stdout.decode().strip())


def _git(*arguments: str, at: Path) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("git")
    if program is None:
        raise PermanentError("The source names a git ref, but there is no `git` here. Install it, or name a folder.")
    try:
        return subprocess.run(  # noqa: S603 - a list, no shell, and options are ended before what people wrote
            [program, "-C", str(at), *arguments],
            capture_output=True,
            check=False,
            timeout=_GIT_WITHIN_S,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"},
        )
    except subprocess.TimeoutExpired as error:
        raise PermanentError(f"`git {arguments[0]}` did not end within {_GIT_WITHIN_S:g} s in `{at}`.") from error


def _unknown(agent: str, agents: Path) -> str:
    known = sorted(path.parent.name for path in agents.glob(f"*/{_AGENT_FILE}")) if agents.is_dir() else []
    return f"There is no agent `{agent}` in `{agents}`. Agents there: {', '.join(known) or 'none'}."
