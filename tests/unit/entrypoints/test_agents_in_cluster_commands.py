"""`goldgate agent apply|manifest`, as far as they go without a cluster."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from goldgate.contracts.cluster import BUNDLE_ANNOTATION
from goldgate.entrypoints.commands.common import ExitCode
from goldgate.entrypoints.commands.everything import goldgate
from tests.fakes.agent_folders import LLM, agent, write_folder
from tests.fakes.in_memory_resources import InMemoryResources


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_folder(tmp_path / "agents/tiny", LLM, agent())
    return tmp_path


def run(place: Path, *words: str, **env: str) -> Result:
    known = {"GOLDGATE_HOME": str(place / "home"), "GOLDGATE_AGENTS": str(place / "agents"), "GOLDGATE_CLUSTER": ""}
    found = CliRunner().invoke(goldgate, ["agent", *words], env={**known, **env})
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


class TestManifest:
    def test_needs_no_cluster_and_is_all_that_one_needs(self, place: Path):
        found = run(place, "manifest", "tiny")

        assert found.exit_code == ExitCode.DONE, found.stderr
        documents = list(yaml.safe_load_all(found.stdout))
        assert [each["kind"] for each in documents] == ["Part", "LLM", "Agent"]
        assert len(documents[-1]["metadata"]["annotations"][BUNDLE_ANNOTATION]) == 64
        assert InMemoryResources(*documents).get("Agent", "tiny") is not None

    def test_takes_a_folder_too(self, place: Path):
        by_name, by_folder = run(place, "manifest", "tiny"), run(place, "manifest", str(place / "agents/tiny"))

        assert by_folder.stdout == by_name.stdout

    def test_takes_a_version_or_the_champion(self, place: Path):
        found = run(place, "manifest", "tiny", "--version", "1", "--champion")

        assert found.exit_code == ExitCode.USAGE
        assert "one of --version and --champion" in found.stderr


class TestApply:
    def test_says_that_it_needs_a_cluster(self, place: Path):
        found = run(place, "apply", "tiny")

        assert found.exit_code == ExitCode.IMPOSSIBLE
        assert "GOLDGATE_CLUSTER" in found.stderr

    def test_says_that_there_is_no_way_to_it(self, place: Path):
        found = run(place, "apply", "tiny", GOLDGATE_CLUSTER=str(place / "no-kubeconfig"))

        assert found.exit_code == ExitCode.IMPOSSIBLE
        assert "Found no way to the cluster" in found.stderr
