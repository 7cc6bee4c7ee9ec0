"""A bundle: an agent's folder frozen, named by the digest of its files.

```
<digest>/
├── agent.yaml, prompts, ...   the folder as it was, without what judges it
├── corpus.jsonl               its knowledge, built
├── tools.json                 its tools, pinned
├── bundle.json                the manifest: agent, files with their digests, digest
└── index/                     derived, outside the digest; index.json names the digest it was built from
```
"""

import fnmatch
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from goldgate.agent.folder import AGENT_FILE
from goldgate.contracts.base import Contract
from goldgate.contracts.documents import read_json
from goldgate.domain.digest import Digest, canonical_json, digest_bytes, digest_tree, short
from goldgate.domain.errors import PermanentError

MANIFEST = "bundle.json"
INDEX = "index"

_LEFT_OUT = ("gold*", "story*", "release.yaml", "tasks", INDEX, MANIFEST)
"""Top-level names of a folder that do not serve: what judges the agent, what is asked of it, and what is derived."""


class BundleManifest(Contract):
    """What a bundle holds."""

    agent: str
    files: dict[str, str]
    """Relative POSIX path to the digest of that file."""
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Digest of `files`."""


class BundleError(PermanentError):
    """A bundle is not what its manifest says, or a folder cannot become one."""


def verify_bundle(path: Path) -> Digest:
    """Check every file of a bundle against its manifest, and the manifest against its digest.

    Returns:
        The bundle's digest.

    Raises:
        PermanentError: A file differs, is missing or is extra (it is named), or the manifest itself does not hold.
    """
    manifest = read_manifest(path)
    digest = digest_tree({name: Digest(found) for name, found in manifest.files.items()})
    if digest != manifest.digest:
        raise BundleError(
            f"The files listed in `{path / MANIFEST}` have digest {short(digest)}, but it says "
            f"{short(manifest.digest)}. Freeze the agent again."
        )
    present = {name: file for name, file in _all_files(path) if _counts(name)}
    for name in sorted(present.keys() | manifest.files.keys()):
        if (expected := manifest.files.get(name)) is None:
            raise BundleError(f"Found `{name}` in bundle `{path}`, which its manifest does not list. Freeze it again.")
        if (file := present.get(name)) is None:
            raise BundleError(f"Found no `{name}` in bundle `{path}`; its manifest lists it. Freeze it again.")
        if (found := digest_bytes(file.read_bytes())) != expected:
            raise BundleError(
                f"`{name}` in bundle `{path}` has digest {short(found)}, but its manifest says {short(expected)}. "
                "Restore the file, or freeze the agent again."
            )
    return digest


def read_manifest(path: Path) -> BundleManifest:
    """Read a bundle's manifest, without checking its files."""
    return read_json(path / MANIFEST, BundleManifest)


def copy_folder(folder: Path, *, into: Path) -> None:
    """Copy what serves of an agent's folder into a new folder.

    Regular files only, with ordinary permissions; no dotfiles, no `__pycache__`, and none of what judges the agent.

    Raises:
        BundleError: A link leads out of the folder, or something is neither file nor folder.
    """
    root = folder.resolve()
    for name, file in _all_files(folder):
        top, *rest = name.split("/")
        if any(part.startswith(".") or part == "__pycache__" for part in (top, *rest)) or _is_left_out(top):
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
    files = folder_files(path)
    if AGENT_FILE not in files:
        raise BundleError(f"Found no `{AGENT_FILE}` in `{path}`; expected an agent's folder.")
    manifest = BundleManifest(
        agent=agent, files={name: str(digest) for name, digest in files.items()}, digest=digest_tree(files)
    )
    (path / MANIFEST).write_bytes(canonical_json(manifest.model_dump(mode="json")) + b"\n")
    return manifest


def folder_files(path: Path) -> dict[str, Digest]:
    """Digest every file of a folder but the manifest and the index, by relative POSIX path."""
    return {name: digest_bytes(file.read_bytes()) for name, file in sorted(_all_files(path)) if _counts(name)}


def _counts(name: str) -> bool:
    return name != MANIFEST and not name.startswith(f"{INDEX}/")


def _is_left_out(top: str) -> bool:
    return any(fnmatch.fnmatchcase(top, pattern) for pattern in _LEFT_OUT)


def _all_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield everything below a folder that is no folder, by its relative POSIX path. A linked folder is one entry."""
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in (*files, *links):
            file = Path(parent) / name
            yield file.relative_to(folder).as_posix(), file
