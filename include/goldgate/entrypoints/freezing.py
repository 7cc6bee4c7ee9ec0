"""Freeze agents into bundles."""

import errno
import platform
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from pathlib import Path

from goldgate.adapters.json_schema import compile_schema
from goldgate.agent.bundle import copy_folder, read_manifest, seal, verify_bundle
from goldgate.agent.folder import AgentFolder, read_agent
from goldgate.agent.memory.corpus import CORPUS_FILE, CorpusRow, build_corpus, write_corpus
from goldgate.agent.tools.toolbox import TOOLS_FILE, PinnedTool, PinnedTools, pin
from goldgate.contracts.base import ContractError
from goldgate.contracts.bundle import BundleManifest, digest_files
from goldgate.contracts.documents import read_jsonl
from goldgate.domain.digest import Digest, canonical_json, digest_json
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.tool_parts import LateToolSession
from goldgate.ports.model import ToolDefinition

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


def freeze_agent(
    folder: Path,
    *,
    into: Path,
    env: Mapping[str, str],
    corpus_cache: Path | None = None,
    leave_out: Collection[str] = (),
) -> FrozenBundle:
    """Freeze an agent's folder: contracts checked, corpus built, tools pinned.

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
        PermanentError: It holds what cannot be frozen, its builder failed, or a server lacks a tool that is allowed.
        TransientError: A tool server could not be started.
    """
    agent = read_agent(folder)
    into.mkdir(parents=True, exist_ok=True)
    staging = into / f".staging-{secrets.token_hex(8)}"
    staging.mkdir()
    try:
        copy_folder(folder, into=staging, leave_out=leave_out)
        rows = _corpus(agent, copied=staging, env=env, cache=corpus_cache)
        (staging / CORPUS_FILE).write_bytes(write_corpus(rows))
        tools = _pinned_tools(agent, copied=staging, env=env)
        (staging / TOOLS_FILE).write_bytes(canonical_json(tools.model_dump(mode="json")) + b"\n")
        manifest = seal(staging, agent=agent.agent.metadata.name)
        target = into / manifest.digest
        if not _is_whole(target):
            _move(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return _frozen(target, manifest, agent, tools)


def _frozen(path: Path, manifest: BundleManifest, agent: AgentFolder, tools: PinnedTools) -> FrozenBundle:
    return FrozenBundle(
        path=path,
        digest=Digest(manifest.digest),
        agent=manifest.agent,
        prompt_id=agent.prompt_id,
        model=agent.llm.spec.model,
        tools=[tool.label for tool in tools.tools],
        files=len(manifest.files),
    )


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
    before = digest_files(copied)
    if cache is None:
        return _built_in(copied, agent, env=env, before=before)
    # Everything a builder can see: the folder, the interpreter, and the packages installed for it.
    installed = sorted(f"{each.name}=={each.version}" for each in distributions())
    key = digest_json([before, platform.python_version(), platform.system(), installed])
    kept = cache / f"{key}.jsonl"
    if kept.exists():
        return read_jsonl(kept, CorpusRow)
    rows = _built_in(copied, agent, env=env, before=before)
    cache.mkdir(parents=True, exist_ok=True)
    half = cache / f".{secrets.token_hex(8)}"
    half.write_bytes(write_corpus(rows))
    half.replace(kept)
    return rows


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
    _require_unchanged(copied, before, agent=agent, by="corpus builder")
    return rows


def _require_unchanged(copied: Path, before: Mapping[str, str], *, agent: AgentFolder, by: str) -> None:
    if changed := sorted(dict(before.items() ^ digest_files(copied).items())):
        raise PermanentError(
            f"The {by} of `{agent.agent.metadata.name}` changed `{'`, `'.join(changed)}` in the agent's folder; "
            "expected it to be left as it is. Write elsewhere."
        )


def _pinned_tools(agent: AgentFolder, *, copied: Path, env: Mapping[str, str]) -> PinnedTools:
    before = digest_files(copied)
    tools = PinnedTools(tools=list(_pins(agent, copied=copied, env=env)))
    _require_unchanged(copied, before, agent=agent, by="start of the tool servers")
    return tools


def _pins(agent: AgentFolder, *, copied: Path, env: Mapping[str, str]) -> Iterator[PinnedTool]:
    owners: dict[str, str] = {}
    for grant, server in zip(agent.agent.spec.tools, agent.servers, strict=True):
        session = LateToolSession(server, folder=copied, env=env)
        try:
            offered = {definition.name: definition for definition in session.definitions()}
        finally:
            session.close()
        for name in grant.allow:
            if name in owners:
                raise PermanentError(
                    f"Found tool `{name}` allowed from `{owners[name]}` and from `{grant.mcp_server}`; expected "
                    f"names that differ, in `{agent.folder}`. Allow one of them."
                )
            owners[name] = grant.mcp_server
            yield pin(grant.mcp_server, _offered(offered, name, server=grant.mcp_server))


def _offered(offered: Mapping[str, ToolDefinition], name: str, *, server: str) -> ToolDefinition:
    if name not in offered:
        names = ", ".join(f"`{each}`" for each in sorted(offered)) or "none"
        raise PermanentError(
            f"Found no tool `{name}` at tool server `{server}`, which offers {names}. Correct `allow` of its grant."
        )
    compile_schema(offered[name].input_schema)
    return offered[name]
