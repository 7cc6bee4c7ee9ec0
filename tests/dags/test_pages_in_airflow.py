"""The DAGs that the pages show are DAGs as they stand."""

import re
import runpy
from pathlib import Path

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from goldgate_airflow.operators.task_run import AgentTaskRunOperator

# Airflow 3.3.2 reads `.airflowignore` with a class that its own dependency deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")
PAGE = Path(__file__).resolve().parents[2] / "include" / "docs" / "kubernetes.md"


class TestThePageOfKubernetes:
    def test_shows_a_dag_that_can_be_run(self, tmp_path):
        shown = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        (dag_shown,) = [one for one in shown if "AgentTaskRunOperator" in one]
        program = tmp_path / "shown.py"
        program.write_text(dag_shown)

        dag = runpy.run_path(str(program))["dag"]

        (task,) = DagSerialization.from_dict(DagSerialization.to_dict(dag)).tasks
        assert task.task_type == AgentTaskRunOperator.__name__
