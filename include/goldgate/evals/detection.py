"""How well something is found: recall and precision on labelled texts, each with its interval."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from goldgate.domain.statistics import wilson_interval
from goldgate.domain.verdict import Estimate

CONFIDENCE_RATIO: Final = 0.95

Span = tuple[int, int, str]
"""Start, end (exclusive) and kind."""


@dataclass(frozen=True, kw_only=True)
class Detection:
    """How well one kind is found. None: there was nothing to measure it by."""

    kind: str
    recall: Estimate | None
    """Of what is there, the share that is found."""
    precision: Estimate | None
    """Of what is found, the share that is there."""


@dataclass(frozen=True, kw_only=True)
class SpanCase:
    """One text with the spans that are there and those that were found."""

    text: str
    there: Sequence[Span]
    found: Sequence[Span]

    @property
    def missed(self) -> list[Span]:
        """What is there and not found: any letter or digit of it would be left."""
        return [span for span in self.there if not self._is_covered(span)]

    @property
    def false_alarms(self) -> list[Span]:
        """What was found where there is nothing."""
        return [span for span in self.found if not any(_overlap(span, there) for there in self.there)]

    def _is_covered(self, span: Span) -> bool:
        start, end, _ = span
        return all(
            any(first <= place < last for first, last, _ in self.found)
            for place in range(start, end)
            if self.text[place].isalnum()
        )


def measure_spans(cases: Iterable[SpanCase]) -> list[Detection]:
    """Measure each kind and all together (`all`), by name.

    What is there counts as found if it is covered, by whatever kind: it would be redacted. What was found counts for
    its own kind.
    """
    there: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    found: Counter[str] = Counter()
    false: Counter[str] = Counter()
    for case in cases:
        for counter, spans in ((there, case.there), (missed, case.missed), (found, case.found)):
            counter.update(kind for *_, kind in spans)
        false.update(kind for *_, kind in case.false_alarms)
    kinds = sorted(there.keys() | found.keys())
    return [
        Detection(
            kind=kind,
            recall=_share(there[kind] - missed[kind], there[kind]),
            precision=_share(found[kind] - false[kind], found[kind]),
        )
        for kind in kinds
    ] + [
        Detection(
            kind="all",
            recall=_share(there.total() - missed.total(), there.total()),
            precision=_share(found.total() - false.total(), found.total()),
        )
    ]


def measure_texts(cases: Iterable[tuple[str, bool, bool]]) -> list[Detection]:
    """Measure whole texts by family, and all together.

    Args:
        cases: Family, whether it is there, whether it was found.

    Returns:
        Recall of each family that has something there. Precision only of all: what was found in a family of look-alikes
        is wrong by definition.
    """
    rows = list(cases)
    families = sorted({family for family, is_there, _ in rows if is_there})
    hits = Counter(family for family, is_there, was_found in rows if is_there and was_found)
    totals = Counter(family for family, is_there, _ in rows if is_there)
    detections = [
        Detection(kind=family, recall=_share(hits[family], totals[family]), precision=None) for family in families
    ]
    found = sum(was_found for *_, was_found in rows)
    everything = Detection(
        kind="all", recall=_share(hits.total(), totals.total()), precision=_share(hits.total(), found)
    )
    return [*detections, everything]


def _share(part: int, whole: int) -> Estimate | None:
    return wilson_interval(part, whole, confidence_ratio=CONFIDENCE_RATIO) if whole else None


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]
