import threading
from pathlib import Path

import pytest

from goldgate.adapters.supervisor_arms import SupervisorArms
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.router_arms import FetchedArms, arms_of
from goldgate.entrypoints.settings import Settings
from tests.fakes.in_memory_arms import InMemoryArms
from tests.fakes.in_memory_registry import InMemoryRegistry
from tests.waiting import until


def settings(home: Path, **env: str) -> Settings:
    return Settings.from_env({"GOLDGATE_HOME": str(home), **env})


class TestArmsOf:
    @pytest.mark.parametrize("cluster", ["", "/home/ada/.kube/config"])
    def test_are_programs_of_this_machine_outside_of_pods(self, tmp_path, cluster):
        """TaskRuns may be pods of a cluster whose Services a router outside of it cannot reach."""
        chosen = settings(tmp_path, GOLDGATE_CLUSTER=cluster)

        assert isinstance(arms_of(chosen, registry=InMemoryRegistry(), is_headless=False), SupervisorArms)

    def test_need_to_be_told_how_they_are_made_in_a_cluster(self, tmp_path):
        chosen = settings(tmp_path, GOLDGATE_CLUSTER="in-cluster")

        with pytest.raises(PermanentError, match=r"no GOLDGATE_PODS.*PodSettings"):
            arms_of(chosen, registry=InMemoryRegistry(), is_headless=False)

    def test_are_refused_when_how_they_are_made_breaks_the_contract(self, tmp_path):
        made = tmp_path / "arms.yaml"
        made.write_text("apiVersion: goldgate.dev/v1alpha1\nkind: PodSettings\nmetadata: {name: arms}\nspec: {}\n")
        chosen = settings(tmp_path, GOLDGATE_CLUSTER="in-cluster", GOLDGATE_PODS=str(made))

        with pytest.raises(PermanentError, match=r"spec\.image"):
            arms_of(chosen, registry=InMemoryRegistry(), is_headless=False)


class Bundles:
    """Fetches when a test lets it."""

    def __init__(self, folder: Path, *, failures: list[Exception] | None = None) -> None:
        self._folder = folder
        self._failures = failures or []
        self.may_go_on = threading.Event()
        self.asked: list[tuple[str, str]] = []

    def __call__(self, name: tuple[str, str]) -> None:
        self.may_go_on.wait()
        self.asked.append(name)
        if self._failures:
            raise self._failures.pop(0)
        self._folder.joinpath(*name).mkdir(parents=True)


class TestFetchedArms:
    def test_are_ready_only_when_their_bundle_is_here(self, tmp_path):
        """So that no caller is served before the version's own limit is known."""
        fetch = Bundles(tmp_path)
        arms = FetchedArms(InMemoryArms(starts_ready=True), bundles=tmp_path, fetch=fetch)

        arms.ensure("helper", "7")
        before = arms.address("helper", "7")
        fetch.may_go_on.set()
        until(lambda: arms.address("helper", "7"))

        assert before is None
        assert arms.running() == [("helper", "7")]
        assert fetch.asked == [("helper", "7")]

    @pytest.mark.parametrize("failure", [TransientError("down"), PermanentError("damaged"), OSError("full")])
    def test_are_asked_for_again_when_their_bundle_could_not_be_fetched(self, tmp_path, failure):
        fetch = Bundles(tmp_path, failures=[failure])
        fetch.may_go_on.set()
        seconds = iter(range(0, 10_000, 10))
        arms = FetchedArms(
            InMemoryArms(starts_ready=True), bundles=tmp_path, fetch=fetch, monotonic_s=lambda: next(seconds)
        )
        arms.ensure("helper", "7")

        until(lambda: arms.address("helper", "7"))

        assert len(fetch.asked) == 2

    def test_need_nothing_fetched_after_a_restart(self, tmp_path):
        (tmp_path / "helper" / "7").mkdir(parents=True)
        fetch = Bundles(tmp_path)
        arms = FetchedArms(InMemoryArms(starts_ready=True), bundles=tmp_path, fetch=fetch)

        arms.ensure("helper", "7")

        assert arms.address("helper", "7")
        assert fetch.asked == []

    def test_end_when_they_are_stopped(self, tmp_path):
        (tmp_path / "helper" / "7").mkdir(parents=True)
        arms = FetchedArms(InMemoryArms(starts_ready=True), bundles=tmp_path, fetch=Bundles(tmp_path))
        arms.ensure("helper", "7")

        arms.stop("helper", "7")

        assert arms.address("helper", "7") is None
        assert arms.running() == []
