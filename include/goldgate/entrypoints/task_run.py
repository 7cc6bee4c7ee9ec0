"""Run an agent on one message, every transition recorded before it is acted on: `<home>/taskruns/<name>.json`.

`python -m goldgate.entrypoints.task_run NAME` works on a run that was created before. A process that is asked to end
(SIGTERM) records how far it came and lets go of the run within a second; whoever runs it again goes on.

Exit codes: 0 answered, 1 failed, 2 wrong usage, 5 impossible as it is, 6 waits for a person, 75 not now: interrupted,
worked on by another process, or its agent is not there.
"""

import gc
import signal
import threading

from goldgate.entrypoints.ending import Ending

ENDING = Ending()
"""This program was asked to end."""

if __name__ == "__main__":
    # Before all else: the first process of a container ignores SIGTERM until it says what to do about it, and what is
    # imported below takes half a second.
    signal.signal(signal.SIGTERM, lambda *_: ENDING.set())
    # What is imported stays until the process ends: to look through it for what could be freed takes a tenth of the
    # time that the imports take.
    gc.set_threshold(50_000)

import argparse
import logging
import os
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Final

from goldgate.adapters.system_clock import SystemClock
from goldgate.agent.driver import TaskRunDriver
from goldgate.agent.run_log import LoggedRuns
from goldgate.agent.run_work import LEASE_S
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.run_mapping import state_of
from goldgate.contracts.task_runs import TaskRun, TaskRunSpec
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.state import Phase
from goldgate.entrypoints.agent_opener import AgentOpener, agent_source
from goldgate.entrypoints.logs import log_as_json
from goldgate.entrypoints.pod_process import gone_before, leave_last_word, open_run_log, owner_in
from goldgate.entrypoints.refusals import refused
from goldgate.entrypoints.run_store import open_store
from goldgate.entrypoints.settings import Settings
from goldgate.ports.task_runs import LeaseLostError

_log = logging.getLogger(__name__)

ANSWERED: Final = 0
FAILED: Final = 1
IMPOSSIBLE: Final = 5
WAITING: Final = 6
TRY_AGAIN: Final = 75
"""EX_TEMPFAIL of sysexits.h."""

_LONGEST_NAME: Final = 63
_RENEWALS_IN_CLUSTER: Final = 4
"""In each time of a lease: two may fail, each after two seconds, before it ends. More cost the API server more, fewer
leave more unknown of what a lost pod worked."""
_LISTEN_IN_CLUSTER_S: Final = 1.0
"""A look for words is a request as well; whoever cancels a run waits so long at most until it hears."""


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
    with _driving(settings, run=run.metadata.name, env=env, wait_for_agent_s=wait_for_agent_s, stop=stop) as driver:
        return driver.run(run)


@contextmanager
def _driving(
    settings: Settings,
    *,
    run: str,
    env: Mapping[str, str],
    wait_for_agent_s: float,
    stop: threading.Event | None,
    lease_s: float = LEASE_S,
) -> Iterator[TaskRunDriver]:
    known = settings.completed(env)
    with (
        _stopping(stop) as stopping,
        agent_source(settings, env=known, run=run) as agents,
        closing(open_run_log(settings, env=env)) as run_log,
        closing(AgentOpener(settings=settings, env=known, find_bundle=agents.find_bundle)) as opener,
        closing(open_store(settings, is_dead=gone_before(env))) as store,
    ):
        yield TaskRunDriver(
            store=LoggedRuns(store, log=run_log, llm_ms_of=opener.llm_ms_of, prompt_of=opener.prompt_of),
            open_agent=opener,
            find_task=lambda name: agents.find_task(name).spec,
            clock=SystemClock(),
            owner=owner_in(env),
            lease_s=lease_s,
            renew_every_s=lease_s / _RENEWALS_IN_CLUSTER if settings.cluster else None,
            listen_every_s=_LISTEN_IN_CLUSTER_S if settings.cluster else 0.0,
            wait_for_agent_s=wait_for_agent_s,
            stop=stopping,
        )


def _named(spec: TaskRunSpec) -> TaskRun:
    of = spec.agent_ref or spec.task_ref or ""
    suffix = secrets.token_hex(4)
    name = f"{of[: _LONGEST_NAME - len(suffix) - 1].rstrip('-')}-{suffix}"
    return TaskRun(kind="TaskRun", metadata=Metadata(name=name), spec=spec)


@contextmanager
def _stopping(stop: threading.Event | None) -> Iterator[threading.Event]:
    """Have SIGTERM set an event, unless somebody else has a use for the signal."""
    event = stop or Ending()
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


def main(argv: Sequence[str] | None = None, *, stop: threading.Event | None = None) -> int:
    """Work on a recorded run by its name; see `run_task` for `stop`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="name of a run that was created before")
    parser.add_argument("--wait-for-agent-s", type=float, default=0.0, help="how long to wait for a missing agent")
    parser.add_argument("--lease-s", type=float, default=LEASE_S, help="how long it keeps the run when it hangs")
    arguments = parser.parse_args(argv)
    log_as_json()
    name: str = arguments.name
    try:
        settings = Settings.from_env(os.environ)
        with _driving(
            settings,
            run=name,
            env=os.environ,
            wait_for_agent_s=arguments.wait_for_agent_s,
            stop=stop,
            lease_s=arguments.lease_s,
        ) as driver:
            done = driver.go_on(name)
    except (TransientError, PermanentError) as error:
        # A run that another process took over goes on there.
        is_passing = isinstance(error, TransientError | LeaseLostError)
        return _gave_up(name, str(error), TRY_AGAIN if is_passing else IMPOSSIBLE)
    except OSError as error:
        return _gave_up(name, refused(error), TRY_AGAIN)
    stands = {"phase": done.status.phase.value, "detail": done.status.status_detail}
    _log.info("task_run.left", extra={"run": name, **stands})
    return exit_code_of(done)


def _gave_up(name: str, reason: str, code: int) -> int:
    event = "task_run.impossible" if code == IMPOSSIBLE else "task_run.not_now"
    _log.error(event, extra={"run": name, "reason": reason})
    leave_last_word(reason, env=os.environ)
    return code


if __name__ == "__main__":
    code = main(stop=ENDING)
    # Else the interpreter looks through all that was imported for what could be freed, for a third of a second.
    gc.freeze()
    sys.exit(code)
