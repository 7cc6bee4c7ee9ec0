"""What the command line prints: tables for people, JSON for programs, progress on standard error."""

import json
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta
from typing import Final, Literal

import yaml
from pydantic_core import to_jsonable_python
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table

from goldgate.contracts.evaluation import Figure, Progress
from goldgate.contracts.policy import Metric
from goldgate.contracts.release import GateResult
from goldgate.domain.verdict import Verdict

COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.UNDECIDED: "yellow"}


Form = Literal["table", "wide", "json", "yaml", "name"]
"""How a result is written: the first two for people."""


class Screen:
    """Where a command writes: results to standard output, progress to standard error."""

    def __init__(self, *, form: Form, out: Console | None = None, err: Console | None = None) -> None:
        self.form = form
        self._out = out or Console(soft_wrap=True)
        self._err = err or Console(stderr=True, soft_wrap=True)

    def progress(self, text: str) -> None:
        """Say what is going on."""
        self._err.print(text, markup=False, highlight=False)

    def result(self, value: object, *tables: Table | str) -> None:
        """Print a result: with the names on the wire where a program reads it, else the tables for people."""
        if self.form in {"json", "yaml"}:
            plain = to_jsonable_python(value, by_alias=True)
            self._print(as_yaml(plain) if self.form == "yaml" else json.dumps(plain, indent=2, ensure_ascii=False))
            return
        for table in tables:
            self._out.print(table, markup=not isinstance(table, str), highlight=not isinstance(table, str))

    def _print(self, text: str) -> None:
        self._out.print(text, markup=False, highlight=False)


def as_yaml(plain: object) -> str:
    """Write a value as YAML in the order it has; each value of a list of resources becomes a document of its own."""
    items = plain["items"] if isinstance(plain, dict) and str(plain.get("kind")).endswith("List") else [plain]
    return yaml.safe_dump_all(items, sort_keys=False, allow_unicode=True, width=120).rstrip("\n")


def printable(text: str) -> str:
    """Take from a text what would move the cursor of a terminal or colour it: others wrote it."""
    return "".join(char if char in "\n\t" or char.isprintable() else "\ufffd" for char in text)


def one_line(text: str, *, at_most: int) -> str:
    """Show the beginning of a text on one line."""
    flat = " ".join(printable(text).split())
    return flat if len(flat) <= at_most else flat[: at_most - 1].rstrip() + "…"


def grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align columns as `kubectl get` does: never broken, never cut to the width of a terminal, nothing but text."""
    lines = [columns, *rows]
    widths = [max(cell_len(line[at]) for line in lines) for at in range(len(columns))]
    return "\n".join(
        "   ".join(set_cell_size(cell, width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


_DAY: Final = 86_400
_AGES: Final = (
    (120, "s", 1, "", 1),
    (600, "m", 60, "s", 1),
    (10_800, "m", 60, "", 1),
    (28_800, "h", 3_600, "m", 60),
    (172_800, "h", 3_600, "", 1),
    (8 * _DAY, "d", _DAY, "h", 3_600),
    (730 * _DAY, "d", _DAY, "", 1),
    (math.inf, "y", 365 * _DAY, "d", _DAY),
)
"""Below so many seconds: a unit and its seconds, and the lesser unit, if one is shown, with its seconds."""


def age(span: timedelta) -> str:
    """Say how long ago, as kubectl does: the longer ago, the less exactly.

    Source: `duration.HumanDuration` of Kubernetes' apimachinery.
    """
    seconds = max(int(span.total_seconds()), 0)
    name, size, lesser, part = next(row[1:] for row in _AGES if seconds < row[0])
    rest = seconds % size // part if lesser else 0
    return f"{seconds // size}{name}" + (f"{rest}{lesser}" if rest else "")


def progress_of_rows(screen: Screen) -> Callable[[Progress], None]:
    """Tell every tenth of an evaluation, so that a long one is seen to live."""

    def told(now: Progress) -> None:
        if now.done * 10 // now.of != (now.done - 1) * 10 // now.of:
            screen.progress(f"  {now.done} of {now.of} answers")

    return told


def table(title: str, columns: Iterable[str], rows: Iterable[Sequence[str]], *, whole: Collection[str] = ()) -> Table:
    """Make a plain table. Columns that are `whole` are never broken: people copy from them."""
    made = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column in whole)
    for row in rows:
        made.add_row(*row)
    return made


def gates_table(gates: Sequence[GateResult]) -> Table:
    """Show what each gate said, with its figures."""
    return table(
        "Gates",
        ("gate", "verdict", "candidate", "champion", "why"),
        [
            (
                gate.gate,
                f"[{COLOURS[gate.verdict]}]{gate.verdict.name}[/]",
                figure_text(gate.metric, gate.candidate),
                "" if gate.against == "absolute" else figure_text(gate.metric, gate.champion),
                gate.reason,
            )
            for gate in gates
        ],
    )


def figure_text(metric: Metric, figure: Figure | None) -> str:
    """Write a figure with its interval, in the unit of its metric."""
    if figure is None:
        return "unmeasured"
    match metric:
        case "quality" | "safety" | "error":
            return f"{figure.value:.3f} ({figure.low:.3f}, {figure.high:.3f})"
        case "latency_p95_ms":
            return f"{figure.value:.0f} ms ({figure.low:.0f}, {figure.high:.0f})"
        case "cost_usd":
            return f"${figure.value:.6f} ({figure.low:.6f}, {figure.high:.6f})"
