"""Buttons on the tasks of a release: the MLflow run, and the evaluation report."""

from typing import Any

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.execution_time.xcom import XCom
from airflow.sdk.types import TaskInstanceKey


class _UrlOfResult(BaseOperatorLink):
    """A link that a step returned in its result."""

    field: str

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Read the link; empty, and so no button, for a step whose result has none."""
        result: Any = XCom.get_value(ti_key=ti_key, key="return_value")
        found = result.get(self.field) if isinstance(result, dict) else None
        return found if isinstance(found, str) else ""


class EvaluationRunLink(_UrlOfResult):
    """To the MLflow run of the evaluation."""

    name = "MLflow run"
    field = "run_url"


class ReportLink(_UrlOfResult):
    """To the report of the results table."""

    name = "Evaluation report"
    field = "report_url"
