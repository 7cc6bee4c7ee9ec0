"""Bundles of agents as their folders are now, frozen once.

Freezing starts the tool servers to hold them to their pins, which takes a second for one in Python. For a folder that
was frozen before as it is now, nothing of that can have another outcome that matters: its pins are the folder's, and
tools that drift from them are found when they are called.
"""

import contextlib
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path

from goldgate.agent.folder import read_agent
from goldgate.agent.foreign.folder import kind_of
from goldgate.contracts.bundle import MANIFEST, digest_files
from goldgate.contracts.durable import write_durably
from goldgate.domain.digest import Digest, digest_json
from goldgate.entrypoints.sub_agents import sub_agents

_NOTES = ".of-folders"
"""Below the bundles: for each state of a folder, the digest of the bundle that came of it."""


def bundle_of(folder: Path, *, bundles: Path, env: Mapping[str, str], corpus_cache: Path) -> Path:
    """Freeze an agent's folder, unless it was frozen as it is now; see `goldgate.entrypoints.freezing.freeze_agent`."""
    note = bundles / _NOTES / _key(folder)
    with contextlib.suppress(FileNotFoundError):
        known = bundles / note.read_text(encoding="ascii").strip()
        if (known / MANIFEST).is_file():
            return known  # whoever loads it holds its files to its digest
    from goldgate.entrypoints.freezing import freeze_agent  # noqa: PLC0415 - not needed for what was frozen before

    frozen = freeze_agent(folder, into=bundles, env=env, corpus_cache=corpus_cache)
    write_durably(note, f"{frozen.digest}\n".encode("ascii"))
    return frozen.path


def _key(folder: Path) -> Digest:
    """Name the state of a folder and of everything else that a bundle of it depends on."""
    folders = list(_folders(folder))
    files = {path.name: dict(digest_files(path)) for path, _ in folders}
    # A builder sees the packages that are installed; looking them up takes a tenth of a second.
    builds = any(has_builder for _, has_builder in folders)
    installed = sorted(f"{each.name}=={each.version}" for each in distributions()) if builds else []
    return digest_json([folder.name, files, platform.python_version(), platform.system(), installed])


def _folders(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield an agent's folder and those of the agents it may ask; with each, whether a program builds its corpus."""
    if kind_of(folder) != "declared":
        yield folder, False
        return
    agent = read_agent(folder)
    yield folder, agent.agent.spec.corpus.builder is not None
    for below in sub_agents(agent):
        yield from _folders(below)
