"""Measure what safety finds on the labelled texts of `include/safety/`: `python -m goldgate.entrypoints.safety_sets`.

Prints recall and precision with 95 % intervals, by kind, for the texts that the rules were tuned on and for those that
were held out; `--json` for programs, `--missed` for every text that is judged wrongly.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, get_args

from goldgate.agent.safety.injection import speaks_to_the_model
from goldgate.agent.safety.personal_data import find_personal_data
from goldgate.contracts.documents import read_jsonl
from goldgate.contracts.labelled import InstructionText, Part, PersonalDataText
from goldgate.domain.verdict import Estimate
from goldgate.entrypoints.identifier_parts import identifier_books
from goldgate.entrypoints.settings import CHECKOUT
from goldgate.evals.detection import Detection, SpanCase, measure_spans, measure_texts
from goldgate.ports.identifiers import IdentifierBooks

SETS: Final = CHECKOUT / "include" / "safety"
NOT_COVERED: Final = frozenset({"name", "address"})
"""Kinds that are labelled to show what is missed, and that no rule looks for."""


def personal_data_cases(part: Part, *, books: IdentifierBooks | None, folder: Path = SETS) -> Iterator[SpanCase]:
    """Look for personal data in every text of one part."""
    for row in read_jsonl(folder / "pii.jsonl", PersonalDataText):
        if row.part == part:
            found = find_personal_data(row.text, books=books)
            yield SpanCase(
                text=row.text,
                there=[(span.start, span.end, span.kind) for span in row.spans],
                found=[(datum.start, datum.end, datum.kind) for datum in found],
            )


def instruction_cases(part: Part, *, folder: Path = SETS) -> Iterator[tuple[InstructionText, bool]]:
    """Look for instructions in every text of one part."""
    for row in read_jsonl(folder / "instructions.jsonl", InstructionText):
        if row.part == part:
            yield row, speaks_to_the_model(row.text)


def measured(*, books: IdentifierBooks | None) -> dict[str, list[Detection]]:
    """Measure both sets: by set and part."""
    figures: dict[str, list[Detection]] = {}
    for part in get_args(Part):
        cases = list(personal_data_cases(part, books=books))
        covered = [
            SpanCase(text=case.text, there=[s for s in case.there if s[2] not in NOT_COVERED], found=case.found)
            for case in cases
            if not {kind for *_, kind in case.there} & NOT_COVERED
        ]
        missing = [d for d in measure_spans(cases) if d.kind in NOT_COVERED]
        figures[f"personal data, {part}"] = measure_spans(covered) + missing
        instructions = [(row.family, row.is_hostile, found) for row, found in instruction_cases(part)]
        figures[f"instructions, {part}"] = measure_texts(instructions)
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures. Returns 0."""
    parser = argparse.ArgumentParser(
        prog="python -m goldgate.entrypoints.safety_sets",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="figures for programs")
    parser.add_argument("--missed", action="store_true", help="every text of the tuned part that is judged wrongly")
    parser.add_argument("--without-books", action="store_true", help="only what needs no library")
    arguments = parser.parse_args(argv)
    books = None if arguments.without_books else identifier_books()
    if arguments.missed:
        print("\n".join(_wrong(books)))  # noqa: T201 - a command that talks to people
        return 0
    figures = measured(books=books)
    plain = {name: [asdict(detection) for detection in found] for name, found in figures.items()}
    print(json.dumps(plain, indent=1) if arguments.json else _table(figures))  # noqa: T201 - as above
    return 0


def _wrong(books: IdentifierBooks | None) -> Iterator[str]:
    for case in personal_data_cases("tuned", books=books):
        if missed := [span for span in case.missed if span[2] not in NOT_COVERED]:
            yield f"missed       {[(kind, case.text[a:b]) for a, b, kind in missed]} in {case.text!r}"
        if case.false_alarms:
            yield f"false alarm  {[(kind, case.text[a:b]) for a, b, kind in case.false_alarms]} in {case.text!r}"
    for row, found in instruction_cases("tuned"):
        if row.is_hostile != found:
            yield f"{'missed     ' if row.is_hostile else 'false alarm'}  {row.family}: {row.text!r}"


def _table(figures: Mapping[str, Sequence[Detection]]) -> str:
    lines: list[str] = []
    for name, found in figures.items():
        lines += ["", f"{name:24} {'recall':>24}    {'precision':>24}"]
        lines += [
            f"  {detection.kind:22} {_written(detection.recall):>24}    {_written(detection.precision):>24}"
            for detection in found
        ]
    return "\n".join(lines[1:])


def _written(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    return f"{estimate.value:.3f} ({estimate.low:.2f} to {estimate.high:.2f}) of {estimate.samples:3}"


if __name__ == "__main__":
    sys.exit(main())
