"""The part of the report that shows rows: broken, fixed, wrong in both, slow, costly."""

from collections.abc import Callable, Sequence
from statistics import fmean

from goldgate.contracts.evaluation import ResultRow
from goldgate.contracts.gold import GoldRow
from goldgate.evals.html import Html, element, join

_SHOWN_EXTREMES = 5
"""Of the slowest and of the costliest: enough to see a pattern."""
_OPENED = 3
"""Of the broken rows: the first show what opening one gives."""
_MAX_ANSWER_CHARS = 1200
"""Of an answer on the page; the results table holds all of it."""


def rows_section(candidate: Sequence[ResultRow], champion: Sequence[ResultRow], gold: Sequence[GoldRow]) -> Html:
    """Show the rows that a decision turns on."""
    ours, theirs = _by_row(candidate), _by_row(champion)
    wrong = [row for row in ours if not _is_right(ours[row])]
    right_before = {row for row in theirs if _is_right(theirs[row])}
    fixed = [row for row in ours if row in theirs and row not in right_before and row not in wrong]
    expected = {row.id: row for row in gold}

    def group(title: str, rows: Sequence[str], *, told: str, opened: int = 0) -> Html | None:
        if not rows:
            return None
        entries = (
            _entry(ours[row], theirs.get(row, []), expected.get(row), is_open=position < opened)
            for position, row in enumerate(rows)
        )
        return element("section", element("h2", f"{title} ({len(rows)})"), element("p", told, class_="quiet"), *entries)

    return join(
        group(
            "Broken rows",
            [row for row in wrong if row in right_before],
            told="The champion answers these right, the candidate does not.",
            opened=_OPENED,
        ),
        group(
            "Rows wrong" if not theirs else "Rows wrong in both",
            [row for row in wrong if row not in right_before],
            told="Not new, and not solved." if theirs else "What this version does not answer right.",
        ),
        group("Fixed rows", fixed, told="The candidate answers these right, the champion does not."),
        _extremes(candidate),
    )


def _entry(ours: Sequence[ResultRow], theirs: Sequence[ResultRow], gold: GoldRow | None, *, is_open: bool) -> Html:
    shown = min(ours, key=lambda result: result.passed)
    failures = sorted({failure for result in ours for failure in result.failures})
    return element(
        "details",
        element("summary", element("span", shown.row_id, class_="mono"), shown.question),
        element("ul", *(element("li", failure) for failure in failures), class_="failures") if failures else None,
        element(
            "div",
            element("div", element("h4", "Expected"), element("p", _expected(gold), class_="said")),
            _said("Candidate", ours),
            _said("Champion", theirs) if theirs else None,
            class_="answers",
        ),
        open="" if is_open else None,
    )


def _said(who: str, results: Sequence[ResultRow]) -> Html:
    shown = min(results, key=lambda result: result.passed)
    passed = sum(result.passed for result in results)
    head = f"{who} · right {passed} of {len(results)}" + (" · refused" if shown.refused else "")
    answer = shown.answer or f"(no answer: {shown.error or 'empty'})"
    cut = answer if len(answer) <= _MAX_ANSWER_CHARS else f"{answer[:_MAX_ANSWER_CHARS]} …"
    return element("div", element("h4", head), element("p", cut, class_="said"))


def _expected(gold: GoldRow | None) -> str:
    if gold is None:
        return "The gold set given here does not hold this row."
    if gold.expect == "refusal":
        lines = ["A refusal."]
    else:
        lines = [f"Holds {' or '.join(f'“{text}”' for text in choice)}" for choice in gold.must_contain]
    lines += [f"Does not hold “{text}”" for text in gold.must_not_contain]
    if gold.needs_tool:
        lines.append(f"Calls the tool “{gold.needs_tool}”")
    if gold.relevant:
        lines.append(f"Found in {', '.join(gold.relevant)}")
    return "\n".join(lines)


def _extremes(results: Sequence[ResultRow]) -> Html:
    slowest = _top(results, lambda result: result.latency_ms)
    costliest = _top(results, lambda result: result.cost_usd)
    return element(
        "section",
        element("h2", "Slowest and costliest"),
        element(
            "div",
            _list("Slowest", [(f"{result.latency_ms:,.0f} ms", result) for result in slowest]),
            _list("Costliest", [(f"${result.cost_usd:,.6f}", result) for result in costliest]),
            class_="pair",
        ),
    )


def _top(results: Sequence[ResultRow], key: Callable[[ResultRow], float]) -> list[ResultRow]:
    return sorted(results, key=key, reverse=True)[:_SHOWN_EXTREMES]


def _list(title: str, entries: Sequence[tuple[str, ResultRow]]) -> Html:
    lines = (
        element(
            "tr",
            element("th", figure, scope="row"),
            element("td", element("code", result.row_id)),
            element("td", result.question),
        )
        for figure, result in entries
    )
    return element("div", element("h3", title), element("table", element("tbody", *lines)))


def _by_row(results: Sequence[ResultRow]) -> dict[str, list[ResultRow]]:
    rows: dict[str, list[ResultRow]] = {}
    for result in results:
        rows.setdefault(result.row_id, []).append(result)
    return rows


def _is_right(results: Sequence[ResultRow]) -> bool:
    """Right in most repeats."""
    return fmean(result.passed for result in results) > 0.5  # noqa: PLR2004 - half
