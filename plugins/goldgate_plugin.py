"""The only Airflow plugin: what the Airflow UI shows of a release."""

from typing import ClassVar

from airflow.plugins_manager import AirflowPlugin

from goldgate_airflow.links import EvaluationRunLink, ReportLink


class GoldgatePlugin(AirflowPlugin):
    """Names the extra links, so that the API server knows them when it reads a serialized DAG."""

    name = "goldgate"
    operator_extra_links: ClassVar = [EvaluationRunLink(), ReportLink()]
