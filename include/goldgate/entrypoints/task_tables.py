"""How TaskRuns read on the screen: as `kubectl get` and `kubectl describe` show a resource. Pure: no I/O, no clock."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from goldgate.contracts.cluster import POD_ANNOTATION
from goldgate.contracts.run_mapping import state_of
from goldgate.contracts.task_runs import CallStatus, ContextMessage, RunEvent, RunLimits, TaskRun
from goldgate.domain.runs.state import Fate, Need
from goldgate.entrypoints.display import age, grid, one_line, printable

COLUMNS: Final = ("NAME", "AGENT/TASK", "PHASE", "STATUS", "PREVIEW", "AGE", "DETAIL", "OUTPUT")
"""As `kubectl get taskruns` has them, and the first two that it has with `-o wide`: what a run waits for, and says."""
WIDE: Final = (
    *("TOKENS-IN", "TOKENS-OUT", "COST-USD", "POD", "ERROR"),
    *("STEPS", "TOOLS", "TRACE", "STARTED", "COMPLETED"),
)
"""The rest of what `kubectl` shows with `-o wide`, and then what it does not."""

_SHORT: Final = 40
"""Characters of a long text in a column: three of them and a name fit a screen of 200."""
_WHOLE_COLUMN: Final = 120
_LINE: Final = 160
"""Characters of a line of the conversation, unless all of it is asked for."""
_LINES: Final = 6
_NONE: Final = "<none>"

PROGRAM: Final = "goldgate task"
"""How commands on runs begin."""

_ANSWERS: Final = {
    Need.APPROVAL: ("--approve", "--deny"),
    Need.ANSWER: ("--text '...'", "--deny"),
    Need.FATE: ("--approve", "--deny", "--text '...'"),
}
"""What a person may say to each need, as options of `goldgate task answer`."""


def runs_table(runs: Sequence[TaskRun], *, now: datetime, wide: bool = False) -> str:
    """Show runs, one a line. `wide` adds columns and cuts less."""
    columns = (*COLUMNS, *WIDE) if wide else COLUMNS
    return grid(columns, [run_row(run, now=now, wide=wide) for run in runs])


def run_row(run: TaskRun, *, now: datetime, wide: bool = False) -> tuple[str, ...]:
    """Show one run in the columns of `runs_table`."""
    status = run.status
    at_most = _WHOLE_COLUMN if wide else _SHORT
    row = (
        run.metadata.name,
        run.spec.agent_ref or run.spec.task_ref or _NONE,
        status.phase.value,
        status.status.value,
        one_line(status.user_message_preview or run.spec.user_message or "", at_most=at_most) or _NONE,
        "<unknown>" if (at := born(run)) is None else age(now - at),
        one_line(status.status_detail, at_most=at_most) or _NONE,
        one_line(status.output or "", at_most=at_most) or _NONE,
    )
    if not wide:
        return row
    usage = status.usage
    return (
        *row,
        _metered(str(usage.tokens_in), is_metered=usage.is_metered),
        _metered(str(usage.tokens_out), is_metered=usage.is_metered),
        _metered(f"{usage.cost_usd:.6f}", is_metered=usage.is_metered),
        run.metadata.annotations.get(POD_ANNOTATION, _NONE),
        one_line(status.error or "", at_most=at_most) or _NONE,
        str(usage.llm_calls),
        str(usage.tool_calls),
        status.trace_id or _NONE,
        _time(status.start_time),
        _time(status.completion_time),
    )


def born(run: TaskRun) -> datetime | None:
    """Tell when a run was made; where nobody noted that, when it began."""
    return run.metadata.creation_timestamp or run.status.start_time


def cost_text(run: TaskRun) -> str:
    """Show what a run cost; what is only part of it, as such."""
    usage = run.status.usage
    return _metered(f"${usage.cost_usd:.6f}", is_metered=usage.is_metered)


def events_table(events: Sequence[RunEvent], *, now: datetime) -> str:
    """Show a run's history, oldest first."""
    rows = [(age(now - event.at), event.reason, one_line(event.message, at_most=_LINE)) for event in events]
    return grid(("AGE", "REASON", "MESSAGE"), rows)


def run_text(
    run: TaskRun, *, now: datetime, full: bool = False, below: Sequence[TaskRun] = (), program: str = PROGRAM
) -> str:
    """Describe one run: what it was asked, how it fares, what it asks of a person, and what happened.

    Args:
        run: The run.
        now: For the ages.
        full: Show the conversation whole.
        below: Runs of other agents that it waits for: what they ask, this run waits for too.
        program: How commands on runs begin.
    """
    return "\n".join(_description(run, now=now, full=full, asked=list(_asked((run, *below), program=program))))


def awaited_lines(run: TaskRun, *, program: str = PROGRAM) -> Iterator[str]:
    """Say what each call asks of a person, with the commands that answer."""
    for call in run.status.calls:
        if call.fate is Fate.AWAITED:
            yield f"{call.id}  {call.name}  {call.need.value}"
            yield f"  Question:   {one_line(call.question, at_most=_WHOLE_COLUMN) or _NONE}"
            yield f"  Arguments:  {one_line(call.arguments, at_most=_WHOLE_COLUMN)}"
            yield from (f"  {program} answer {run.metadata.name} {call.id} {way}" for way in _ANSWERS[call.need])


def _asked(runs: Sequence[TaskRun], *, program: str) -> Iterator[str]:
    for run in runs:
        yield from awaited_lines(run, program=program)


def _description(run: TaskRun, *, now: datetime, full: bool, asked: Sequence[str]) -> Iterator[str]:
    status = run.status
    yield f"Name:         {run.metadata.name}"
    yield from _pairs("Labels:", run.metadata.labels)
    yield from _pairs("Annotations:", run.metadata.annotations)
    yield f"API Version:  {run.api_version}"
    yield f"Kind:         {run.kind}"
    yield "Spec:"
    yield from _fields(_spec(run))
    yield "Status:"
    yield from _fields(_status(run, now=now))
    yield "Usage:"
    yield from _indented(grid(("", "USED", "LIMIT"), list(_usage(run))))
    yield "Calls:" if status.calls else f"Calls:        {_NONE}"
    for call in status.calls:
        yield from (f"  {line}" for line in _call(call))
    if state_of(status).is_waiting_for_a_person:
        yield "Waiting for a person:"
        yield from (f"  {line}" for line in asked)
    yield "Conversation:" if status.context_window else f"Conversation: {_NONE}"
    for message in status.context_window:
        yield from (f"  {line}" for line in _message(message, full=full))
    yield "Events:" if status.events else f"Events:       {_NONE}"
    if status.events:
        yield from _indented(events_table(status.events, now=now))


def _spec(run: TaskRun) -> Iterator[tuple[str, str]]:
    spec = run.spec
    if spec.task_ref is not None:
        yield "Task Ref", spec.task_ref
    else:
        yield "Agent Ref", spec.agent_ref or ""
        yield "User Message", printable(spec.user_message or "")
    if spec.deadline_seconds is not None:
        yield "Deadline", f"{spec.deadline_seconds:g} s after its start"
    given = spec.limits.model_dump(by_alias=False, exclude_none=True)
    if given:
        yield "Limits", ", ".join(f"{name}={value:g}" for name, value in given.items())
    if spec.depth:
        yield "Depth", f"{spec.depth}: started by another agent"


def _status(run: TaskRun, *, now: datetime) -> Iterator[tuple[str, str]]:
    status = run.status
    yield "Phase", status.phase.value
    yield "Status", status.status.value
    yield "Ready", str(status.ready)
    yield "Detail", printable(status.status_detail) or _NONE
    yield "Error", printable(status.error or "") or _NONE
    yield "Output", printable(status.output or "") or _NONE
    if status.refused:
        yield "Refused", "True"
    yield "Safety Flags", ", ".join(status.safety_flags) or _NONE
    yield "Citations", ", ".join(status.citations) or _NONE
    yield "Bundle", status.progress.bundle or _NONE
    yield "Trace Id", status.trace_id or _NONE
    yield "Span Id", status.span_id or _NONE
    for title, at in (
        ("Created", run.metadata.creation_timestamp),
        ("Started", status.start_time),
        ("Updated", status.update_time),
        ("Completed", status.completion_time),
    ):
        yield title, _NONE if at is None else f"{_time(at)} ({age(now - at)} ago)"


def _usage(run: TaskRun) -> Iterator[tuple[str, str, str]]:
    usage, limits = run.status.usage, run.status.progress.limits
    tokens = f"{usage.tokens_in + usage.tokens_out} ({usage.tokens_in} in, {usage.tokens_out} out, "
    yield "Model calls", str(usage.llm_calls), _limit(limits, "max_steps")
    yield "Tool calls", str(usage.tool_calls), "-"
    yield "Tokens", _metered(f"{tokens}{usage.tokens_cached} cached)", usage.is_metered), _limit(limits, "max_tokens")
    yield "Cost", cost_text(run), _limit(limits, "max_cost_usd", unit="$")
    yield "Time worked", f"{usage.active_seconds:.1f} s", _limit(limits, "timeout_seconds")
    yield "Take-ups", str(usage.take_ups), "-"


def _limit(limits: RunLimits, field: str, *, unit: str = "") -> str:
    value = getattr(limits, field)
    return "-" if value is None else f"{unit}{value:g}"


def _call(call: CallStatus) -> Iterator[str]:
    error = ", an error" if call.is_error else ""
    yield f"{call.id}  {call.name}  {call.fate.value}{error}"
    yield f"  Nature:     {call.nature.value}"
    yield f"  Key:        {call.key}"
    if call.fate is not Fate.AWAITED:
        yield f"  Arguments:  {one_line(call.arguments, at_most=_WHOLE_COLUMN)}"
    if call.fate is Fate.PARKED:
        yield f"  Waits:      {one_line(call.question, at_most=_WHOLE_COLUMN)}"
    if call.fate is Fate.DONE:
        yield f"  Result:     {one_line(call.content, at_most=_WHOLE_COLUMN)}"


def _message(message: ContextMessage, *, full: bool) -> Iterator[str]:
    of = f" ({message.tool_call_id}{', error' if message.is_error else ''})" if message.tool_call_id else ""
    yield f"{message.role}{of}:"
    lines = printable(message.content).splitlines()
    shown = lines if full else [one_line(line, at_most=_LINE) for line in lines[:_LINES]]
    yield from (f"  {line}" for line in shown)
    if len(lines) > len(shown):
        yield f"  … {len(lines) - len(shown)} more lines: --full"
    for asked in message.tool_calls:
        arguments = asked.function.arguments
        yield f"  -> {asked.function.name} ({asked.id}) " + (
            printable(arguments) if full else one_line(arguments, at_most=_LINE)
        )


def _pairs(title: str, pairs: dict[str, str]) -> Iterator[str]:
    rows = [f"{name}={value}" for name, value in sorted(pairs.items())] or [_NONE]
    yield f"{title:<14}{rows[0]}"
    yield from (f"{'':<14}{row}" for row in rows[1:])


def _fields(pairs: Iterator[tuple[str, str]]) -> Iterator[str]:
    for title, value in pairs:
        first, *rest = value.split("\n")
        yield f"  {title + ':':<14} {first}".rstrip()
        yield from (f"  {'':<14} {line}".rstrip() for line in rest)


def _indented(text: str) -> Iterator[str]:
    return (f"  {line}" for line in text.splitlines())


def _metered(text: str, is_metered: bool) -> str:
    return text if is_metered else f">={text}"


def _time(at: datetime | None) -> str:
    return _NONE if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")
