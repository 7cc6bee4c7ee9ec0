"""The evaluation report: one HTML page for the person who must decide.

It stands alone: no script, no font, no image from elsewhere. Questions and answers are on it, as text.
"""

from collections.abc import Mapping, Sequence

from goldgate.contracts.evaluation import Figure, ResultRow, Scorecard
from goldgate.contracts.gold import GoldRow
from goldgate.contracts.policy import Metric
from goldgate.contracts.release import Candidate, Evaluation, GateResult, Judgement
from goldgate.domain.digest import short
from goldgate.domain.verdict import Verdict
from goldgate.evals.html import Html, element, join, link
from goldgate.evals.report_plots import interval_plot, share_bars
from goldgate.evals.report_rows import rows_section
from goldgate.evals.report_style import CSS

_MEANING = {
    Verdict.PASS: "Every gate passed. The release may go on.",
    Verdict.FAIL: "A gate failed. Nothing moves; the champion stays.",
    Verdict.UNDECIDED: "The evidence does not decide. Nothing moves; the champion stays.",
}
_SIGN = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.UNDECIDED: "?"}


def render_report(
    *,
    candidate: Candidate,
    evaluation: Evaluation,
    judgement: Judgement,
    candidate_rows: Sequence[ResultRow],
    champion_rows: Sequence[ResultRow],
    gold: Sequence[GoldRow],
    links: Mapping[str, str],
) -> str:
    """Write the whole page.

    Args:
        candidate: What was judged, and who asked why.
        evaluation: The Scorecards.
        judgement: The gates. Its own `report_url` is not needed.
        candidate_rows: The candidate's results.
        champion_rows: The champion's; empty if there is none.
        gold: What was expected.
        links: Text to address, for more.
    """
    title = f"{candidate.order.agent} · {candidate.order.release_id}"
    body = element(
        "main",
        element(
            "header",
            element("p", "Goldgate · evaluation report", class_="eyebrow"),
            element("h1", title),
            element("p", candidate.order.reason, class_="quiet"),
        ),
        _verdict(judgement),
        _gates(judgement.gates),
        rows_section(candidate_rows, champion_rows, gold),
        _figures(evaluation),
        _tags(evaluation),
        _facts(candidate, evaluation),
        _links(links),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
        ),
        element("title", f"{judgement.verdict.name}: {title}"),
        element("style", Html(CSS)),
    )
    return f"<!doctype html>\n{element('html', head, element('body', body), lang='en')}\n"


def _verdict(judgement: Judgement) -> Html:
    return element(
        "div",
        element("strong", f"{_SIGN[judgement.verdict]} {judgement.verdict.name}"),
        element("p", _MEANING[judgement.verdict]),
        None if judgement.results_valid else element("p", "The results table is not valid, so no gate may decide."),
        element("ul", *(element("li", element("code", gate.gate), f": {gate.reason}") for gate in judgement.stopping))
        if judgement.stopping
        else None,
        class_=f"verdict {judgement.verdict.value}",
        role="status",
    )


def _gates(gates: Sequence[GateResult]) -> Html:
    return element(
        "section",
        element("h2", "Gates"),
        _table(
            "All of them pass, or nothing moves. Intervals are two-sided; the dashed line is the bound.",
            ("Gate", "Verdict", "Candidate", "Champion", "Difference", "Evidence"),
            [_gate(gate) for gate in gates],
        ),
    )


def _gate(gate: GateResult) -> list[Html]:
    shown = gate.difference if gate.against == "champion" else gate.candidate
    return [
        join(element("code", gate.gate), element("div", gate.reason, class_="why")),
        element("span", f"{_SIGN[gate.verdict]} {gate.verdict.name}", class_=f"badge {gate.verdict.value}"),
        _figure(gate.candidate, gate.metric),
        _figure(gate.champion, gate.metric) if gate.against == "champion" else Html(""),
        _difference(gate) if gate.against == "champion" else Html(""),
        interval_plot(shown, bound=gate.bound, verdict=gate.verdict) if shown else Html(""),
    ]


def _difference(gate: GateResult) -> Html:
    if gate.difference is None:
        return element("span", "unmeasured", class_="quiet")
    is_ratio = gate.metric in {"latency_p95_ms", "cost_usd"}
    form, unit = ("{:.3f}", " times") if is_ratio else ("{:+.3f}", "")
    value, low, high = (
        form.format(side) for side in (gate.difference.value, gate.difference.low, gate.difference.high)
    )
    return _with_interval(f"{value}{unit}", low, high)


def _figures(evaluation: Evaluation) -> Html:
    cards = [evaluation.candidate, *([evaluation.champion] if evaluation.champion else [])]
    measured: list[tuple[str, list[Html]]] = [
        ("Quality", [_figure(card.figures.get("quality"), "quality") for card in cards]),
        ("Safety", [_figure(card.figures.get("safety"), "safety") for card in cards]),
        ("Errors", [_figure(card.figures.get("error"), "error") for card in cards]),
        ("Latency p50", [join(f"{card.latency_p50_ms:,.0f} ms") for card in cards]),
        ("Latency p95", [_figure(card.figures.get("latency_p95_ms"), "latency_p95_ms") for card in cards]),
        ("Cost a request", [_figure(card.figures.get("cost_usd"), "cost_usd") for card in cards]),
        ("Cost of the run", [join(f"${card.total_cost_usd:,.4f}") for card in cards]),
        ("Tokens in, cached, out", [_tokens(card) for card in cards]),
        ("hit@k", [_figure(card.hit_at_k, "quality") for card in cards]),
        ("Context precision", [_figure(card.context_precision, "quality") for card in cards]),
        ("Context use rate", [_figure(card.context_use_rate, "quality") for card in cards]),
    ]
    names = ("", "Candidate", *(("Champion",) if evaluation.champion else ()))
    return element(
        "section",
        element("h2", "Figures"),
        _table("Values with their intervals, over rows.", names, [[join(name), *cells] for name, cells in measured]),
    )


def _tokens(card: Scorecard) -> Html:
    return join(f"{card.tokens_in:,} · {card.tokens_cached:,} · {card.tokens_out:,}")


def _tags(evaluation: Evaluation) -> Html | None:
    if not evaluation.candidate.quality_by_tag:
        return None
    theirs = evaluation.champion.quality_by_tag if evaluation.champion else {}
    rows = [
        [
            element("code", tag),
            join(str(figure.samples)),
            _figure(figure, "quality"),
            _figure(theirs.get(tag), "quality") if theirs else Html(""),
            share_bars(figure.value, theirs[tag].value if tag in theirs else None),
        ]
        for tag, figure in sorted(evaluation.candidate.quality_by_tag.items(), key=lambda item: item[1].value)
    ]
    return element(
        "section",
        element("h2", "Quality by tag"),
        _table("Worst first.", ("Tag", "Rows", "Candidate", "Champion" if theirs else "", ""), rows),
    )


def _facts(candidate: Candidate, evaluation: Evaluation) -> Html:
    order, card, basis = candidate.order, evaluation.candidate, evaluation.candidate.basis
    facts = {
        "Asked for by": f"{order.by}, {order.opened_at:%Y-%m-%d %H:%M} UTC",
        "Source": order.source or "the agents folder as it lies",
        "Revision": candidate.source_revision or "unknown",
        "Candidate": f"bundle {short(candidate.bundle_digest)}",
        "Champion": f"version {evaluation.champion_version}, bundle {short(evaluation.champion.bundle_digest)}"
        if evaluation.champion
        else "none yet",
        "Model": candidate.model,
        "Prompt": candidate.prompt,
        "Tools": ", ".join(candidate.tools) or "none",
        "Gold set": f"{short(basis.gold_digest)}: {basis.rows} rows, asked {basis.repeats} times",
        "Scored by": f"{basis.judge_version}, seed {basis.seed}",
        "Evaluated": f"{card.started_at:%Y-%m-%d %H:%M} UTC, in {card.seconds:,.1f} s",
        "Flaky rows": ", ".join(card.flaky_rows) or "none",
    }
    return element(
        "section",
        element("h2", "On what this stands"),
        element(
            "dl",
            *(element("div", element("dt", name), element("dd", text)) for name, text in facts.items()),
            class_="facts",
        ),
    )


def _links(links: Mapping[str, str]) -> Html | None:
    if not links:
        return None
    entries = (element("li", link(text, address)) for text, address in links.items())
    return element("section", element("h2", "More"), element("ul", *entries))


def _figure(figure: Figure | None, metric: Metric) -> Html:
    if figure is None:
        return element("span", "unmeasured", class_="quiet")
    value, low, high = (_written(number, metric) for number in (figure.value, figure.low, figure.high))
    return _with_interval(value, low, high)


def _with_interval(value: str, low: str, high: str) -> Html:
    return element("span", value, element("br"), element("span", f"{low} to {high}", class_="interval"))


def _written(number: float, metric: Metric) -> str:
    match metric:
        case "latency_p95_ms":
            return f"{number:,.0f} ms"
        case "cost_usd":
            return f"${number:,.6f}"
        case _:
            return f"{number:.3f}"


def _table(caption: str, names: Sequence[str], rows: Sequence[Sequence[Html]]) -> Html:
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in names)))
    lines = (
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(
                element("td", cell, data_label=name) if cell else element("td", class_="none")
                for name, cell in zip(names[1:], row[1:], strict=True)
            ),
        )
        for row in rows
    )
    return element(
        "div", element("table", element("caption", caption), head, element("tbody", *lines)), class_="scroll"
    )
