"""Run an agent on one message, every transition recorded before it is acted on: `<home>/taskruns/<name>.json`.

`python -m goldgate.entrypoints.task_run NAME` works on a run that was created before. A process that is asked to end
(SIGTERM) records how far it came and lets go of the run within a second; whoever runs it again goes on.

Exit codes: 0 answered, 1 failed, 2 wrong usage, 5 impossible as it is, 6 waits for a person, 75 not now: interrupted,
worked on by another process, or its agent is not there.
"""

import argparse
import os
import re
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from goldgate.adapters.file_task_runs import FileTaskRunStore
from goldgate.adapters.jsonl_request_log import JsonlRequestLog
from goldgate.adapters.process_owners import is_known_dead, this_process
from goldgate.adapters.system_clock import SystemClock
from goldgate.agent.driver import TaskRunDriver
from goldgate.agent.run_log import LlmTimes, LoggedRuns
from goldgate.agent.run_work import LEASE_S
from goldgate.contracts.base import ContractError, Problem
from goldgate.contracts.documents import read_yaml
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.run_mapping import state_of
from goldgate.contracts.task_runs import Task, TaskRun, TaskRunSpec
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.state import Phase
from goldgate.entrypoints.logs import log_as_json
from goldgate.entrypoints.refusals import refused
from goldgate.entrypoints.settings import RUN_LOG, Settings
from goldgate.ports.agents import Agent
from goldgate.ports.task_runs import LeaseLostError, TaskRunStore

ANSWERED: Final = 0
FAILED: Final = 1
IMPOSSIBLE: Final = 5
WAITING: Final = 6
TRY_AGAIN: Final = 75
"""EX_TEMPFAIL of sysexits.h."""

_LONGEST_NAME: Final = 63
_BUNDLE: Final = re.compile(r"[0-9a-f]{64}(/agents/[a-z0-9][-a-z0-9]*)*")


def open_store(settings: Settings) -> TaskRunStore:
    """Open where the runs of this machine are recorded."""
    return FileTaskRunStore(settings.home / "taskruns", clock=SystemClock(), is_dead=is_known_dead)


def run_task(
    spec: TaskRunSpec | TaskRun,
    *,
    settings: Settings,
    env: Mapping[str, str],
    wait_for_agent_s: float = 0.0,
    stop: threading.Event | None = None,
) -> TaskRun:
    """Work on a TaskRun until it is over, waits for a person or for its agent, or this process is to end.

    One that is over is returned as it was recorded; any other goes on where its record stands.

    Args:
        spec: What to run; a specification alone gets a name of its own.
        settings: Where agents and records are.
        env: The environment that the agent's resources refer to.
        wait_for_agent_s: How long to wait for an agent that is not there, before the run is left waiting.
        stop: Set, it lets go of the run within a second. None: SIGTERM does so, in a main thread that leaves it its
            default effect.

    Raises:
        PermanentError: Another run has that name, or the record cannot be read.
        LeaseLostError: Another process took the run over while this one slept.
        RunHeldError: Another process works on that run.
    """
    run = spec if isinstance(spec, TaskRun) else _named(spec)
    with _driving(settings, env=env, wait_for_agent_s=wait_for_agent_s, stop=stop) as driver:
        return driver.run(run)


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

    def __init__(self, *, settings: Settings, env: Mapping[str, str]) -> None:
        self._settings = settings
        self._env = settings.completed(env)
        self._lock = threading.Lock()
        self._sink: LlmTimes | None = None
        self._prompts: dict[str, str] = {}

    def __call__(self, name: str, bundle: str) -> Agent:
        """Open an agent.

        Args:
            name: Its folder below `settings.agents`.
            bundle: The frozen agent that began the run, `<digest>` or `<digest>/agents/<name>` of one inside another.
                Empty: the folder is frozen as it is now.

        Raises:
            TransientError: There is no such agent, or that bundle is gone; it may come back.
            PermanentError: It cannot answer as it is.
        """
        # Imported late: reading a record, waiting and refusing need none of it.
        from goldgate.entrypoints.agents import load_agent  # noqa: PLC0415 - as above

        path = _bundle_of(name, bundle, settings=self._settings, env=self._env)
        agent = load_agent(path, env=self._env, sink=self._sink_for(name))
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


def _bundle_of(name: str, bundle: str, *, settings: Settings, env: Mapping[str, str]) -> Path:
    bundles = settings.home / "bundles"
    if bundle:
        if not _BUNDLE.fullmatch(bundle):
            raise PermanentError(f"Found the bundle `{bundle}` in the record; expected a digest. Restore the record.")
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


@contextmanager
def _driving(
    settings: Settings,
    *,
    env: Mapping[str, str],
    wait_for_agent_s: float,
    stop: threading.Event | None,
    lease_s: float = LEASE_S,
) -> Iterator[TaskRunDriver]:
    opener = AgentOpener(settings=settings, env=env)
    run_log = JsonlRequestLog(settings.home / RUN_LOG)
    with _stopping(stop) as stopping:
        try:
            yield TaskRunDriver(
                store=LoggedRuns(
                    open_store(settings), log=run_log, llm_ms_of=opener.llm_ms_of, prompt_of=opener.prompt_of
                ),
                open_agent=opener,
                find_task=lambda name: find_task(name, agents=settings.agents).spec,
                clock=SystemClock(),
                owner=this_process(),
                lease_s=lease_s,
                wait_for_agent_s=wait_for_agent_s,
                stop=stopping,
            )
        finally:
            run_log.close()
            opener.close()


def _named(spec: TaskRunSpec) -> TaskRun:
    of = spec.agent_ref or spec.task_ref or ""
    suffix = secrets.token_hex(4)
    name = f"{of[: _LONGEST_NAME - len(suffix) - 1].rstrip('-')}-{suffix}"
    return TaskRun(kind="TaskRun", metadata=Metadata(name=name), spec=spec)


@contextmanager
def _stopping(stop: threading.Event | None) -> Iterator[threading.Event]:
    """Have SIGTERM set an event, unless somebody else has a use for the signal."""
    event = stop or threading.Event()
    is_ours = (
        stop is None
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if is_ours:
        signal.signal(signal.SIGTERM, lambda *_: event.set())
    try:
        yield event
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def exit_code_of(run: TaskRun) -> int:
    """Say how a run stands, as an exit code."""
    state = state_of(run.status)
    if state.phase is Phase.FINAL_ANSWER:
        return ANSWERED
    if state.phase is Phase.FAILED:
        return FAILED
    return WAITING if state.is_waiting_for_a_person else TRY_AGAIN


def main(argv: Sequence[str] | None = None) -> int:
    """Work on a recorded run by its name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="name of a run that was created before")
    parser.add_argument("--wait-for-agent-s", type=float, default=0.0, help="how long to wait for a missing agent")
    parser.add_argument("--lease-s", type=float, default=LEASE_S, help="how long it keeps the run when it hangs")
    arguments = parser.parse_args(argv)
    log_as_json()
    try:
        settings = Settings.from_env(os.environ)
        waits_s = arguments.wait_for_agent_s
        with _driving(
            settings, env=os.environ, wait_for_agent_s=waits_s, stop=None, lease_s=arguments.lease_s
        ) as driver:
            done = driver.go_on(arguments.name)
    except (TransientError, PermanentError) as error:
        print(f"task_run: {error}", file=sys.stderr)  # noqa: T201 - a log
        # A run that another process took over goes on there.
        return TRY_AGAIN if isinstance(error, TransientError | LeaseLostError) else IMPOSSIBLE
    except OSError as error:
        print(f"task_run: {refused(error)}", file=sys.stderr)  # noqa: T201 - as above
        return TRY_AGAIN
    print(f"task_run: {arguments.name}: {done.status.phase.value}: {done.status.status_detail}", file=sys.stderr)  # noqa: T201 - as above
    return exit_code_of(done)


if __name__ == "__main__":
    sys.exit(main())
