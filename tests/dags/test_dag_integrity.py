"""Every DAG can be read, shown and run: what Airflow would only say in its own logs."""

import copy
import inspect
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from goldgate.entrypoints import pod_tasks, release_tasks, run_tasks
from goldgate_airflow.operators.step import StepOperator

FOLDER = Path(__file__).resolve().parents[2] / "dags"
# Airflow 3.3.2 reads `.airflowignore` with a class that its own dependency deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.fixture(scope="module")
def bag():
    return DagBag(dag_folder=str(FOLDER))


class TestDagFolder:
    def test_has_no_file_that_cannot_be_imported(self, bag):
        assert bag.import_errors == {}

    def test_names_each_file_after_its_dag(self, bag):
        assert sorted(bag.dags) == NAMES

    def test_holds_the_playbook(self):
        assert {
            "agent_release",
            "agent_ci",
            "agent_rollback",
            "nightly_eval",
            "agent_task_run",
            "agent_task_question",
        } <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
class TestEachDag:
    def test_survives_serialization(self, bag, name):
        dag = bag.dags[name]

        restored = DagSerialization.from_dict(DagSerialization.to_dict(dag))

        assert sorted(restored.task_ids) == sorted(dag.task_ids)

    def test_explains_itself(self, bag, name):
        dag = bag.dags[name]

        assert dag.doc_md
        assert "goldgate" in dag.tags
        assert dag.catchup is False
        assert dag.max_active_runs >= 1

    def test_gives_each_task_an_owner_retries_and_an_end(self, bag, name):
        for task in bag.dags[name].tasks:
            assert task.owner == "goldgate", task.task_id
            assert task.retries >= 1, task.task_id
            assert task.execution_timeout is not None, task.task_id
            assert task.execution_timeout <= timedelta(hours=2), task.task_id
            assert task.on_failure_callback, task.task_id

    def test_asks_for_params_that_make_a_form(self, bag, name):
        for key in bag.dags[name].params:
            shown = bag.dags[name].params.get_param(key)
            assert shown.schema.get("title"), key
            assert shown.schema.get("type"), key
            assert shown.description, key


class TestSteps:
    def test_get_the_arguments_that_the_playbook_takes(self, bag):
        """A step whose arguments were renamed would fail only when it runs."""
        steps = [task for dag in bag.dags.values() for task in dag.tasks if isinstance(task, StepOperator)]

        for task in steps:
            signature = inspect.signature(getattr(release_tasks, task.step))
            signature.bind(release_id="x", **task.arguments)

        assert {"open_release", "judge", "rollback", "ci"} <= {task.step for task in steps}

    def test_of_task_runs_are_there(self):
        names = ("run_task", "look_at_task", "cancel_task", "answer_task", "look_at_question")
        signatures = {name: list(inspect.signature(getattr(run_tasks, name)).parameters) for name in names}

        assert signatures == {
            "run_task": ["task_run", "spec", "stop"],
            "look_at_task": ["task_run", "asked", "access"],
            "cancel_task": ["task_run", "reason", "by"],
            "answer_task": ["task_run", "key", "option", "text", "by", "access"],
            "look_at_question": ["task_run", "key", "access"],
        }

    def test_of_task_runs_in_a_cluster_are_there(self):
        names = ("tend_task", "watch_task", "cancel_task", "applied_now", "applied_runs")
        signatures = {name: list(inspect.signature(getattr(pod_tasks, name)).parameters) for name in names}

        assert signatures == {
            "tend_task": ["task_run", "spec", "access", "on_made"],
            "watch_task": ["task_run", "pod", "access", "say", "since"],
            "cancel_task": ["task_run", "reason", "by", "access"],
            "applied_now": ["access"],
            "applied_runs": ["access"],
        }

    def test_of_the_operators_are_there(self):
        signatures = {
            name: list(inspect.signature(getattr(release_tasks, name)).parameters)
            for name in ("start_canary", "look_at_canary", "act_on_canary", "close", "champions", "evaluate_champion")
        }

        assert signatures == {
            "start_canary": ["release_id"],
            "look_at_canary": ["release_id"],
            "act_on_canary": ["release_id", "decision"],
            "close": ["release_id", "failed_step"],
            "champions": [],
            "evaluate_champion": ["release_id", "agent", "access"],
        }


class TestAgentRelease:
    def test_walks_the_playbook_in_order(self, bag):
        steps = [task.task_id for task in bag.dags["agent_release"].topological_sort()]

        assert steps == [
            *("open", "check", "evaluate", "build", "judge"),
            *("register", "canary", "promote", "close"),
        ]

    def test_closes_whatever_happened(self, bag):
        assert bag.dags["agent_release"].get_task("close").trigger_rule == "all_done"

    def test_leads_from_its_last_task_to_the_evidence(self, bag):
        """The red task is what people open first."""
        links = {link.name for link in bag.dags["agent_release"].get_task("close").operator_extra_links}

        assert links == {"MLflow run", "Evaluation report"}

    def test_skips_the_rest_unless_the_verdict_is_pass(self, bag):
        assert bag.dags["agent_release"].get_task("judge").goes_on_if == ("verdict", "pass")

    def test_cannot_be_triggered_without_an_agent(self, bag):
        params = copy.deepcopy(bag.dags["agent_release"].params)
        params.update({"reason": "a better prompt"})

        with pytest.raises(ParamValidationError, match="agent"):
            params.validate()
