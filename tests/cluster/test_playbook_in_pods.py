"""The whole playbook beside a real cluster: gold sets are asked by pods, and what was promoted works as a pod."""

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from goldgate.entrypoints import local
from goldgate.entrypoints.local_airflow import password_of
from goldgate.entrypoints.settings import Settings
from tests.cluster.airflow import Airflow, awaited
from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.world import apply_accounts
from tests.journeys.test_second_agent import AGENT, free_port, write_agent

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("airflow_in_cluster"), pytest.mark.timeout(900)]

RELEASE = "agent_release"
QUESTION = "Chairs in Cedar?"


class Journey:
    """A stack on this machine whose pods are in the cluster, and what a person does with it."""

    def __init__(self, cluster: ClusterUnderTest, folder: Path) -> None:
        self.cluster = cluster
        self.agents = folder / "agents"
        self.model_port = free_port()
        model = f"http://{cluster.host}:{self.model_port}/v1"
        pods = {
            "image": cluster.image,
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
            "env": {"GOLDGATE_MODEL_URL": model, "GOLDGATE_OTLP_URL": "off"},
        }
        api = {"apiVersion": "goldgate.dev/v1alpha1", "kind": "PodSettings", "metadata": {"name": "pods"}}
        (folder / "pods.yaml").write_text(yaml.safe_dump({**api, "spec": pods}))
        extra = {"kube_config": cluster.kubeconfig.read_text(), "namespace": cluster.namespace}
        self.env = {
            **os.environ,
            "GOLDGATE_HOME": str(folder / "home"),
            "GOLDGATE_AGENTS": str(self.agents),
            "GOLDGATE_AIRFLOW_URL": f"http://127.0.0.1:{free_port()}",
            "GOLDGATE_MLFLOW_URL": f"http://127.0.0.1:{free_port()}",
            "GOLDGATE_MODEL_URL": model,
            "GOLDGATE_ROUTER_URL": f"http://127.0.0.1:{free_port()}",
            "GOLDGATE_PODS": str(folder / "pods.yaml"),
            "GOLDGATE_KUBERNETES_CONN_ID": "cluster_under_test",
            "AIRFLOW_CONN_CLUSTER_UNDER_TEST": json.dumps({"conn_type": "kubernetes", "extra": extra}),
        }
        self.settings = Settings.from_env(self.env)

    @contextmanager
    def model(self) -> Iterator[None]:
        """Serve the stand-in where pods reach it."""
        command = [sys.executable, "-m", "goldgate.entrypoints.standin"]
        where = ["--host", self.cluster.host, "--port", str(self.model_port)]
        with subprocess.Popen([*command, *where], env=self.env) as serving:
            try:
                yield
            finally:
                serving.terminate()

    def goldgate(self, *words: str) -> dict:
        """Run our command line on the cluster."""
        where = {"GOLDGATE_CLUSTER": str(self.cluster.kubeconfig), "GOLDGATE_NAMESPACE": self.cluster.namespace}
        command = [sys.executable, "-m", "goldgate.entrypoints.cli", *words, "-o", "json"]
        done = subprocess.run(command, env={**self.env, **where}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def release(self, airflow: Airflow, run_id: str) -> dict:
        """Have Airflow release the agent, and give what its last task says."""
        conf = {"agent": AGENT, "reason": run_id}
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        airflow.ask("POST", f"dags/{RELEASE}/dagRuns", json=body)
        runs = f"dags/{RELEASE}/dagRuns/{run_id}"
        state = awaited(
            lambda: found if (found := airflow.ask("GET", runs)["state"]) in {"success", "failed"} else None,
            what="the release never ended",
        )
        value = airflow.ask("GET", f"{runs}/taskInstances/close/xcomEntries/return_value", params={"deserialize": True})
        assert state == "success", value
        return value["value"]

    def evaluation_pods(self) -> set[str]:
        """Name the pods that ever asked a gold set: they are gone, and what the cluster did with them is told."""
        events = json.loads(self.cluster.kubectl("get", "events", "-o", "json"))["items"]
        about = [event["involvedObject"] for event in events if event["reason"] == "Started"]
        return {one["name"] for one in about if one["name"].startswith("evaluation-")}

    @contextmanager
    def traffic(self) -> Iterator[None]:
        """Ask the router all the while."""
        stop = threading.Event()

        def send() -> None:
            url = f"{self.settings.router_url}/v1/chat/completions"
            question = {"model": AGENT, "messages": [{"role": "user", "content": QUESTION}]}
            with httpx.Client(timeout=30) as client:
                for number in itertools.count():
                    if stop.wait(0.05):
                        return
                    client.post(url, json=question, headers={"x-goldgate-caller": f"caller-{number % 97}"})

        callers = threading.Thread(target=send, daemon=True)
        callers.start()
        try:
            yield
        finally:
            stop.set()
            callers.join()


@pytest.fixture
def journey(cluster: ClusterUnderTest, tmp_path: Path) -> Iterator[Journey]:
    made = Journey(cluster, tmp_path)
    apply_accounts(cluster, "task-run", "evaluation")
    write_agent(made.agents, k=2)
    with made.model():
        local.up(made.settings, env=made.env, say=print)
        try:
            yield made
        finally:
            local.down(made.settings, say=print)


class TestThePlaybook:
    @pytest.fixture
    def airflow(self, journey: Journey) -> Iterator[Airflow]:
        with closing(Airflow(journey.settings.airflow_url, password_of(journey.settings, "admin"))) as airflow:
            yield airflow

    def test_evaluates_in_pods_and_what_it_promotes_works_as_a_pod(self, journey: Journey, airflow: Airflow):
        awaited(lambda: airflow.has(RELEASE) and airflow.has("agent_task_run"), what="Airflow never read the DAGs")

        first = journey.release(airflow, "first")
        write_agent(journey.agents, k=3)
        with journey.traffic():
            second = journey.release(airflow, "second")
        applied = journey.goldgate("agent", "apply", AGENT, "--champion")
        airflow.trigger("asked", agent=AGENT, user_message=QUESTION)
        awaited(lambda: airflow.state("asked") == "success", what="the TaskRun never ended")

        assert (first["outcome"], second["outcome"]) == ("promoted", "promoted")
        assert len(journey.evaluation_pods()) == 2
        told = airflow.result("asked")
        assert "12 chairs" in told["output"]
        assert told["bundle"] == applied["bundle_digest"]
