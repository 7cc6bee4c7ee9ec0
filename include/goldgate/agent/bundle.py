"""A bundle: an agent's folder frozen, named by the digest of its files.

```
<digest>/
├── agent.yaml, prompts, ...   the folder as it was, without what judges it
├── corpus.jsonl               its knowledge, built
├── tools.json                 its tools, pinned
├── agents/<name>/             the agents that it may ask, each a bundle itself
└── bundle.json                the manifest: agent, files with their digests, digest
```
"""

import fnmatch
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from goldgate.agent.folder import AGENT_FILE
from goldgate.contracts.bundle import (
    ENVIRONMENT_MARK,
    MANIFEST,
    BundleError,
    BundleManifest,
    check_bundle,
    digest_files,
)
from goldgate.contracts.documents import read_json
from goldgate.domain.digest import Digest, canonical_json, digest_tree

_LEFT_OUT = ("gold*", "story*", "release.yaml", "tasks", MANIFEST)
"""Top-level names of a folder that do not serve: what judges the agent, what is asked of it, what is written here."""

AGENTS_FOLDER = "agents"


def sub_bundle(bundle: Path, agent: str) -> Path:
    """Find the bundle of an agent that a bundle's agent may ask. One digest, the outer one, names all of them."""
    return bundle / AGENTS_FOLDER / agent


def verify_bundle(path: Path) -> Digest:
    """Check every file of a bundle against its manifest, and the manifest against its digest; return that.

    Raises:
        PermanentError: A file differs, is missing or is extra (it is named), or the manifest itself does not hold.
    """
    return Digest(check_bundle(path, digest=read_manifest(path).digest).digest)


def read_manifest(path: Path) -> BundleManifest:
    """Read a bundle's manifest, without checking its files."""
    return read_json(path / MANIFEST, BundleManifest)


def copy_folder(folder: Path, *, into: Path, leave_out: Collection[str] = ()) -> None:
    """Copy what serves of an agent's folder into a new folder.

    Regular files only, with ordinary permissions; no dotfiles, no `__pycache__`, no virtual environment, and none of
    what judges the agent, be it known by its name or named in `leave_out` by its relative POSIX path.

    Raises:
        BundleError: A link leads out of the folder, or something is neither file nor folder.
    """
    root = folder.resolve()
    for name, file in _all_files(folder):
        top, *rest = name.split("/")
        if any(part.startswith(".") or part == "__pycache__" for part in (top, *rest)) or _is_left_out(top):
            continue
        if name in leave_out:
            continue
        if not file.resolve().is_relative_to(root):
            raise BundleError(
                f"Found `{file}`, a link to `{file.resolve()}` outside `{folder}`; expected files of the "
                "folder only. Copy what it points to into the folder."
            )
        if not file.is_file():
            raise BundleError(f"Found `{file}`, which is no regular file; expected files only. Remove it.")
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def seal(path: Path, *, agent: str) -> BundleManifest:
    """Write the manifest of a folder whose files stand."""
    files = digest_files(path)
    if AGENT_FILE not in files:
        raise BundleError(f"Found no `{AGENT_FILE}` in `{path}`; expected an agent's folder.")
    manifest = BundleManifest(agent=agent, files=dict(files), digest=digest_tree(files))
    (path / MANIFEST).write_bytes(canonical_json(manifest.model_dump(mode="json")) + b"\n")
    return manifest


def _is_left_out(top: str) -> bool:
    return any(fnmatch.fnmatchcase(top, pattern) for pattern in _LEFT_OUT)


def _all_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield everything below a folder that is no folder, by its relative POSIX path. A linked folder is one entry."""
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not (Path(parent) / name / ENVIRONMENT_MARK).exists()]
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in (*files, *links):
            file = Path(parent) / name
            yield file.relative_to(folder).as_posix(), file
