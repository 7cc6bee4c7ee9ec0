"""Runs that are tended with the token that Airflow has in a cluster, where the admission policies hold."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from goldgate.adapters.cluster.connection import Access, connect
from goldgate.adapters.cluster.resources import ClusterResources
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.agent_applying import apply_agent, frozen_folder
from goldgate.entrypoints.settings import Settings
from tests.cluster.bearers import Deployed, access_of
from tests.cluster.tending import Tended, settings_of
from tests.cluster.world import ANSWER, Place, World, agent_documents, settle
from tests.fakes.agent_folders import write_folder

IMAGES = "goldgate.dev/images"


@pytest.fixture
def place(deployed: Deployed, tmp_path: Path) -> Iterator[Place]:
    """An agent in the namespace, and steps that ask the API server as the operator."""
    world = World(deployed.host)
    settled = settle(deployed, world, tmp_path)
    with settings_of(settled):
        yield replace(settled, access=access_of(deployed, "goldgate-operator"))
    world.close()


def listed(cluster: Deployed, annotation: str) -> None:
    cluster.kubectl("annotate", "--overwrite", "namespace", cluster.namespace, annotation)


class TestRunsByTheOperator:
    def test_end_with_an_answer(self, place):
        told = Tended(place, "allowed").begin().over()

        assert (told["phase"], told["output"]) == ("FinalAnswer", ANSWER)

    def test_wait_for_an_image_that_the_namespace_does_not_list_and_go_on_once_it_does(self, deployed, place):
        listed(deployed, f"{IMAGES}=registry.example.com/another")
        try:
            tended = Tended(place, "early").begin()
            tended.await_reason(f"image {deployed.image} may not run in namespace {deployed.namespace}")
        finally:
            listed(deployed, f"{IMAGES}={deployed.image}")

        assert tended.over()["phase"] == "FinalAnswer"


class TestAgentApply:
    def test_says_which_secret_the_namespace_does_not_list(self, deployed, place):
        key = {"env": "MODEL_KEY", "secret": {"name": "database", "key": "password"}}
        written = agent_documents(place.world, name="reader").replace("free: true", f"free: true\n  apiKeyFrom: {key}")
        written = written.replace("name: model", "name: keyed").replace("llm: model", "llm: keyed")
        folder = write_folder(place.folder / "reader", written, files={})
        settings = Settings.from_env(
            {"GOLDGATE_HOME": str(place.folder / "home"), "GOLDGATE_AGENTS": str(place.folder)}
        )
        bundle = frozen_folder(folder, settings=settings, env=dict(os.environ) | {"MODEL_KEY": "hush"})
        reached = connect(Access(where=str(deployed.kubeconfig)), namespace=deployed.namespace)

        with pytest.raises(PermanentError) as refused:
            apply_agent(bundle, resources=ClusterResources(reached))

        reached.client.close()
        assert "Secret database may not be read by agents" in str(refused.value)
        assert "its annotation goldgate.dev/secrets names" in str(refused.value)
