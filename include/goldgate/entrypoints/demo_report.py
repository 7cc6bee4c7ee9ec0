"""What a demonstration shows in the end: the records of its releases, held against the story."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from goldgate.adapters.live_traffic import TrafficCount
from goldgate.contracts.demo import DemoRelease, DemoReport, DemoRollback, DemoTraffic
from goldgate.contracts.release import CanaryRecord, Closing, Evaluation, Judgement
from goldgate.entrypoints.demo_story import Chapter
from goldgate.entrypoints.demo_telling import in_short
from goldgate.entrypoints.display import gates_table
from goldgate.ports.records import ReleaseStore


def release_of(
    chapter: Chapter, *, store: ReleaseStore, seconds: float, steps_s: Mapping[str, float], airflow_url: str
) -> DemoRelease:
    """Read what a release left."""
    closing = store.read(chapter.run_id, Closing)
    judgement = store.read(chapter.run_id, Judgement)
    evaluation = store.read(chapter.run_id, Evaluation)
    return DemoRelease(
        name=chapter.release.name,
        release_id=chapter.run_id,
        expected=chapter.release.expect,
        outcome=closing.outcome if closing else "unknown",
        step=closing.step if closing else "",
        reason=closing.reason if closing else "The release left no record of its end.",
        champion=closing.champion if closing else None,
        gates=judgement.gates if judgement else [],
        broken_rows=[row.row_id for row in judgement.broken_rows] if judgement else [],
        canary=store.read(chapter.run_id, CanaryRecord),
        seconds=seconds,
        steps_s=dict(steps_s),
        airflow_url=airflow_url,
        mlflow_url=evaluation.run_url if evaluation else None,
        report_url=judgement.report_url if judgement else None,
    )


def traffic_of(count: TrafficCount) -> DemoTraffic:
    """Say how live traffic went."""
    return DemoTraffic(
        sent=count.sent,
        answered=count.answered,
        before_first_champion=count.not_served,
        failed=count.failed,
        by_version=count.by_version,
    )


def problems_of_story(releases: Sequence[DemoRelease], rollback: DemoRollback | None) -> list[str]:
    """Name everything that did not go as the story says."""
    problems = []
    champion: str | None = None
    for one in releases:
        if one.outcome != one.expected:
            problems.append(
                f"Release `{one.name}`: {one.outcome} at `{one.step}`, expected {one.expected}. {one.reason}"
            )
        elif one.outcome != "promoted" and one.champion != champion:
            problems.append(
                f"Release `{one.name}`: {one.outcome}, but the champion moved from {champion} to {one.champion}."
            )
        champion = one.champion
    return problems + _problems_of_rollback(rollback)


def _problems_of_rollback(rollback: DemoRollback | None) -> list[str]:
    if rollback is None:
        return []
    if rollback.outcome != "rolled_back":
        return [f"The rollback ended as {rollback.outcome}, expected rolled_back."]
    if rollback.served_after_s is None:
        return [f"The router never answered with version {rollback.to_version} after the rollback."]
    return []


def shown(report: DemoReport) -> RenderableType:
    """Draw a demonstration for people."""
    parts: list[RenderableType] = []
    for one in report.releases:
        if one.gates:
            gates = gates_table(one.gates)
            gates.title = f"Gates of {one.name}"
            parts += [gates, ""]
    parts += [_releases_table(report), ""]
    parts += [*(Text(line, no_wrap=True, overflow="ignore") for line in (*_links(report), "", *_lines(report)))]
    return Group(*parts)


def _releases_table(report: DemoReport) -> Table:
    table = Table(title="Releases", title_justify="left")
    for column in ("release", "outcome", "told by the story", "canary", "champion", "seconds", "why"):
        table.add_column(column, overflow="fold")
    for one in report.releases:
        colour = "green" if one.outcome == one.expected else "red"
        canary = one.canary.outcome if one.canary else "not reached"
        table.add_row(
            one.name,
            f"[{colour}]{one.outcome}[/]",
            one.expected,
            canary,
            one.champion or "none",
            f"{one.seconds:.0f}",
            in_short(one.reason),
        )
    return table


def _links(report: DemoReport) -> Iterator[str]:
    """Plain lines: a table would cut addresses where a terminal ends."""
    yield "Links"
    for one in report.releases:
        yield f"  {one.name}"
        yield f"    Airflow run  {one.airflow_url}"
        yield f"    MLflow run   {one.mlflow_url or 'none'}"
        yield f"    report       {one.report_url or 'none'}"
    if report.rollback:
        yield f"  rollback\n    Airflow run  {report.rollback.airflow_url}"


def _lines(report: DemoReport) -> list[str]:
    traffic = report.traffic
    failed, early = traffic.failed, traffic.before_first_champion
    lines = [f"Live traffic: {traffic.answered} answered, {failed} failed, {early} before the first champion."]
    if report.rollback and report.rollback.served_after_s is not None:
        lines.append(
            f"Rollback: version {report.rollback.from_version} to {report.rollback.to_version}; the router served it "
            f"{report.rollback.served_after_s * 1000:.0f} ms after the alias began to move."
        )
    verdict = "All went as the story says." if not report.problems else "NOT as the story says:"
    return [*lines, f"{report.seconds:.0f} s in all. {verdict}", *(f"  {problem}" for problem in report.problems)]
