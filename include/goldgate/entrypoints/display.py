"""What the command line prints: tables for people, JSON for programs, progress on standard error."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence

from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.table import Table

from goldgate.contracts.evaluation import Figure
from goldgate.contracts.policy import Metric
from goldgate.contracts.release import GateResult
from goldgate.domain.verdict import Verdict

COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.UNDECIDED: "yellow"}


class Screen:
    """Where a command writes: results to standard output, progress to standard error."""

    def __init__(self, *, as_json: bool, out: Console | None = None, err: Console | None = None) -> None:
        self.as_json = as_json
        self._out = out or Console(soft_wrap=True)
        self._err = err or Console(stderr=True, soft_wrap=True)

    def progress(self, text: str) -> None:
        """Say what is going on."""
        self._err.print(text, markup=False, highlight=False)

    def result(self, value: object, *tables: Table | str) -> None:
        """Print a result: as JSON with the names on the wire if that was asked for, else the tables for people."""
        if self.as_json:
            self._out.print(
                json.dumps(to_jsonable_python(value, by_alias=True), indent=2, ensure_ascii=False),
                markup=False,
                highlight=False,
            )
            return
        for table in tables:
            self._out.print(table, markup=not isinstance(table, str))


def progress_of_rows(screen: Screen) -> Callable[[int, int], None]:
    """Tell every tenth of an evaluation, so that a long one is seen to live."""

    def told(done: int, of: int) -> None:
        if done * 10 // of != (done - 1) * 10 // of:
            screen.progress(f"  {done} of {of} answers")

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
