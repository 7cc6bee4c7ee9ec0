"""Every registry of the port registers once, moves by compare-and-set, and tells who serves."""

import itertools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from goldgate.adapters.file_locks import FileLocks
from goldgate.contracts.bundle import BundleError, check_bundle, digest_files
from goldgate.domain.digest import digest_tree
from goldgate.domain.errors import PermanentError
from goldgate.ports.registry import AliasMoved, AliasSuperseded, CanaryTraffic, Registry, Traffic
from tests.fakes.in_memory_registry import InMemoryRegistry

UNTIL = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A registry, an agent's name that nobody else uses, and a way to package a bundle."""

    registry: Registry
    agent: str
    package: Callable[[Path], tuple[str, str]]
    """Bundle to model URI and run id."""
    folder: Path

    def register(self, release_id: str, *, text: str = "hello", digest: str | None = None) -> str:
        bundle = make_bundle(self.folder / f"bundle-{release_id}-{next(_numbers)}", text=text)
        model_uri, run_id = self.package(bundle)
        tags = {"release_id": release_id, "bundle_digest": digest or bundle_digest(bundle), "gold_digest": "g"}
        return self.registry.register(agent=self.agent, model_uri=model_uri, run_id=run_id, tags=tags).version


def make_bundle(folder: Path, *, text: str) -> Path:
    (folder / "prompts").mkdir(parents=True)
    (folder / "prompts" / "system.md").write_text(text)
    (folder / "agent.yaml").write_text("kind: Agent\n")
    files = digest_files(folder)
    manifest = {"agent": "a", "files": files, "digest": digest_tree(files)}
    (folder / "bundle.json").write_text(json.dumps(manifest))
    return folder


def bundle_digest(folder: Path) -> str:
    return str(json.loads((folder / "bundle.json").read_text())["digest"])


@pytest.fixture(params=["memory", pytest.param("mlflow", marks=pytest.mark.slow)])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    agent = f"agent-{next(_numbers)}"
    if request.param == "memory":
        return _in_memory(agent, tmp_path)
    return _on_mlflow(agent, tmp_path, url=request.getfixturevalue("mlflow_url"))


def _in_memory(agent: str, folder: Path) -> Bench:
    registry = InMemoryRegistry()

    def package(bundle: Path) -> tuple[str, str]:
        uri = f"models:/m-{next(_numbers)}"
        registry.bundles[uri] = bundle
        return uri, "run"

    return Bench(registry=registry, agent=agent, package=package, folder=folder)


def _on_mlflow(agent: str, folder: Path, *, url: str) -> Bench:
    from goldgate.adapters.mlflow_registry import MlflowRegistry
    from goldgate.adapters.mlflow_tracking import MlflowTracking

    tracking = MlflowTracking(url)

    def package(bundle: Path) -> tuple[str, str]:
        run = tracking.log_evaluation(experiment=agent, name="n", tags={}, params={}, metrics={}, artifacts=[])
        return tracking.package(bundle, run_id=run.run_id, name=agent).model_uri, run.run_id

    registry = MlflowRegistry(url, locks=FileLocks(folder / "locks"))
    return Bench(registry=registry, agent=agent, package=package, folder=folder)


class TestRegister:
    def test_numbers_versions_and_keeps_their_tags(self, bench: Bench):
        first, second = bench.register("r1"), bench.register("r2", text="other")

        assert (first, second) == ("1", "2")
        found = bench.registry.version(bench.agent, "2")
        assert (found.agent, found.release_id, found.tags["gold_digest"]) == (bench.agent, "r2", "g")

    def test_returns_the_first_version_for_the_same_release(self, bench: Bench):
        assert bench.register("r1") == bench.register("r1")

    def test_refuses_another_bundle_for_the_same_release(self, bench: Bench):
        bench.register("r1", text="one")

        with pytest.raises(PermanentError, match="r1"):
            bench.register("r1", text="two")

    def test_refuses_a_version_without_what_names_it(self, bench: Bench):
        with pytest.raises(PermanentError, match="bundle_digest"):
            bench.registry.register(agent=bench.agent, model_uri="models:/m-1", run_id="r", tags={"release_id": "r1"})

    def test_lists_the_agents(self, bench: Bench):
        bench.register("r1")

        assert bench.agent in bench.registry.agents()


class TestVersion:
    @pytest.mark.parametrize("version", ["7", "latest"])
    def test_refuses_one_that_is_not_there(self, bench: Bench, version: str):
        bench.register("r1")

        with pytest.raises(PermanentError, match=version):
            bench.registry.version(bench.agent, version)


class TestTraffic:
    def test_is_empty_for_an_agent_nobody_knows(self, bench: Bench):
        assert bench.registry.traffic("nobody") == Traffic(agent="nobody", champion=None, canary=None)

    def test_shows_the_champion_and_the_canary(self, bench: Bench):
        champion, canary = bench.register("r1"), bench.register("r2")
        trial = CanaryTraffic(version=canary, ratio=0.05, until=UNTIL)

        bench.registry.move_champion(bench.agent, to=champion, expected=None)
        bench.registry.set_canary(bench.agent, trial)

        assert bench.registry.traffic(bench.agent) == Traffic(agent=bench.agent, champion=champion, canary=trial)


class TestMoveChampion:
    def test_moves_from_nobody_and_from_the_expected(self, bench: Bench):
        first, second = bench.register("r1"), bench.register("r2")

        moved = [
            bench.registry.move_champion(bench.agent, to=first, expected=None),
            bench.registry.move_champion(bench.agent, to=second, expected=first),
        ]

        assert moved == [AliasMoved(previous=None), AliasMoved(previous=first)]
        assert bench.registry.traffic(bench.agent).champion == second

    @pytest.mark.parametrize("expected", [None, "7"])
    def test_changes_nothing_when_somebody_else_is_champion(self, bench: Bench, expected: str | None):
        first, second = bench.register("r1"), bench.register("r2")
        bench.registry.move_champion(bench.agent, to=first, expected=None)

        assert bench.registry.move_champion(bench.agent, to=second, expected=expected) == AliasSuperseded(found=first)
        assert bench.registry.traffic(bench.agent).champion == first

    def test_refuses_a_version_that_is_not_there(self, bench: Bench):
        bench.register("r1")

        with pytest.raises(PermanentError, match="99"):
            bench.registry.move_champion(bench.agent, to="99", expected=None)

        assert bench.registry.traffic(bench.agent).champion is None

    def test_lets_one_of_two_at_once_win(self, bench: Bench):
        versions = [bench.register("r1"), bench.register("r2")]
        results: dict[str, AliasMoved | AliasSuperseded] = {}
        gate = threading.Barrier(2)

        def move(version: str) -> None:
            gate.wait()
            results[version] = bench.registry.move_champion(bench.agent, to=version, expected=None)

        threads = [threading.Thread(target=move, args=(version,)) for version in versions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        winner = bench.registry.traffic(bench.agent).champion
        loser = next(version for version in versions if version != winner)
        assert results == {winner: AliasMoved(previous=None), loser: AliasSuperseded(found=winner)}


class TestSetCanary:
    def test_renews_replaces_and_ends(self, bench: Bench):
        first, second = bench.register("r1"), bench.register("r2")
        steps = [
            CanaryTraffic(version=first, ratio=0.01, until=UNTIL),
            CanaryTraffic(version=first, ratio=0.05, until=UNTIL + timedelta(seconds=20)),
            CanaryTraffic(version=second, ratio=0.01, until=UNTIL),
            None,
            None,
        ]

        for step in steps:
            bench.registry.set_canary(bench.agent, step)
            assert bench.registry.traffic(bench.agent).canary == step

    @pytest.mark.parametrize("ratio", [0.0, -0.1, 0.6])
    def test_refuses_a_share_that_is_no_canary(self, bench: Bench, ratio: float):
        version = bench.register("r1")

        with pytest.raises(PermanentError, match="ratio"):
            bench.registry.set_canary(bench.agent, CanaryTraffic(version=version, ratio=ratio, until=UNTIL))

        assert bench.registry.traffic(bench.agent).canary is None

    def test_refuses_a_version_that_is_not_there(self, bench: Bench):
        bench.register("r1")

        with pytest.raises(PermanentError, match="99"):
            bench.registry.set_canary(bench.agent, CanaryTraffic(version="99", ratio=0.01, until=UNTIL))

        assert bench.registry.traffic(bench.agent).canary is None

    def test_ends_quietly_for_an_agent_nobody_knows(self, bench: Bench):
        bench.registry.set_canary("nobody", None)

        assert bench.registry.traffic("nobody").canary is None


class TestFetchBundle:
    def test_brings_the_whole_folder_once(self, bench: Bench, tmp_path: Path):
        version = bench.register("r1", text="be kind")

        folder = bench.registry.fetch_bundle(bench.agent, version, into=tmp_path / "bundles")
        again = bench.registry.fetch_bundle(bench.agent, version, into=tmp_path / "bundles")

        assert folder == again == tmp_path / "bundles" / bench.agent / version
        assert (folder / "prompts" / "system.md").read_text() == "be kind"
        assert [path.name for path in folder.parent.iterdir()] == [version]

    @pytest.mark.parametrize("damaged", ["prompts/system.md", "prompts/junk.md", "bundle.json"])
    def test_sets_a_damaged_folder_aside_and_brings_it_again(self, bench: Bench, tmp_path: Path, damaged: str):
        version = bench.register("r1", text="be kind")
        folder = bench.registry.fetch_bundle(bench.agent, version, into=tmp_path / "bundles")
        (folder / damaged).write_text("obey me")

        again = bench.registry.fetch_bundle(bench.agent, version, into=tmp_path / "bundles")

        assert again == folder
        check_bundle(folder, digest=bench.registry.version(bench.agent, version).bundle_digest)
        aside = folder.with_name(f"{version}.damaged-1")
        assert (aside / damaged).read_text() == "obey me"
        assert sorted(folder.parent.iterdir()) == [folder, aside]

    def test_gives_no_name_to_what_is_not_the_registered_bundle(self, bench: Bench, tmp_path: Path):
        version = bench.register("r1", digest="0" * 64)

        with pytest.raises(BundleError, match="000000000000"):
            bench.registry.fetch_bundle(bench.agent, version, into=tmp_path / "bundles")

        assert not (tmp_path / "bundles" / bench.agent / version).exists()
