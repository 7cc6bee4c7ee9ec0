"""What a gate decides on an estimate.

One rule for all gates. The bound is held against the side of the interval that is against the candidate: PASS if even
that side keeps it. FAIL if the figure itself breaks it: the best guess is on the wrong side, whatever the interval.
In between, the figure keeps the bound but the evidence does not show it: UNDECIDED, with the number of rows that would.
Nothing measured, or too few rows: UNDECIDED.

Every gate must pass, so no correction for their number is needed: the chance that a candidate which breaks some bound
passes all gates is at most its chance at that one gate (intersection-union test; Berger, Technometrics 24 (1982)
295-300). That is what one side of the interval leaves: at confidence 0.95 about 2.5 % at most for shares and latency.
For cost it is more, as bootstrap intervals of few, skewed costs are too narrow: simulated on lognormal costs with a
sigma of 0.8 to 1, a candidate on the bound passed in 4 to 7 % of runs of 40 to 170 rows.
"""

from dataclasses import dataclass

from goldgate.domain.statistics import rows_to_decide
from goldgate.domain.verdict import Estimate, Unmeasured, Verdict


@dataclass(frozen=True, kw_only=True)
class Bound:
    """One limit that a figure must keep."""

    limit: float
    is_floor: bool
    """The figure must not be lower. Otherwise it must not be higher."""

    def __str__(self) -> str:
        """Read as a rule: `>= 0.8`."""
        return f"{'>=' if self.is_floor else '<='} {number(self.limit)}"

    def is_kept_by(self, figure: float) -> bool:
        """A figure on the limit keeps it."""
        return figure >= self.limit if self.is_floor else figure <= self.limit


@dataclass(frozen=True, kw_only=True)
class GateDecision:
    """A verdict, and why in one sentence."""

    verdict: Verdict
    reason: str
    rows_to_decide: int | None = None
    """About how many rows in all would decide, if that is known."""


def judge_absolute(measured: Estimate | Unmeasured, *, bound: Bound, min_rows: int) -> GateDecision:
    """Hold the candidate's own figure to a bound.

    Args:
        measured: The figure with its interval.
        bound: At least, or at most.
        min_rows: Fewer rows decide nothing, not even a FAIL.
    """
    return _decide(measured, bound=bound, min_rows=min_rows, subject="the figure")


def judge_against_champion(difference: Estimate | Unmeasured, *, bound: Bound, min_rows: int) -> GateDecision:
    """Ask that the candidate is not worse than the champion by more than a margin (non-inferiority).

    Args:
        difference: Candidate minus champion for shares, candidate over champion for latency and cost; paired by row.
        bound: `>= -margin` where more is better, `<= margin` or `<= 1 + margin_ratio` where less is.
        min_rows: Fewer pairs decide nothing, not even a FAIL.
    """
    return _decide(difference, bound=bound, min_rows=min_rows, subject="the difference to the champion")


def number(figure: float) -> str:
    """Write a figure for people: three digits that count, and no exponent for what is counted in hundreds."""
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"  # noqa: PLR2004 - where three digits end


def _decide(measured: Estimate | Unmeasured, *, bound: Bound, min_rows: int, subject: str) -> GateDecision:
    if isinstance(measured, Unmeasured):
        return GateDecision(verdict=Verdict.UNDECIDED, reason=f"Unmeasured: {measured.reason.rstrip('.')}.")
    if measured.samples < min_rows:
        return GateDecision(
            verdict=Verdict.UNDECIDED,
            reason=f"{measured.samples} rows were measured; fewer than {min_rows} decide nothing.",
            rows_to_decide=min_rows,
        )
    against = measured.low if bound.is_floor else measured.high
    interval = f"[{number(measured.low)}, {number(measured.high)}]"
    if bound.is_kept_by(against):
        return GateDecision(verdict=Verdict.PASS, reason=f"All of {interval} keeps {bound}.")
    if not bound.is_kept_by(measured.value):
        return GateDecision(
            verdict=Verdict.FAIL, reason=f"{subject.capitalize()} {number(measured.value)} breaks {bound}."
        )
    rows = rows_to_decide(measured, bound=bound.limit)
    need = f"about {rows:,} rows would" if rows else "it lies on the bound, so no number of rows would"
    return GateDecision(
        verdict=Verdict.UNDECIDED,
        reason=f"{subject.capitalize()} {number(measured.value)} keeps {bound}, but {interval} does not show it on "
        f"{measured.samples} rows; {need}, if it stays as it is.",
        rows_to_decide=rows,
    )
