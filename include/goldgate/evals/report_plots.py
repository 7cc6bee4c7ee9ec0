"""The two drawings of the report, as inline SVG with a text for those who do not see them."""

from goldgate.contracts.evaluation import Figure
from goldgate.domain.gates import number
from goldgate.domain.verdict import Verdict
from goldgate.evals.html import Html, element

_WIDTH, _HEIGHT, _MARGIN = 160, 28, 8


def interval_plot(figure: Figure, *, bound: float, verdict: Verdict) -> Html:
    """Draw an interval with its value, against the bound that it is held to."""
    low, high = min(figure.low, bound), max(figure.high, bound)
    span = (high - low) or 1.0

    def x(value: float) -> str:
        return f"{_MARGIN + (value - low) / span * (_WIDTH - 2 * _MARGIN):.1f}"

    middle = _HEIGHT / 2
    text = f"{number(figure.value)}, from {number(figure.low)} to {number(figure.high)}; bound {number(bound)}"
    return element(
        "svg",
        element("title", text),
        element("line", x1=x(figure.low), x2=x(figure.high), y1=middle, y2=middle, class_="range"),
        element("circle", cx=x(figure.value), cy=middle, r=5, class_="dot"),
        element("line", x1=x(bound), x2=x(bound), y1=2, y2=_HEIGHT - 2, class_="bound"),
        class_=verdict.value,
        width=_WIDTH,
        height=_HEIGHT,
        role="img",
    )


def share_bars(ours: float, theirs: float | None) -> Html:
    """Draw the candidate's share, and the champion's below it."""
    text = f"candidate {ours:.3f}" + (f", champion {theirs:.3f}" if theirs is not None else "")
    rows = 1 if theirs is None else 2
    return element(
        "svg",
        element("title", text),
        *(element("rect", x=0, y=2 + 10 * row, width=_WIDTH, height=7, rx=3.5, class_="track") for row in range(rows)),
        element("rect", x=0, y=2, width=f"{ours * _WIDTH:.1f}", height=7, rx=3.5, class_="ours"),
        None
        if theirs is None
        else element("rect", x=0, y=12, width=f"{theirs * _WIDTH:.1f}", height=7, rx=3.5, class_="share"),
        width=_WIDTH,
        height=2 + 10 * rows,
        role="img",
    )
