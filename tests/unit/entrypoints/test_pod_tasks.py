"""The steps of TaskRuns that work as pods, before a cluster is reached; `tests/cluster` has the rest."""

import asyncio

import pytest

from goldgate.domain.errors import PermanentError
from goldgate.entrypoints import pod_tasks


class TestTendTask:
    def test_says_which_setting_tells_how_pods_are_made(self, monkeypatch):
        monkeypatch.delenv("GOLDGATE_PODS", raising=False)

        with pytest.raises(PermanentError, match=r"GOLDGATE_PODS.*include/deploy/pod-settings\.yaml"):
            pod_tasks.tend_task("run", {"agent": "a", "user_message": "m"})

    def test_tells_what_is_wrong_in_the_file(self, monkeypatch, tmp_path):
        monkeypatch.setenv("GOLDGATE_PODS", str(tmp_path / "pods.yaml"))
        (tmp_path / "pods.yaml").write_text("kind: PodSettings\nmetadata: {name: a}\nspec: {image: i}\n")

        with pytest.raises(PermanentError, match=r"pods\.yaml.*resources"):
            pod_tasks.tend_task("run", None)


class TestWithoutACluster:
    @pytest.fixture(autouse=True)
    def _without(self, monkeypatch):
        monkeypatch.delenv("GOLDGATE_CLUSTER", raising=False)
        monkeypatch.delenv("GOLDGATE_PODS", raising=False)

    def test_the_watch_says_what_to_set(self):
        with pytest.raises(PermanentError, match="GOLDGATE_CLUSTER is not set"):
            asyncio.run(pod_tasks.watch_task("run", "run-1", say=print))

    def test_the_list_of_applied_runs_says_what_to_set(self):
        with pytest.raises(PermanentError, match="GOLDGATE_CLUSTER is not set"):
            pod_tasks.applied_now()
