"""`make demo`: an agent's story, played by the real scheduler with live traffic, and held against what it tells.

Knows no agent: everything it plays is in the agent's folder. The stack stays up afterwards.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from rich.console import Console

from goldgate.adapters.airflow_rest import AirflowRest
from goldgate.adapters.live_traffic import Asked, LiveTraffic, VersionProbe
from goldgate.contracts.demo import DemoRelease, DemoReport, DemoRollback
from goldgate.contracts.durable import write_durably
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints import local
from goldgate.entrypoints.demo_report import problems_of_story, release_of, shown, traffic_of
from goldgate.entrypoints.demo_story import RUN_PREFIX, Chapter, Told, read_story, write_chapters
from goldgate.entrypoints.demo_telling import telling
from goldgate.entrypoints.local_airflow import password_of
from goldgate.entrypoints.refusals import refused
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.wiring import Wiring
from goldgate.ports.records import Ledger

Say = Callable[[str], None]
T = TypeVar("T")

RELEASE_WITHIN_S: Final = 900.0
ROLLBACK_WITHIN_S: Final = 180.0
_SERVED_WITHIN_S: Final = 15.0
_DAG_WITHIN_S: Final = 90.0
_LOOK_EVERY_S: Final = 0.7
_LOOKS: Final = 40
_PLAIN_WIDTH: Final = 160
"""Columns of the tables in a log file."""

_EARLIER: Final = "earlier"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What every part of the demonstration needs."""

    settings: Settings
    agent: str
    airflow: AirflowRest
    wiring: Wiring
    say: Say


def run_demo(
    settings: Settings,
    *,
    agent: str,
    story: str = "story.yaml",
    env: Mapping[str, str] | None = None,
    say: Say = local.print_line,
) -> int:
    """Play an agent's story from the beginning, show what came of it, and leave the stack up.

    A story begins without a champion, so what an earlier demonstration left in the home folder is moved to
    `earlier/<n>/` in it. Where there are other releases, nothing is touched.

    Returns:
        0 if every release ended as the story says and the rollback was served; else 1.

    Raises:
        PermanentError: The stack, or a DAG run, could not do its work. An interrupted demonstration ends the stack.
    """
    began = time.monotonic()
    started_at = datetime.now(UTC)
    told = read_story(settings, agent=agent, story=story)
    try:
        _set_aside(settings, say=say)
        local.up(settings, env=env, say=say)
        report = _play(settings, told, started_at=started_at, began=began, say=say)
    except KeyboardInterrupt:
        say("Interrupted.")
        local.down(settings, say=say)
        raise
    write_durably(settings.home / "demo.json", (report.model_dump_json(indent=2) + "\n").encode())
    Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH).print(shown(report), crop=False)
    say(f"As JSON: {settings.home / 'demo.json'}")
    say(f"Airflow: {settings.airflow_url} (user `admin`, password in {local.status(settings).passwords})")
    say(f"MLflow: {settings.mlflow_url}   Everything stays up until `make down`.")
    return 1 if report.problems else 0


def _play(settings: Settings, told: Told, *, started_at: datetime, began: float, say: Say) -> DemoReport:
    agent = told.folder.name
    airflow = AirflowRest(settings.airflow_url, user="admin", password=password_of(settings, "admin"))
    stage = Stage(settings=settings, agent=agent, airflow=airflow, wiring=Wiring(settings), say=say)
    chapters = write_chapters(told, into=settings.home / "demo")
    _await_dag(stage, "agent_release")
    asked = [Asked(question=one.question, context=one.context) for one in told.questions]
    live = told.story.live
    traffic = LiveTraffic(
        settings.router_url, agent=agent, questions=asked, per_second=live.requests_per_second, callers=live.callers
    )
    say(f"Live traffic: {live.requests_per_second:g} requests a second from {live.callers} callers")
    traffic.start()
    try:
        releases = [_release(stage, chapter) for chapter in chapters]
        rollback = _rollback(stage, releases, asked=min(asked, key=lambda one: len(one.question)))
    finally:
        count = traffic.stop()
        airflow.close()
    return DemoReport(
        agent=agent,
        home=str(settings.home),
        started_at=started_at,
        seconds=time.monotonic() - began,
        releases=releases,
        rollback=rollback,
        traffic=traffic_of(count),
        problems=problems_of_story(releases, rollback),
    )


def _release(stage: Stage, chapter: Chapter) -> DemoRelease:
    stage.say(f"\nRelease `{chapter.release.name}`: {chapter.release.reason}")
    began = time.monotonic()
    conf = {"agent": stage.agent, "source": str(chapter.source), "reason": chapter.release.reason}
    stage.airflow.trigger("agent_release", run_id=chapter.run_id, conf=conf)
    steps_s = _follow(stage, "agent_release", chapter.run_id, within_s=RELEASE_WITHIN_S)
    found = release_of(
        chapter,
        store=stage.wiring.store,
        seconds=time.monotonic() - began,
        steps_s=steps_s,
        airflow_url=stage.airflow.run_url("agent_release", chapter.run_id),
    )
    as_told = "as the story says" if found.outcome == found.expected else f"but the story says {found.expected}"
    stage.say(f"  {found.outcome}, {as_told}; champion: {found.champion or 'none'}; {found.seconds:.0f} s")
    return found


def _rollback(stage: Stage, releases: Sequence[DemoRelease], *, asked: Asked) -> DemoRollback | None:
    champions = list(dict.fromkeys(one.champion for one in releases if one.outcome == "promoted" and one.champion))
    if len(champions) < 2:  # noqa: PLR2004 - one to leave, one to go back to
        return None
    wanted, run_id = champions[-2], f"{RUN_PREFIX}rollback"
    stage.say(f"\nRollback: from version {champions[-1]} to the champion before it")
    probe = VersionProbe(stage.settings.router_url, agent=stage.agent, asked=asked, version=wanted)
    probe.start()
    conf = {"agent": stage.agent, "version": None, "reason": "Demonstration: the way back."}
    stage.airflow.trigger("agent_rollback", run_id=run_id, conf=conf)
    _follow(stage, "agent_rollback", run_id, within_s=ROLLBACK_WITHIN_S)
    result: dict[str, Any] = stage.airflow.result("agent_rollback", run_id, "rollback") or {}
    seen_at = probe.seen_at(within_s=_SERVED_WITHIN_S)
    moved_at = began_to_move(stage.wiring.ledger, agent=stage.agent)
    served_after_s = None if seen_at is None or moved_at is None else seen_at - moved_at.timestamp()
    stage.say("  not served" if served_after_s is None else f"  served after {served_after_s * 1000:.0f} ms")
    return DemoRollback(
        outcome=str(result.get("outcome", "failed")),
        from_version=champions[-1],
        to_version=wanted,
        served_after_s=served_after_s,
        airflow_url=stage.airflow.run_url("agent_rollback", run_id),
    )


def began_to_move(ledger: Ledger, *, agent: str) -> datetime | None:
    """When the latest rollback was written down before its alias moved; None if none was."""
    rollbacks = [entry for entry in ledger.entries(agent=agent) if entry.step == "rollback"]
    intents = [entry.at for entry in rollbacks if entry.outcome not in {"rolled_back", "superseded"}]
    return intents[-1] if intents else None


def _follow(stage: Stage, dag_id: str, run_id: str, *, within_s: float) -> dict[str, float]:
    """Tell each task when it ends, until the run has ended."""
    began, told, steps_s = time.monotonic(), dict[str, str | None](), dict[str, float]()
    while True:
        state = _patiently(lambda: stage.airflow.run_state(dag_id, run_id))
        for task in _patiently(lambda: stage.airflow.tasks(dag_id, run_id)):
            if told.get(task.task_id) == task.state:
                continue
            told[task.task_id] = task.state
            if task.started_at and task.ended_at and task.state in {"success", "failed"}:
                steps_s[task.task_id] = (task.ended_at - task.started_at).total_seconds()
            result = stage.airflow.result(dag_id, run_id, task.task_id) if task.state in {"success", "failed"} else None
            if text := telling(task.task_id, task.state, result, seconds=steps_s.get(task.task_id)):
                stage.say(f"  {time.monotonic() - began:6.1f} s  {text}")
        if state in {"success", "failed"}:
            return steps_s
        if time.monotonic() - began > within_s:
            where = stage.airflow.run_url(dag_id, run_id)
            raise PermanentError(f"The run `{run_id}` of {dag_id} is `{state}` after {within_s:.0f} s. Look: {where}")
        time.sleep(_LOOK_EVERY_S)


def _patiently(look: Callable[[], T]) -> T:
    """Look again when Airflow does not answer: its API server may have been restarted."""
    for _ in range(_LOOKS):
        try:
            return look()
        except TransientError:
            time.sleep(_LOOK_EVERY_S)
    return look()


def _await_dag(stage: Stage, dag_id: str) -> None:
    began = time.monotonic()
    while not stage.airflow.knows(dag_id):
        if time.monotonic() - began > _DAG_WITHIN_S:
            log = stage.settings.home / "logs" / "dag-processor.log"
            raise PermanentError(f"Airflow has no DAG `{dag_id}` after {_DAG_WITHIN_S:.0f} s. Look at {log}.")
        time.sleep(_LOOK_EVERY_S)


def _set_aside(settings: Settings, *, say: Say) -> None:
    """Move what an earlier run left, so that the story begins without a champion. Nothing is deleted."""
    releases = settings.home / "releases"
    if not releases.is_dir() or not any(releases.iterdir()):
        return
    _refuse_foreign(settings)
    if local.status(settings).up:
        local.down(settings, say=say)
    aside = _free_folder(settings.home / _EARLIER)
    for path in settings.home.iterdir():
        if path.name != _EARLIER:
            path.rename(aside / path.name)
    say(f"What an earlier run left is in {aside} now.")


def _refuse_foreign(settings: Settings) -> None:
    """Leave alone what somebody released for real: moving it aside would take it offline."""
    opened = [entry for entry in Wiring(settings).ledger.entries() if (entry.step, entry.outcome) == ("open", "opened")]
    foreign = sorted({entry.release_id for entry in opened if not entry.release_id.startswith(RUN_PREFIX)})
    if foreign:
        raise PermanentError(
            f"Found releases in `{settings.home}` that are not the demonstration's: {', '.join(foreign[:5])}. It would "
            "move them aside and take their agents offline. Give it a folder and ports of its own (GOLDGATE_HOME, "
            "GOLDGATE_*_URL), or move `releases` and `ledger` away yourself."
        )


def _free_folder(below: Path) -> Path:
    number = 1
    while True:
        try:
            (below / str(number)).mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return below / str(number)


def main(argv: Sequence[str] | None = None) -> int:
    """Play a story; 130 if it was interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", required=True, help="an agent whose folder holds a story")
    parser.add_argument("--story", default="story.yaml", help="file in the agent's folder (default story.yaml)")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run_demo(Settings.from_env(os.environ), agent=arguments.agent, story=arguments.story)
    except (PermanentError, TransientError) as error:
        print(f"demo: {error}", file=sys.stderr)  # noqa: T201 - a command that talks to people
        return 1
    except OSError as error:
        print(f"demo: {refused(error)}", file=sys.stderr)  # noqa: T201 - as above
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
