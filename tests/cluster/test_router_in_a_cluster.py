"""A router in a cluster, from the registry to an answer: with the real images, a real MLflow, and an arm in a pod."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import pytest

from goldgate.adapters.file_locks import FileLocks
from goldgate.agent.bundle import verify_bundle
from goldgate.entrypoints.agent_applying import frozen_folder
from goldgate.entrypoints.settings import Settings
from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.deployed import overlay
from tests.cluster.stores import install_kinds
from tests.cluster.world import ANSWER, World
from tests.fakes.agent_folders import write_folder
from tests.waiting import until

AGENT = "greeter"
ROUTER = "deployment/goldgate-router"


def agent_yaml(model_url: str) -> str:
    head = "apiVersion: goldgate.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    llm = {"model": "scripted-1", "baseUrl": f"{model_url}/v1", "free": True}
    prompts = {"system": "prompts/system.md", "user": "prompts/user.md"}
    agent = {"description": "Greets.", "llm": "model", "prompts": prompts}
    return "---\n".join(
        head.format(kind=kind, name=name, spec=json.dumps(spec))
        for kind, name, spec in (("LLM", "model", llm), ("Agent", AGENT, agent))
    )


@pytest.fixture
def world(shared_cluster: ClusterUnderTest) -> Iterator[World]:
    world = World(shared_cluster.host)
    yield world
    world.close()


@pytest.fixture
def reachable_mlflow(shared_cluster: ClusterUnderTest, mlflow_url: str) -> Iterator[str]:
    """The MLflow of the test session listens on this machine only: pods reach it through a passage."""
    with socket.create_server((shared_cluster.host, 0)) as listener:
        threading.Thread(target=_let_through, args=(listener, mlflow_url), daemon=True).start()
        yield f"http://{shared_cluster.host}:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def _let_through(listener: socket.socket, url: str) -> None:
    with suppress(OSError):
        while True:
            inside, _ = listener.accept()
            threading.Thread(target=_carry, args=(inside, urlsplit(url)), daemon=True).start()


def _carry(inside: socket.socket, to: SplitResult) -> None:
    with inside, socket.create_connection((to.hostname, to.port)) as outside:
        back = threading.Thread(target=_pump, args=(outside, inside), daemon=True)
        back.start()
        _pump(inside, outside)
        back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def register_champion(mlflow_url: str, folder: Path, *, model_url: str) -> str:
    """Freeze an agent and make it the champion, as a release does at its end."""
    from goldgate.adapters.mlflow_registry import MlflowRegistry
    from goldgate.adapters.mlflow_tracking import MlflowTracking

    agent = write_folder(folder / AGENT, agent_yaml(model_url), files={})
    settings = Settings.from_env({"GOLDGATE_HOME": str(folder / "home"), "GOLDGATE_AGENTS": str(folder)})
    bundle = frozen_folder(agent, settings=settings, env={})
    tracking = MlflowTracking(mlflow_url)
    run = tracking.log_evaluation(experiment=AGENT, name="n", tags={}, params={}, metrics={}, artifacts=[])
    packaged = tracking.package(bundle, run_id=run.run_id, name=AGENT)
    registry = MlflowRegistry(mlflow_url, locks=FileLocks(folder / "locks"))
    tags = {"release_id": folder.name, "bundle_digest": verify_bundle(bundle), "gold_digest": "g"}
    made = registry.register(agent=AGENT, model_uri=packaged.model_uri, run_id=run.run_id, tags=tags)
    registry.move_champion(AGENT, to=made.version, expected=None)
    return made.version


def write_overlay(cluster: ClusterUnderTest, folder: Path, *, mlflow_url: str, model_url: str) -> Path:
    """One small router without shared storage, whose arms are asked by their pods: nothing may serve Services here."""
    arms = {
        "image": cluster.image,
        "serviceAccount": "goldgate-arm",
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
    }
    document = {
        "apiVersion": "goldgate.dev/v1alpha1",
        "kind": "PodSettings",
        "metadata": {"name": "arms"},
        "spec": arms,
    }
    (folder / "arms.yaml").write_text(json.dumps(document))
    image, tag = cluster.image_of("router").rsplit(":", 1)
    pod = "/spec/template/spec"
    router = [
        {"op": "replace", "path": f"{pod}/volumes/0", "value": {"name": "home", "emptyDir": {}}},
        {"op": "replace", "path": f"{pod}/containers/0/resources/requests/cpu", "value": "10m"},
        {"op": "add", "path": f"{pod}/containers/0/args", "value": ["--arms-by", "pod"]},
    ]
    single = [{"op": "replace", "path": "/spec/minReplicas", "value": 1}]
    env = [f"GOLDGATE_MLFLOW_URL={mlflow_url}", f"GOLDGATE_MODEL_URL={model_url}/v1", "GOLDGATE_OTLP_URL=off"]
    maps = [
        {"name": "goldgate-router", "behavior": "merge", "literals": env},
        {"name": "goldgate-arms", "behavior": "merge", "files": ["arms.yaml"]},
    ]
    patches = [
        {"target": {"kind": "Deployment"}, "patch": json.dumps(router)},
        {"target": {"kind": "HorizontalPodAutoscaler"}, "patch": json.dumps(single)},
    ]
    more = f"images: {json.dumps([{'name': 'goldgate-router', 'newName': image, 'newTag': tag}])}\n"
    more += f"patches: {json.dumps(patches)}\nconfigMapGenerator: {json.dumps(maps)}\n"
    bases = ["rbac", "admission", "network", "router"]
    return overlay(folder, namespace=cluster.namespace, bases=bases, more=more)


class TestRouterInACluster:
    @pytest.mark.slow
    def test_answers_by_an_arm_that_it_made(self, shared_cluster, world, mlflow_url, reachable_mlflow, tmp_path):
        install_kinds(shared_cluster)
        version = register_champion(mlflow_url, tmp_path / "agents", model_url=world.url)
        (tmp_path / "deploy").mkdir()
        applied = write_overlay(shared_cluster, tmp_path / "deploy", mlflow_url=reachable_mlflow, model_url=world.url)
        shared_cluster.kubectl("apply", "-k", str(applied))
        shared_cluster.kubectl("rollout", "status", ROUTER, "--timeout=120s")
        pods = f"/api/v1/namespaces/{shared_cluster.namespace}/pods"
        name = shared_cluster.kubectl(
            "get", "pods", "-l", "app.kubernetes.io/name=goldgate-router", "-o", "jsonpath={.items[0].metadata.name}"
        )

        ready = f"{pods}/{name}:8800/proxy/readyz"
        until(lambda: shared_cluster.try_kubectl("get", "--raw", ready).returncode == 0, within_s=150)
        asked = json.dumps({"model": AGENT, "messages": [{"role": "user", "content": "Hello?"}]})
        path = f"{pods}/{name}:8800/proxy/v1/chat/completions"
        told = json.loads(shared_cluster.kubectl("create", "--raw", path, "-f", "-", stdin=asked))

        assert told["choices"][0]["message"]["content"] == ANSWER
        arms = json.loads(shared_cluster.kubectl("get", "deployments", "-l", "goldgate.dev/arm", "-o", "json"))["items"]
        assert [one["metadata"]["annotations"]["goldgate.dev/version"] for one in arms] == [version]
