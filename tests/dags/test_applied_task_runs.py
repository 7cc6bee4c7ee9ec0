"""What starts TaskRuns that were applied with `kubectl`, on steps that answer from a script."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse, OKResponse
from airflow.triggers.base import BaseEventTrigger

from goldgate.domain.errors import PermanentError, TransientError
from goldgate_airflow.dag_runs import start_dag_run
from goldgate_airflow.operators.applied import StartAppliedTaskRunsOperator
from goldgate_airflow.triggers.applied import AppliedTaskRunsTrigger
from tests.fakes import scripted_run_tasks as tasks

CHECKOUT = Path(__file__).resolve().parents[2]
ONE, TWO = {"name": "one", "uid": "u1"}, {"name": "two", "uid": "u2"}


class RecordedAirflow:
    """Answers as Airflow does when a run of a DAG is started, and keeps what was started."""

    def __init__(self, *, refuses=None):
        self.started = {}
        self.refuses = refuses

    def send(self, asked):
        if self.refuses:
            return ErrorResponse(error=self.refuses, detail={"message": "no such DAG"})
        if asked.run_id in self.started:
            return ErrorResponse(error=ErrorType.DAGRUN_ALREADY_EXISTS)
        self.started[asked.run_id] = (asked.dag_id, asked.conf)
        return OKResponse(ok=True)


@pytest.fixture
def airflow(monkeypatch):
    """The other end of a worker's pipe, which a worker sets in the same place."""

    def connected(**given):
        recorded = RecordedAirflow(**given)
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", recorded, raising=False)
        return recorded

    return connected


@pytest.fixture(autouse=True)
def _cluster(monkeypatch):
    extra = {"in_cluster": True, "namespace": "agents"}
    monkeypatch.setenv("AIRFLOW_CONN_CLUSTER", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    monkeypatch.setenv("GOLDGATE_KUBERNETES_CONN_ID", "cluster")


class TestStartDagRun:
    def test_says_what_airflow_has_against_it(self, airflow):
        airflow(refuses=ErrorType.GENERIC_ERROR)

        with pytest.raises(RuntimeError, match="no such DAG"):
            start_dag_run("agent_task_run", run_id="r", conf={})


class TestStartAppliedTaskRunsOperator:
    def start(self):
        return StartAppliedTaskRunsOperator(task_id="start", pod_tasks=tasks.MODULE).execute({})

    def test_starts_one_run_for_each_task_run_that_nobody_tends(self, airflow):
        recorded = airflow()
        tasks.script(tasks.CLUSTER, applied_now=[[ONE, TWO]])

        assert self.start() == ["one", "two"]
        assert recorded.started == {
            "applied__one__u1": ("agent_task_run", {"task_run": "one"}),
            "applied__two__u2": ("agent_task_run", {"task_run": "two"}),
        }
        assert tasks.calls(tasks.CLUSTER)[0][1]["access"].namespace == "agents"

    def test_starts_none_twice(self, airflow):
        recorded = airflow()
        tasks.script(tasks.CLUSTER, applied_now=[[ONE], [ONE, TWO]])

        assert [self.start(), self.start()] == [["one"], ["two"]]
        assert len(recorded.started) == 2

    def test_starts_one_that_was_deleted_and_applied_again(self, airflow):
        airflow()
        tasks.script(tasks.CLUSTER, applied_now=[[ONE], [{"name": "one", "uid": "u3"}]])

        assert [self.start(), self.start()] == [["one"], ["one"]]

    def test_says_what_is_missing_without_a_cluster(self, monkeypatch):
        monkeypatch.delenv("GOLDGATE_KUBERNETES_CONN_ID")

        with pytest.raises(AirflowFailException, match="GOLDGATE_KUBERNETES_CONN_ID"):
            self.start()


class TestAppliedTaskRunsTrigger:
    def trigger(self):
        return AppliedTaskRunsTrigger(kubernetes_conn_id="cluster", pod_tasks=tasks.MODULE, pause_s=0)

    def events(self, count):
        async def some():
            stream = self.trigger().run()
            found = [(await anext(stream)).payload for _ in range(count)]
            await stream.aclose()
            return found

        return asyncio.run(some())

    def test_wakes_for_each_run_that_was_applied(self):
        tasks.script(tasks.CLUSTER, applied_runs=[[ONE, TWO]])

        assert self.events(2) == [ONE, TWO]
        assert tasks.calls(tasks.CLUSTER)[0][1]["access"].namespace == "agents"

    @pytest.mark.parametrize("error", [TransientError("no answer"), PermanentError("no connection")])
    def test_never_gives_up(self, error):
        """A watcher that ended would be missed by nobody: what is applied would only lie there."""
        tasks.script(tasks.CLUSTER, applied_runs=[[ONE, error], [], [TWO]])

        assert self.events(2) == [ONE, TWO]

    def test_is_one_watcher_for_all_schedulers_and_keeps_no_key(self):
        path, arguments = self.trigger().serialize()

        again = AppliedTaskRunsTrigger(**arguments)

        assert arguments == {"kubernetes_conn_id": "cluster", "pod_tasks": tasks.MODULE, "pause_s": 0}
        assert BaseEventTrigger.hash(path, arguments) == BaseEventTrigger.hash(*again.serialize())


PROGRAM = """
import json, runpy, sys
from airflow.serialization.serialized_objects import DagSerialization
print(json.dumps(DagSerialization.to_dict(runpy.run_path(sys.argv[1])["dag"])))
"""


class TestAgentTaskRunApplied:
    @pytest.mark.parametrize("conn_id", ["cluster", ""])
    def test_watches_only_the_cluster_that_there_is(self, conn_id):
        env = {
            **os.environ,
            "GOLDGATE_KUBERNETES_CONN_ID": conn_id,
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT / "include"), str(CHECKOUT / "plugins")]),
        }
        file = str(CHECKOUT / "dags" / "agent_task_run_applied.py")

        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, file], capture_output=True, text=True, check=True, env=env
        )

        kept = done.stdout.splitlines()[-1]
        assert (AppliedTaskRunsTrigger.__qualname__ in kept) == bool(conn_id)
        assert ('"kubernetes_conn_id": "cluster"' in kept) == bool(conn_id)
