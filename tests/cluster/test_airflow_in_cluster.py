"""A real Airflow beside a real cluster: TaskRuns as pods, applied and triggered, watched, killed and taken up again."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from goldgate.entrypoints import local
from goldgate.entrypoints.local_airflow import password_of
from goldgate.entrypoints.settings import Settings
from tests.cluster.airflow import Airflow, awaited
from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.line import Line
from tests.cluster.world import AGENT, ANSWER, API, Place, World, bring_agent, settle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WITHIN_S = 180.0
OVER = {"FinalAnswer", "Failed"}


def task_run(cluster: ClusterUnderTest, name: str) -> dict[str, Any]:
    return json.loads(cluster.kubectl("get", "taskrun", name, "-o", "json"))


def phase(cluster: ClusterUnderTest, name: str) -> str:
    return str(task_run(cluster, name).get("status", {}).get("phase", ""))


def pods_of(cluster: ClusterUnderTest, name: str) -> list[str]:
    return cluster.kubectl("get", "pods", "-l", f"goldgate.dev/task-run={name}", "-o", "name").split()


def launched(cluster: ClusterUnderTest, name: str) -> int:
    """How many pods were ever made for a run: the count moves before a pod is made."""
    noted = task_run(cluster, name)["metadata"]["annotations"]["goldgate.dev/pods"]
    return int(json.loads(noted)["launched"])


def apply_runs(cluster: ClusterUnderTest, *names: str) -> None:
    spec = {"agentRef": AGENT, "userMessage": "Book the blue room."}
    runs = [{"apiVersion": API, "kind": "TaskRun", "metadata": {"name": name}, "spec": spec} for name in names]
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(runs))


@pytest.fixture(scope="module")
def place(shared_cluster: ClusterUnderTest, tmp_path_factory) -> Iterator[Place]:
    world = World(shared_cluster.host)
    yield settle(shared_cluster, world, tmp_path_factory.mktemp("place"), accounts=("task-run", "operator"))
    world.close()


@pytest.fixture(scope="module")
def token(place: Place) -> str:
    """Of the account that Airflow has in the cluster, which may do no more than its work needs."""
    return place.cluster.kubectl("create", "token", "goldgate-operator", "--duration=1h").strip()


@pytest.fixture(scope="module")
def line(place: Place) -> Iterator[Line]:
    """Between that Airflow and the API server."""
    between = Line(shown_config(place.cluster)["clusters"][0]["cluster"]["server"])
    yield between
    between.close()


@pytest.fixture(scope="module")
def settings(place: Place, token: str, line: Line, tmp_path_factory) -> Iterator[Settings]:
    """An Airflow on this machine whose TaskRuns work in the cluster. Nothing else of the stack is started."""
    elsewhere = f"{place.world.url}"
    made = Settings.from_env(
        {
            "GOLDGATE_HOME": str(tmp_path_factory.mktemp("airflow") / "home"),
            "GOLDGATE_AIRFLOW_URL": f"http://127.0.0.1:{free_port()}",
            "GOLDGATE_MLFLOW_URL": elsewhere,
            "GOLDGATE_ROUTER_URL": elsewhere,
            "GOLDGATE_MODEL_URL": f"{elsewhere}/v1",
            "GOLDGATE_OTLP_URL": "off",
            "GOLDGATE_PODS": str(place.settings_file),
        }
    )
    config = kubeconfig(place.cluster, token, server=line.address)
    extra = {"kube_config": json.dumps(config), "namespace": place.cluster.namespace}
    env = {
        **os.environ,
        "GOLDGATE_KUBERNETES_CONN_ID": "cluster_under_test",
        "AIRFLOW_CONN_CLUSTER_UNDER_TEST": json.dumps({"conn_type": "kubernetes", "extra": extra}),
    }
    local.up(made, env=env, say=print)
    try:
        yield made
    finally:
        local.down(made, say=print)


@pytest.fixture(scope="module")
def airflow(settings: Settings) -> Iterator[Airflow]:
    found = Airflow(settings.airflow_url, password_of(settings, "admin"))
    for dag_id in ("agent_task_run", "agent_task_run_applied"):
        awaited(lambda dag_id=dag_id: found.has(dag_id), what=f"Airflow never read `{dag_id}`")
    yield found
    found.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def shown_config(cluster: ClusterUnderTest) -> dict[str, Any]:
    """The kubeconfig of the test. Everything stands in it."""
    shown: dict[str, Any] = json.loads(
        cluster.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json")
    )
    return shown


def kubeconfig(cluster: ClusterUnderTest, token: str, *, server: str) -> dict[str, Any]:
    """The kubeconfig of the test, for the account of a token, by another way."""
    shown = shown_config(cluster)
    (context,), (named,) = shown["contexts"], shown["clusters"]
    return {
        **shown,
        "clusters": [{**named, "cluster": {**named["cluster"], "server": server}}],
        "users": [{"name": context["context"]["user"], "user": {"token": token}}],
    }


def end_program(settings: Settings, word: str) -> None:
    """Kill one of Airflow's programs and all that it started. What supervises them starts it again."""
    for pid in local.processes_of(settings):
        found = psutil.Process(pid)
        if word in found.cmdline():
            for one in [*found.children(recursive=True), found]:
                one.send_signal(signal.SIGKILL)
            return
    pytest.fail(f"no program `{word}` runs")


def missing(lines: list[str], log: str) -> list[str]:
    """Those lines that are not in a log."""
    return [line for line in lines if line not in log]


class TestATaskRunThatWasApplied:
    """`kubectl apply -f taskrun.yaml`, and nothing else."""

    def test_is_run_as_a_pod_once(self, airflow: Airflow, shared_cluster: ClusterUnderTest):
        apply_runs(shared_cluster, "applied")

        awaited(lambda: phase(shared_cluster, "applied") in OVER, what="nobody ran it")

        assert task_run(shared_cluster, "applied")["status"]["output"] == ANSWER
        run_id = next(name for name in airflow.runs() if name.startswith("applied__applied__"))
        awaited(lambda: airflow.state(run_id) == "success", what="its task never ended")
        assert airflow.result(run_id)["output"] == ANSWER
        assert launched(shared_cluster, "applied") == 1

    def test_is_one_of_many_applied_at_once(self, airflow: Airflow, shared_cluster: ClusterUnderTest):
        """Airflow loses events that come close together; no TaskRun may be lost with them."""
        names = [f"many-{number}" for number in range(6)]

        apply_runs(shared_cluster, *names)

        awaited(lambda: {phase(shared_cluster, name) for name in names} == {"FinalAnswer"}, what="some never ran")
        assert [launched(shared_cluster, name) for name in names] == [1] * len(names)
        assert len([one for one in airflow.runs() if one.startswith("applied__many-")]) == len(names)


class TestATaskRunOfTheOperator:
    @contextmanager
    def held(self, airflow: Airflow, place: Place, run_id: str) -> Iterator[str]:
        """A run whose pod has asked the model, which gives no answer meanwhile; the name of the run."""
        with place.world.asking.held():
            airflow.trigger(run_id, agent=AGENT, user_message="Book the blue room.")
            place.world.asking.await_one()
            awaited(lambda: airflow.state(run_id) == "deferred", what="the task holds a worker")
            (name,) = (
                one.removeprefix("taskrun.goldgate.dev/")
                for one in place.cluster.kubectl("get", "taskruns", "-o", "name").split()
                if run_id in one
            )
            yield name

    def test_holds_no_worker_and_brings_log_and_result(self, airflow: Airflow, place: Place):
        with self.held(airflow, place, "triggered") as name:
            (pod,) = pods_of(place.cluster, name)
            said = place.cluster.kubectl("logs", pod).splitlines()

        awaited(lambda: airflow.state("triggered") == "success", what="the task never ended")

        told = airflow.result("triggered")
        assert (told["name"], told["phase"], told["output"]) == (name, "FinalAnswer", ANSWER)
        assert said
        assert missing(said, airflow.log("triggered")) == []

    def test_brings_the_log_of_every_pod_that_worked_on_it(self, airflow: Airflow, place: Place):
        with self.held(airflow, place, "two-pods") as name:
            (first,) = pods_of(place.cluster, name)
            said = place.cluster.kubectl("logs", first).splitlines()
            awaited(lambda: not missing(said, airflow.log("two-pods")), what="the log is not brought while it works")
            place.cluster.kubectl("delete", first)
            awaited(lambda: pods_of(place.cluster, name) not in ([], [first]), what="no second pod came")

        awaited(lambda: airflow.state("two-pods") == "success", what="the task never ended")

        log = airflow.log("two-pods")
        assert missing(said, log) == []
        assert f"{name}-2" in log

    @pytest.mark.parametrize("program", ["triggerer", "scheduler"])
    def test_goes_on_with_the_same_pod_when_a_part_of_airflow_dies(
        self, airflow: Airflow, place: Place, settings: Settings, program: str
    ):
        run_id = f"{program}-dies"
        with self.held(airflow, place, run_id) as name:
            before = pods_of(place.cluster, name)
            end_program(settings, program)
            assert pods_of(place.cluster, name) == before

        awaited(lambda: airflow.state(run_id) == "success", what="the task never ended")

        assert airflow.result(run_id)["output"] == ANSWER
        assert launched(place.cluster, name) == len(before) == 1

    @pytest.mark.parametrize("answers", [3, 9, 15])
    def test_has_one_pod_though_its_worker_is_killed_while_it_makes_it(
        self, airflow: Airflow, place: Place, line: Line, answers: int
    ):
        """Whatever the API server had done by then: the worker never heard of its last answer."""
        run_id = f"killed-after-{answers}"
        with line.held_after(answers):
            airflow.trigger(run_id, agent=AGENT, user_message="Book the blue room.")
            awaited(line.reached.is_set, what="its worker never asked so much")
            line.held_process.kill()
            awaited(lambda: airflow.state(run_id) == "up_for_retry", what="Airflow never missed its worker")

        awaited(lambda: airflow.state(run_id) == "success", what="the task never ended")

        result = airflow.result(run_id)
        assert result["output"] == ANSWER
        assert launched(place.cluster, result["name"]) == 1

    def test_goes_on_with_the_same_pod_when_its_task_is_cleared(self, airflow: Airflow, place: Place):
        with self.held(airflow, place, "cleared") as name:
            airflow.clear("cleared")
            awaited(lambda: airflow.task("cleared")["try_number"] == 2, what="the task was never tried again")

        awaited(lambda: airflow.state("cleared") == "success", what="the task never ended")

        assert phase(place.cluster, name) == "FinalAnswer"
        assert launched(place.cluster, name) == 1

    def test_asks_a_person_in_the_ui_and_goes_on_with_the_answer(self, airflow: Airflow, place: Place):
        bring_agent(place, "careful", approve=["book"])
        airflow.trigger("asked", agent="careful", user_message="Book the blue room.")

        awaited(airflow.question, what="nobody was asked")
        booked = len(place.world.booked)

        awaited(airflow.approved, what="the question never waited")
        awaited(lambda: airflow.state("asked") == "success", what="the task never ended")

        assert airflow.result("asked")["output"] == ANSWER
        assert len(place.world.booked) == booked + 1

    def test_is_ended_with_its_pod_when_its_task_is_marked_failed(self, airflow: Airflow, place: Place):
        with self.held(airflow, place, "unwanted") as name:
            # Airflow tells nobody but a trigger that runs.
            awaited(lambda: "trigger agent_task_run/unwanted" in airflow.log("unwanted"), what="no trigger took it up")

            airflow.mark("unwanted", "failed")

            awaited(lambda: phase(place.cluster, name) in OVER, what="the run was never ended")
            awaited(lambda: not pods_of(place.cluster, name), what="its pod never ended")

        assert phase(place.cluster, name) == "Failed"
        assert "its task is failed" in task_run(place.cluster, name)["status"]["error"]

    def test_leaves_no_key_of_the_cluster_in_what_airflow_writes(self, settings: Settings, token: str):
        """Of all runs before this one."""
        home = Path(settings.home) / "airflow"
        written = [path for path in [*home.rglob("*.log"), *home.glob("airflow.db*")] if path.is_file()]

        assert written
        for path in written:
            assert token.encode() not in path.read_bytes(), path

    def test_is_not_made_anew_when_it_was_deleted_before_the_next_try(self, airflow: Airflow, place: Place):
        with self.held(airflow, place, "deleted") as name:
            pass
        awaited(lambda: airflow.state("deleted") == "success", what="the task never ended")
        place.cluster.kubectl("delete", "taskrun", name)

        airflow.clear("deleted")

        awaited(lambda: airflow.state("deleted") == "failed", what="the second try never ended")
        assert f"Found no TaskRun `{name}`" in airflow.log("deleted")
        assert name not in place.cluster.kubectl("get", "taskruns", "-o", "name")
