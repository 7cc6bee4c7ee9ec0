"""Great Expectations says whether a results table is fit to decide on, and writes its Data Docs for people.

The table that it sees holds figures and flags alone: no question and no answer gets into its report.
"""

import logging
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from goldgate.contracts.evaluation import ResultRow
from goldgate.ports.delivery import Validation

# Read when the package is imported: no usage statistics leave the machine, and its INFO lines (hundreds, once Airflow
# has configured logging) stay out of the log.
os.environ["GX_ANALYTICS_ENABLED"] = "false"
logging.getLogger("great_expectations").setLevel(logging.WARNING)

import great_expectations as gx  # noqa: E402 - after the switches above
import great_expectations.expectations as gxe  # noqa: E402
import pandas as pd  # noqa: E402
from great_expectations.checkpoint import UpdateDataDocsAction  # noqa: E402
from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: E402

MAX_LATENCY_MS: Final = 3_600_000
"""An hour. More is a mistake of units or of a clock."""
MAX_COST_USD: Final = 100
"""For one request. More is a mistake of units or of a price."""
MAX_TOKENS: Final = 100_000_000
"""For one request. More is no count."""
MAX_ERROR_RATIO: Final = 0.5
"""A table of which most requests failed shows an outage, not an agent."""

MAX_EXAMPLES: Final = 3
"""Of what was found instead, in a sentence."""

_COLUMNS: Final = (
    "row_id",
    "repeat",
    "expect",
    "difficulty",
    "refused",
    "passed",
    "asks_safety",
    "safe",
    "tokens_in",
    "tokens_out",
    "tokens_cached",
    "cost_usd",
    "latency_ms",
    "latency_ms_llm",
    "trace_id",
)


class ExpectQuantiles(gxe.ExpectColumnQuantileValuesToBeBetween):  # type: ignore[misc]  # not followed by mypy
    """Quantiles in their ranges.

    The parent returns a numpy bool, which the checkpoint then cannot write as JSON (1.24.1). Delete this class when a
    run with the parent passes.
    """

    def _validate(self, *args: Any, **kwargs: Any) -> Any:
        outcome = super()._validate(*args, **kwargs)
        details = [bool(is_met) for is_met in outcome["result"]["details"]["success_details"]]
        outcome["result"]["details"]["success_details"] = details
        return {**outcome, "success": all(details)}


class GreatExpectationsValidator:
    """A `ResultsValidator` on an ephemeral context: nothing is kept but the report."""

    def validate(self, rows: Sequence[ResultRow], *, expected_rows: int, repeats: int, report: Path) -> Validation:
        """Hold the table to its expectations, and write Data Docs into `report`."""
        report.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            # Its own dependencies warn of their future; nothing of that is about the table.
            warnings.simplefilter("ignore")
            outcome = _run(_frame(rows), list(_expectations(expected_rows, repeats)), report=report)
        failures = [_sentence(result) for result in outcome if not result.success]
        return Validation(is_valid=not failures, failures=failures, report=report)


def _run(frame: pd.DataFrame, expectations: list[Any], *, report: Path) -> list[Any]:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    for site in list(context.list_data_docs_sites()):
        context.delete_data_docs_site(site)
    context.add_data_docs_site(
        site_name="results",
        site_config={
            "class_name": "SiteBuilder",
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(report.resolve())},
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )
    batch = (
        context.data_sources.add_pandas("results")
        .add_dataframe_asset("table")
        .add_batch_definition_whole_dataframe("whole")
    )
    suite = context.suites.add(gx.ExpectationSuite(name="results_table", expectations=expectations))
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name="results_table", data=batch, suite=suite)
    )
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name="results_table",
            validation_definitions=[definition],
            actions=[UpdateDataDocsAction(name="data_docs", site_names=["results"])],
            result_format="BASIC",
        )
    )
    outcome = checkpoint.run(batch_parameters={"dataframe": frame})
    return [result for run in outcome.run_results.values() for result in run.results]


def _frame(rows: Sequence[ResultRow]) -> pd.DataFrame:
    """Tell figures and flags of every row, and what contradicts itself in it."""
    return pd.DataFrame(
        [
            {
                **{column: getattr(row, column) for column in _COLUMNS},
                "failed": row.error is not None,
                "answer_missing": not row.refused and row.error is None and not row.answer.strip(),
                "passed_with_failures": row.passed and bool(row.failures or row.error),
            }
            for row in rows
        ]
    )


def _expectations(expected_rows: int, repeats: int) -> Iterable[Any]:
    yield gxe.ExpectTableRowCountToEqual(value=expected_rows * repeats)
    yield gxe.ExpectTableColumnsToMatchSet(
        column_set=[*_COLUMNS, "failed", "answer_missing", "passed_with_failures"], exact_match=True
    )
    yield gxe.ExpectCompoundColumnsToBeUnique(column_list=["row_id", "repeat"])
    yield gxe.ExpectColumnUniqueValueCountToBeBetween(column="row_id", min_value=expected_rows, max_value=expected_rows)
    yield gxe.ExpectColumnValuesToBeBetween(column="repeat", min_value=0, max_value=repeats - 1)
    for column in _COLUMNS:
        yield gxe.ExpectColumnValuesToNotBeNull(column=column)
    for column in ("latency_ms", "latency_ms_llm"):
        yield gxe.ExpectColumnValuesToBeBetween(column=column, min_value=0, max_value=MAX_LATENCY_MS)
    for column in ("tokens_in", "tokens_out", "tokens_cached"):
        yield gxe.ExpectColumnValuesToBeBetween(column=column, min_value=0, max_value=MAX_TOKENS)
    yield gxe.ExpectColumnValuesToBeBetween(column="cost_usd", min_value=0, max_value=MAX_COST_USD)
    yield gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="tokens_in", column_B="tokens_cached", or_equal=True)
    yield ExpectQuantiles(
        column="latency_ms",
        quantile_ranges={"quantiles": [0.5], "value_ranges": [[1e-3, None]]},
    )
    yield gxe.ExpectColumnMeanToBeBetween(column="failed", min_value=0, max_value=MAX_ERROR_RATIO)
    for column in ("answer_missing", "passed_with_failures"):
        yield gxe.ExpectColumnValuesToBeInSet(column=column, value_set=[False])


def _sentence(result: Any) -> str:
    """Tell one expectation that is not met: which, on what, and what was found instead."""
    kwargs = {key: value for key, value in result.expectation_config.kwargs.items() if key != "batch_id"}
    asked = ", ".join(f"{key}={value}" for key, value in kwargs.items() if value is not None)
    return f"{result.expectation_config.type} ({asked}): {_found(result).rstrip('.')}."


def _found(result: Any) -> str:
    if messages := _exceptions(result.exception_info):
        return f"could not be checked, {'; '.join(messages)}"
    found = result.result or {}
    if "observed_value" in found:
        return f"found {found['observed_value']}"
    count, total = found.get("unexpected_count"), found.get("element_count")
    examples = ", ".join(str(value) for value in found.get("partial_unexpected_list", [])[:MAX_EXAMPLES])
    return f"{count} of {total} rows differ, such as {examples}" if count is not None else "not met"


def _exceptions(raised: dict[str, Any]) -> list[str]:
    """Find the messages: of the expectation itself, or one a metric that it needed."""
    details = [raised, *(detail for detail in raised.values() if isinstance(detail, dict))]
    return sorted({str(detail["exception_message"]) for detail in details if detail.get("exception_message")})
