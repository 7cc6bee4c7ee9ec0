"""Opens the agents that a process of TaskRuns needs: from folders of this machine, or out of a cluster."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from goldgate.agent.run_log import LlmTimes
from goldgate.contracts.base import ContractError, Problem
from goldgate.contracts.documents import read_yaml
from goldgate.contracts.task_runs import Task
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.settings import Settings
from goldgate.ports.agents import Agent

FindBundle = Callable[[str, str], Path]
"""Finds the frozen agent by its name, and the digest of the bundle that began the run; empty: as it is now."""

_BUNDLE: Final = re.compile(r"[0-9a-f]{64}(/agents/[a-z0-9][-a-z0-9]*)*")


@dataclass(frozen=True, kw_only=True)
class AgentSource:
    """Where a run finds its agents, and the Tasks that it may be of."""

    find_bundle: FindBundle
    find_task: Callable[[str], Task]


@contextmanager
def agent_source(settings: Settings, *, env: Mapping[str, str], run: str) -> Iterator[AgentSource]:
    """Find agents where the runs are: in the cluster that the settings name, else in the folders of this machine.

    Args:
        settings: Where everything is.
        env: The environment that agents' resources refer to.
        run: Name of the run that is worked on.
    """
    if not settings.cluster:
        yield AgentSource(
            find_bundle=lambda name, bundle: _local_bundle(name, bundle, settings=settings, env=env),
            find_task=lambda name: find_task(name, agents=settings.agents),
        )
        return
    # Only in a cluster: what speaks to it takes as long to import as all the rest.
    from goldgate.entrypoints.cluster_agents import ClusterAgents, opened_resources  # noqa: PLC0415

    with opened_resources(settings) as resources:
        agents = ClusterAgents(resources=resources, bundles=settings.home / "bundles", run=run, env=env)
        yield AgentSource(find_bundle=agents.bundle_of, find_task=agents.find_task)


def find_task(name: str, *, agents: Path) -> Task:
    """Find a Task by its name in `<agent>/tasks/<name>.yaml`.

    Raises:
        PermanentError: There is none, there are several, or it breaks its contract.
    """
    found = sorted(agents.glob(f"*/tasks/{name}.yaml"))
    if len(found) != 1:
        places = ", ".join(f"`{path}`" for path in found) or "none"
        raise PermanentError(
            f"Found {places} for task `{name}`; expected exactly one `<agent>/tasks/{name}.yaml` in `{agents}`."
        )
    task = read_yaml(found[0], Task)
    if task.metadata.name != name:
        problem = Problem(
            where=str(found[0]), field="metadata.name", found=f"`{task.metadata.name}`", expected=f"`{name}`"
        )
        raise ContractError([problem])
    return task


class AgentOpener:
    """Opens the agents of one run and of those that it asks. Their spans go one way, that of the first agent."""

    def __init__(self, *, settings: Settings, env: Mapping[str, str], find_bundle: FindBundle | None = None) -> None:
        """Open nothing yet.

        Args:
            settings: Where spans go, and where agents are.
            env: The environment that the agents' resources refer to.
            find_bundle: Where frozen agents come from. None: from the folders of this machine.
        """
        self._settings = settings
        self._env = settings.completed(env)
        self._find_bundle = find_bundle or (
            lambda name, bundle: _local_bundle(name, bundle, settings=settings, env=self._env)
        )
        self._lock = threading.Lock()
        self._sink: LlmTimes | None = None
        self._prompts: dict[str, str] = {}

    def __call__(self, name: str, bundle: str) -> Agent:
        """Open an agent.

        Args:
            name: By which it is found.
            bundle: The frozen agent that began the run, `<digest>` or `<digest>/agents/<name>` of one inside another.
                Empty: as it is now.

        Raises:
            TransientError: There is no such agent, or that bundle is gone; it may come back.
            PermanentError: It cannot answer as it is.
        """
        # Imported late: reading a record, waiting and refusing need none of it.
        from goldgate.entrypoints.agents import load_agent  # noqa: PLC0415 - as above

        if bundle and not _BUNDLE.fullmatch(bundle):
            raise PermanentError(f"Found the bundle `{bundle}` in the record; expected a digest. Restore the record.")
        agent = load_agent(self._find_bundle(name, bundle), env=self._env, sink=self._sink_for(name))
        self._prompts[agent.digest] = agent.prompt_id
        return agent

    def prompt_of(self, bundle: str) -> str | None:
        """Return the prompt id of an agent that was opened."""
        return self._prompts.get(bundle)

    def llm_ms_of(self, span_id: str | None) -> float:
        """Tell how long models took below a root span, in this process."""
        return 0.0 if self._sink is None else self._sink.take(span_id)

    def close(self) -> None:
        """Send the spans that are left, within a bounded time."""
        if self._sink is not None:
            self._sink.close()

    def _sink_for(self, agent: str) -> LlmTimes:
        from goldgate.entrypoints.tracing import open_sink  # noqa: PLC0415 - as above

        with self._lock:
            if self._sink is None:
                self._sink = LlmTimes(open_sink(self._settings, env=self._env, agent=agent))
            return self._sink


def _local_bundle(name: str, bundle: str, *, settings: Settings, env: Mapping[str, str]) -> Path:
    bundles = settings.home / "bundles"
    if bundle:
        if not (bundles / bundle).is_dir():
            raise TransientError(
                f"Found no bundle `{bundle}` in `{bundles}`, by which the run was begun; it ends with no other. Bring "
                "it back, or cancel the run and start it anew."
            )
        return bundles / bundle
    folder = settings.agents / name
    if not (folder / "agent.yaml").is_file():
        raise TransientError(
            f"Found no agent `{name}` in `{settings.agents}`; expected `{name}/agent.yaml`. Run again when it is there."
        )
    from goldgate.entrypoints.frozen_agents import bundle_of  # noqa: PLC0415 - only to begin a run

    return bundle_of(folder, bundles=bundles, env=env, corpus_cache=settings.home / "corpora")
