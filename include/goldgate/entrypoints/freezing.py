"""Freeze agents into bundles."""

import errno
import platform
import secrets
import shutil
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from goldgate.agent.bundle import AGENTS_FOLDER, copy_folder, read_manifest, seal, sub_bundle, verify_bundle
from goldgate.agent.folder import AgentFolder, read_agent
from goldgate.agent.foreign.folder import kind_of
from goldgate.agent.foreign.runtime import foreign_prompt_id
from goldgate.agent.memory.corpus import CORPUS_FILE, CorpusRow, build_corpus, write_corpus
from goldgate.agent.staging import staged
from goldgate.agent.tools.pins import TOOLS_FILE, PinnedTool, read_pins, refuse_drift, refuse_other_pins, write_pins
from goldgate.contracts.base import ContractError
from goldgate.contracts.bundle import digest_files
from goldgate.contracts.documents import read_jsonl
from goldgate.domain.digest import Digest, digest_json, short
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.foreign import copy_foreign
from goldgate.entrypoints.pinning import PinProposal, ask_servers, propose_pins, refuse_unfit_schemas
from goldgate.entrypoints.sub_agents import judging_files, sub_agents
from goldgate.release.check import refuse_secrets

_BUILDER_ENV = ("PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV", "LANG", "LC_ALL", "TMPDIR", "AIRFLOW_HOME")
"""All that a corpus builder gets: no addresses, no keys."""


@dataclass(frozen=True, kw_only=True)
class FrozenBundle:
    """An agent's folder, frozen."""

    path: Path
    digest: Digest
    agent: str
    prompt_id: str
    model: str
    tools: list[str]
    """Allowed tools with the hash of their definition, `name@sha12`, in the order of the grants."""
    files: int
    agents: tuple[str, ...] = ()
    """The agents that it may ask, frozen with it, `name@sha12`."""


def freeze_agent(
    folder: Path,
    *,
    into: Path,
    env: Mapping[str, str],
    corpus_cache: Path | None = None,
    leave_out: Collection[str] = (),
) -> FrozenBundle:
    """Freeze an agent's folder: contracts checked, corpus built, tools held to their pins, sub-agents frozen with it.

    The same folder gives the same digest on every machine, as long as its corpus builder prints and its tool servers
    offer the same. An existing whole bundle is reused.

    Args:
        folder: The agent's folder. It is only read.
        into: The bundle becomes `into/<digest>`; a half-written one never has that name.
        env: The environment. Its PATH finds tool servers; of the rest a builder gets next to nothing.
        corpus_cache: Folder of corpora built before, by everything that can change them; None builds anew.
        leave_out: What judges the agent, by relative POSIX path: neither its corpus builder nor the bundle gets it.

    Raises:
        ContractError: The folder breaks its contracts.
        PermanentError: It holds what cannot be frozen, its builder failed, or agents ask each other in a circle or
            deeper than `maxDepth`.
        DriftError: A tool server offers another tool than the pinned one.
        TransientError: A tool server could not be started.
    """
    if kind_of(folder) != "declared":
        return _freeze_foreign(folder, into=into, leave_out=leave_out)
    agent = read_agent(folder)
    asked = sub_agents(agent)
    with staged(into) as staging:
        copy_folder(folder, into=staging, leave_out=leave_out)
        rows = _corpus(agent, copied=staging, env=env, cache=corpus_cache)
        (staging / CORPUS_FILE).write_bytes(write_corpus(rows))
        pins = _held_pins(agent, copied=staging, env=env)
        (staging / TOOLS_FILE).write_text(write_pins(pins), encoding="utf-8")
        frozen = [_freeze_into(staging, each, env=env, corpus_cache=corpus_cache) for each in asked]
        manifest = seal(staging, agent=agent.agent.metadata.name)
        target = into / manifest.digest
        if not _is_whole(target):
            _move(staging, target)
    return FrozenBundle(
        path=target,
        digest=Digest(manifest.digest),
        agent=manifest.agent,
        prompt_id=agent.prompt_id,
        model=agent.llm.spec.model,
        tools=[tool.label for tool in pins],
        files=len(manifest.files),
        agents=tuple(f"{each.agent}@{short(each.digest)}" for each in frozen),
    )


def _freeze_foreign(folder: Path, *, into: Path, leave_out: Collection[str]) -> FrozenBundle:
    """Freeze an agent that was written elsewhere: its files, and the environment that they run in."""
    with staged(into) as staging:
        agent = copy_foreign(folder, into=staging, leave_out=leave_out)
        manifest = seal(staging, agent=agent.name)
        target = into / manifest.digest
        if not _is_whole(target):
            _move(staging, target)
    return FrozenBundle(
        path=target,
        digest=Digest(manifest.digest),
        agent=agent.name,
        prompt_id=foreign_prompt_id(agent, digest=manifest.digest),
        model=agent.model,
        tools=[],
        files=len(manifest.files),
    )


def propose_agent_pins(
    folder: Path, *, into: Path, env: Mapping[str, str], corpus_cache: Path | None = None
) -> PinProposal:
    """Ask the tool servers of an agent's folder what they offer, as they are when it is frozen.

    Args:
        folder: The agent's folder. It is only read.
        into: Where a copy is laid for a while: a server may read the corpus that is built there.
        env: The environment.
        corpus_cache: As for `freeze_agent`.

    Raises:
        ContractError: The folder breaks its contracts.
        PermanentError: A server lacks a tool that is allowed, or a schema is not JSON Schema.
        TransientError: A tool server could not be started.
    """
    agent = read_agent(folder)
    with staged(into) as staging:
        copy_folder(folder, into=staging, leave_out=judging_files(folder))
        rows = _corpus(agent, copied=staging, env=env, cache=corpus_cache)
        (staging / CORPUS_FILE).write_bytes(write_corpus(rows))
        return propose_pins(agent, ask_servers(agent, folder=staging, env=env))


def _freeze_into(staging: Path, folder: Path, *, env: Mapping[str, str], corpus_cache: Path | None) -> FrozenBundle:
    """Freeze an agent that another one may ask, inside the other's bundle."""
    refuse_secrets(folder)
    into = staging / AGENTS_FOLDER / ".frozen"
    bundle = freeze_agent(folder, into=into, env=env, corpus_cache=corpus_cache, leave_out=judging_files(folder))
    place = sub_bundle(staging, bundle.agent)
    bundle.path.rename(place)
    shutil.rmtree(into)
    return replace(bundle, path=place)


def _is_whole(bundle: Path) -> bool:
    if not bundle.exists():
        return False
    try:
        return verify_bundle(bundle) == read_manifest(bundle).digest
    except PermanentError:
        # What bears this name is not it. It is moved out of the way; whoever has it open keeps the files.
        shutil.rmtree(bundle)
        return False


def _move(staging: Path, target: Path) -> None:
    try:
        staging.rename(target)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        verify_bundle(target)  # another process was faster; what it wrote must be whole


def _corpus(agent: AgentFolder, *, copied: Path, env: Mapping[str, str], cache: Path | None) -> list[CorpusRow]:
    before, corpus = digest_files(copied), agent.agent.spec.corpus
    if cache is None or not (corpus.files or corpus.builder):
        return _built_in(copied, agent, env=env, before=before)
    # Everything a builder can see: the folder, the interpreter, and the packages installed for it.
    key = digest_json([before, platform.python_version(), platform.system(), _installed()])
    kept = cache / f"{key}.jsonl"
    if kept.exists():
        return read_jsonl(kept, CorpusRow)
    rows = _built_in(copied, agent, env=env, before=before)
    cache.mkdir(parents=True, exist_ok=True)
    half = cache / f".{secrets.token_hex(8)}"
    half.write_bytes(write_corpus(rows))
    half.replace(kept)
    return rows


def _installed() -> list[str]:
    """Name the packages of this interpreter with their versions, by the folders of their metadata.

    `importlib.metadata.distributions` reads a file for each: 0.5 s for 260 packages, at every freeze.
    """
    return sorted(
        found.name
        for place in sys.path
        for kind in ("dist-info", "egg-info")
        for found in Path(place).glob(f"*.{kind}")
    )


def _built_in(
    copied: Path, agent: AgentFolder, *, env: Mapping[str, str], before: Mapping[str, str]
) -> list[CorpusRow]:
    """Build a corpus from the copy: what judges the agent is not there to be read."""
    builder_env = {name: env[name] for name in _BUILDER_ENV if name in env}
    try:
        rows = build_corpus(replace(agent, folder=copied), env=builder_env)
    except ContractError as error:
        # People know the folder, not its copy.
        problems = [replace(each, where=each.where.replace(str(copied), str(agent.folder))) for each in error.problems]
        raise ContractError(problems) from None
    _require_unchanged(copied, before, agent=agent)
    return rows


def _require_unchanged(copied: Path, before: Mapping[str, str], *, agent: AgentFolder) -> None:
    if changed := sorted(dict(before.items() ^ digest_files(copied).items())):
        raise PermanentError(
            f"The corpus builder of `{agent.agent.metadata.name}` changed `{'`, `'.join(changed)}` in the agent's "
            "folder; expected it to be left as it is. Write elsewhere."
        )


def _held_pins(agent: AgentFolder, *, copied: Path, env: Mapping[str, str]) -> list[PinnedTool]:
    """Read the pins that were reviewed, and hold the servers to them as they are now."""
    name = agent.agent.metadata.name
    pins = read_pins(agent.folder)
    refuse_other_pins(agent.agent.spec.tools, pins, agent=name)
    for tool in pins:
        refuse_unfit_schemas(tool.definition, server=tool.server)
    if pins:
        refuse_drift(pins, ask_servers(agent, folder=copied, env=env), agent=name)
    return pins
