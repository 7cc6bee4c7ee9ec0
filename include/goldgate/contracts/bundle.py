"""The frozen folder of an agent: its manifest, and the check that a folder is what its digest says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import Field

from goldgate.contracts.base import Contract
from goldgate.contracts.documents import read_json
from goldgate.domain.digest import Digest, digest_bytes, digest_tree, short
from goldgate.domain.errors import PermanentError

MANIFEST: Final = "bundle.json"

ENVIRONMENT_MARK: Final = "pyvenv.cfg"
"""Stands in every virtual environment (PEP 405). One in an agent's folder is its author's, and no part of the agent."""


class BundleError(PermanentError):
    """A folder is not the bundle that its digest names."""


class BundleManifest(Contract):
    """`bundle.json`: what a bundle holds."""

    agent: str
    files: dict[str, str]
    """Relative POSIX path to SHA-256 of the file."""
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")


def digest_files(folder: Path) -> dict[str, Digest]:
    """Digest every file of a bundle, but the manifest.

    Raises:
        BundleError: A link: what it points to may change after it was digested.
    """
    files: dict[str, Digest] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if relative.as_posix() == MANIFEST:
            continue
        if path.is_symlink():
            raise BundleError(f"Found the link `{path}`; expected files and folders only. Copy what it points to.")
        if path.is_file():
            files[relative.as_posix()] = digest_bytes(path.read_bytes())
    return files


def check_bundle(folder: Path, *, digest: str) -> BundleManifest:
    """Hold a folder to its digest, by its bytes and by its manifest.

    Raises:
        BundleError: A file was changed, added or removed, or the manifest is of another bundle.
        ContractError: There is no manifest, or it is damaged.
    """
    manifest = read_json(folder / MANIFEST, BundleManifest)
    files = digest_files(folder)
    found = digest_tree(files)
    if found == digest == manifest.digest:
        return manifest
    raise BundleError(
        f"The bundle in `{folder}` has the digest {short(found)}, its manifest says {short(manifest.digest)}, and "
        f"{short(digest)} was expected. {_differences(files, manifest)} Delete the folder, and fetch or freeze again."
    )


def _differences(files: Mapping[str, str], manifest: BundleManifest) -> str:
    names = sorted(files.keys() | manifest.files.keys())
    differing = [name for name in names if files.get(name) != manifest.files.get(name)]
    if not differing:
        return "No file differs from the manifest: it is of another bundle, or was changed."
    told = ", ".join(f"`{name}` {_how(name, files, manifest)}" for name in differing[:5])
    return f"Against the manifest: {told}{' and more' if len(differing) > 5 else ''}."  # noqa: PLR2004 - one line of a message


def _how(name: str, files: Mapping[str, str], manifest: BundleManifest) -> str:
    if name not in manifest.files:
        return "extra"
    return "changed" if name in files else "missing"
