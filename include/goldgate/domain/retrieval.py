"""What is measured of retrieval: the one place that says what each figure means.

The arguments are ids. *Given* are the passages that stood before the model, after reranking and the context budget;
*relevant* are those that a gold row names; *cited* are those that the answer names.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Definition:
    """What a figure of retrieval means."""

    name: str
    """As it is logged where `@` is no letter of a name."""
    formula: str
    span: str
    """The values that it can take."""
    unmeasured: str
    """When there is none."""
    figure: str
    """What one agent's figure is made of."""


DEFINITIONS: Final = (
    Definition(
        name="retriever_k",
        formula="number of passages given to the model",
        span="0, 1, 2, ...",
        unmeasured="the agent does not report what it retrieved",
        figure="mean over rows; the parameter of the same name is the most that the agent's configuration allows",
    ),
    Definition(
        name="hit_at_k",
        formula="1 if a passage given is relevant, else 0 (`hit@k` in the request log)",
        span="0 or 1",
        unmeasured="the row names no relevant passage; the agent does not report what it retrieved; on live traffic",
        figure="share of rows",
    ),
    Definition(
        name="context_precision",
        formula="passages given that are relevant / passages given",
        span="0 to 1",
        unmeasured="as `hit_at_k`, and where no passage was given",
        figure="mean over rows",
    ),
    Definition(
        name="context_use_rate",
        formula="passages given that the answer cites / passages given",
        span="0 to 1",
        unmeasured="no passage was given; the agent does not report what it retrieved or cited",
        figure="mean over rows",
    ),
)


def retriever_k(given: Collection[str]) -> int:
    """Count the passages given to the model."""
    return len(set(given))


def hit_at_k(given: Collection[str], relevant: Collection[str]) -> bool | None:
    """Tell whether a relevant passage was given. None: nobody knows which are relevant."""
    return not set(given).isdisjoint(relevant) if relevant else None


def context_precision(given: Collection[str], relevant: Collection[str]) -> float | None:
    """Tell which share of the passages given is relevant. None: nobody knows which are, or none was given."""
    return _share(given, relevant) if relevant else None


def context_use_rate(given: Collection[str], cited: Collection[str]) -> float | None:
    """Tell which share of the passages given the answer cites. None: none was given."""
    return _share(given, cited)


def definitions_page() -> str:
    """Write the definitions as a page of Markdown, to be kept beside the figures."""
    rows = [f"| `{d.name}` | {d.formula} | {d.span} | {d.figure} | {d.unmeasured} |" for d in DEFINITIONS]
    head = ["| Figure | Of one row | Values | Of an agent | Unmeasured where |", "|---|---|---|---|---|"]
    notes = [
        "Repeats of a row are averaged into it first. `_low` and `_high` bound the confidence interval over rows.",
        "A figure that is unmeasured is not logged: it is never 0.",
    ]
    return "\n".join(["# What the figures of retrieval mean", "", *head, *rows, "", *notes, ""])


def _share(given: Collection[str], named: Collection[str]) -> float | None:
    passages = set(given)
    return len(passages.intersection(named)) / len(passages) if passages else None
