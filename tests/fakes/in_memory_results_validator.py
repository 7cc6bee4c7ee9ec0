"""A validator of results tables that needs no product."""

from collections.abc import Sequence
from pathlib import Path

from goldgate.contracts.evaluation import ResultRow
from goldgate.ports.delivery import Validation


class InMemoryResultsValidator:
    """Implements `goldgate.ports.delivery.ResultsValidator`."""

    def validate(self, rows: Sequence[ResultRow], *, expected_rows: int, repeats: int, report: Path) -> Validation:
        asked = {(row.row_id, row.repeat) for row in rows}
        failures = [
            sentence
            for sentence, is_met in {
                f"found {len(rows)} results, expected {expected_rows * repeats}": len(rows) == expected_rows * repeats,
                "found a result twice": len(asked) == len(rows),
                f"expected {expected_rows} rows": len({row.row_id for row in rows}) == expected_rows,
                "found an empty answer": all(row.answer.strip() or row.refused or row.error for row in rows),
                "found a right answer with failures": not any(row.passed and row.failures for row in rows),
                "found more cached tokens than tokens": all(row.tokens_cached <= row.tokens_in for row in rows),
                "nobody waited": any(row.latency_ms > 0 for row in rows),
                "most requests failed": sum(row.error is not None for row in rows) <= len(rows) / 2,
            }.items()
            if not is_met
        ]
        report.mkdir(parents=True, exist_ok=True)
        (report / "index.html").write_text("<!doctype html><title>validation</title>", encoding="utf-8")
        return Validation(is_valid=not failures, failures=failures, report=report)
