from pathlib import Path

import pytest

from goldgate.agent.bundle import seal, verify_bundle
from goldgate.domain.errors import TransientError
from goldgate.entrypoints.arm import fetched_bundle, main
from goldgate.entrypoints.settings import Settings
from tests.fakes.in_memory_registry import InMemoryRegistry


class RegistryDown(InMemoryRegistry):
    """Cannot be reached."""

    def fetch_bundle(self, agent: str, version: str, *, into: Path) -> Path:
        raise TransientError(f"MLflow did not fetch {agent} {version} into {into}.")


def settings_in(home: Path) -> Settings:
    return Settings.from_env({"GOLDGATE_HOME": str(home)})


def bundle_in(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "agent.yaml").write_text("kind: Agent\n")
    seal(folder, agent="helper")
    return folder


class TestFetchedBundle:
    def test_is_the_one_that_is_there(self, tmp_path):
        """Without asking the registry, which may be down."""
        folder = bundle_in(tmp_path / "bundles" / "helper" / "1")

        found = fetched_bundle(settings_in(tmp_path), agent="helper", version="1", registry_of=lambda _: RegistryDown())

        assert found == folder

    def test_is_fetched_again_when_the_copy_is_damaged(self, tmp_path):
        registry = InMemoryRegistry()
        registry.bundles["models:/m-1"] = bundle_in(tmp_path / "registered")
        tags = {"release_id": "r1", "bundle_digest": verify_bundle(tmp_path / "registered")}
        registry.register(agent="helper", model_uri="models:/m-1", run_id="run", tags=tags)
        folder = bundle_in(tmp_path / "bundles" / "helper" / "1")
        (folder / "junk.txt").write_text("junk")

        found = fetched_bundle(settings_in(tmp_path), agent="helper", version="1", registry_of=lambda _: registry)

        assert verify_bundle(found) == tags["bundle_digest"]
        assert (folder.with_name("1.damaged-1") / "junk.txt").exists()

    def test_that_is_damaged_while_the_registry_is_down_says_both(self, tmp_path):
        folder = bundle_in(tmp_path / "bundles" / "helper" / "1")
        (folder / "junk.txt").write_text("junk")

        with pytest.raises(TransientError, match=r"damaged.*`junk\.txt` extra.*MLflow did not fetch"):
            fetched_bundle(settings_in(tmp_path), agent="helper", version="1", registry_of=lambda _: RegistryDown())

        assert folder.exists()


class TestArmProgram:
    def test_may_be_started_again_when_its_bundle_is_damaged_and_the_registry_is_down(self, tmp_path, capsys):
        """Nothing listens on port 1."""
        folder = tmp_path / "bundles" / "helper" / "7"
        folder.mkdir(parents=True)

        arguments = ["--agent", "helper", "--version", "7", "--home", str(tmp_path)]
        code = main(arguments, env={"GOLDGATE_MLFLOW_URL": "http://127.0.0.1:1"})

        assert code == 75
        assert "bundle.json" in capsys.readouterr().err
        assert list((tmp_path).rglob("run/arms/*")) == []
