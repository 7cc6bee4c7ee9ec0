import base64
import os
from pathlib import Path

import pytest
import yaml

from goldgate.agent.bundle import seal
from goldgate.contracts.bundle import BundleError, digest_files
from goldgate.contracts.cluster import AGENT_LABEL, ROOT_LABEL, RUN_LABEL, Part, as_written
from goldgate.contracts.resource_parts import FromEnv
from goldgate.domain.digest import digest_bytes
from goldgate.domain.errors import TransientError
from goldgate.entrypoints.stored_bundles import (
    PIECE_CHARS,
    env_of_stored,
    fetch_bundle,
    parts_of_agent,
    parts_of_run,
    store_parts,
)
from goldgate.ports.resources import Applied, Document
from tests.fakes.applied_agents import KEY, inline_agent, inline_llm
from tests.fakes.in_memory_resources import InMemoryResources

RUN = {
    "apiVersion": "goldgate.dev/v1alpha1",
    "kind": "TaskRun",
    "metadata": {"name": "run-1", "uid": "uid-of-the-run"},
    "spec": {"agentRef": "tiny", "userMessage": "Hello?"},
}

MADE_BY_A_POD = {AGENT_LABEL: "kind", ROOT_LABEL: "run-1"}


def bundle(folder: Path, *, random_bytes: int = 10) -> tuple[Path, str]:
    folder.mkdir(parents=True)
    (folder / "agent.yaml").write_text(yaml.safe_dump_all([inline_llm(apiKeyFrom=KEY), inline_agent()]))
    (folder / "knowledge.bin").write_bytes(os.urandom(random_bytes))
    return folder, seal(folder, agent="tiny").digest


@pytest.fixture
def large(tmp_path: Path) -> tuple[Path, str, list[Document]]:
    """A bundle that takes three parts."""
    path, digest = bundle(tmp_path / "large", random_bytes=PIECE_CHARS * 7 // 4)
    return path, digest, parts_of_agent(path, digest=digest, agent="tiny")


class TestPartsOfAgent:
    def test_are_parts_as_their_contract_has_them(self, large: tuple[Path, str, list[Document]]):
        _, digest, parts = large

        specs = [Part.model_validate(as_written(part)).spec for part in parts]

        assert [spec.index for spec in specs] == [0, 1, 2]
        assert {spec.count for spec in specs} == {3}
        assert {spec.digest for spec in specs} == {digest_bytes("".join(spec.text for spec in specs).encode())}
        assert [part["metadata"]["name"] for part in parts] == [f"bundle-{digest[:40]}-{index}" for index in range(3)]
        assert {part["metadata"]["labels"][AGENT_LABEL] for part in parts} == {"tiny"}


class TestFetchBundle:
    def test_brings_the_bundle_by_its_digest_alone(self, tmp_path: Path, large: tuple[Path, str, list[Document]]):
        path, digest, parts = large
        resources = InMemoryResources(*parts)

        found = fetch_bundle(digest, run="run-1", resources=resources, into=tmp_path / "home")

        assert found == tmp_path / "home" / digest
        assert digest_files(found) == digest_files(path)
        assert {kind for kind, _ in resources.read} == {"Part"}

    def test_asks_for_nothing_that_is_here(self, tmp_path: Path, large: tuple[Path, str, list[Document]]):
        _, digest, parts = large
        resources = InMemoryResources(*parts)
        fetch_bundle(digest, run="run-1", resources=resources, into=tmp_path / "home")
        resources.is_down = True

        again = fetch_bundle(digest, run="run-1", resources=resources, into=tmp_path / "home")

        assert again.is_dir()

    def test_finds_what_belongs_to_its_run_alone(self, tmp_path: Path):
        path, digest = bundle(tmp_path / "small")
        resources = InMemoryResources(*parts_of_run(path, digest=digest, run=RUN))

        found = fetch_bundle(digest, run="run-1", resources=resources, into=tmp_path / "home")

        assert digest_files(found) == digest_files(path)
        with pytest.raises(TransientError, match="goldgate agent apply"):
            fetch_bundle(digest, run="run-2", resources=resources, into=tmp_path / "other")

    def test_waits_for_parts_that_are_missing(self, tmp_path: Path, large: tuple[Path, str, list[Document]]):
        _, digest, parts = large

        with pytest.raises(TransientError, match=f"bundle-{digest[:40]}-2"):
            fetch_bundle(digest, run="run-1", resources=InMemoryResources(*parts[:2]), into=tmp_path / "home")

    def test_takes_no_parts_of_two_archives(self, tmp_path: Path, large: tuple[Path, str, list[Document]]):
        _, digest, parts = large
        other = {**parts[1], "spec": {**parts[1]["spec"], "digest": "0" * 64}}

        with pytest.raises(TransientError, match="belongs to"):
            fetch_bundle(
                digest, run="run-1", resources=InMemoryResources(parts[0], other, parts[2]), into=tmp_path / "home"
            )

    @pytest.mark.parametrize("text", ["", "AAAA", "no base64!"])
    def test_believes_no_part(self, tmp_path: Path, text: str):
        """Whoever can write parts still cannot have a pod run another agent."""
        path, digest = bundle(tmp_path / "small")
        (part,) = parts_of_agent(path, digest=digest, agent="tiny")
        forged = {**part, "spec": {**part["spec"], "text": text, "digest": digest_bytes(text.encode())}}

        with pytest.raises(BundleError):
            fetch_bundle(digest, run="run-1", resources=InMemoryResources(forged), into=tmp_path / "home")

        assert not (tmp_path / "home" / digest).exists()

    def test_believes_no_whole_bundle_of_somebody_else(self, tmp_path: Path):
        _, digest = bundle(tmp_path / "small")
        other, _ = bundle(tmp_path / "other")
        forged = parts_of_agent(other, digest=digest, agent="tiny")

        with pytest.raises(BundleError, match="was expected"):
            fetch_bundle(digest, run="run-1", resources=InMemoryResources(*forged), into=tmp_path / "home")

    def test_notices_a_text_that_was_changed(self, tmp_path: Path, large: tuple[Path, str, list[Document]]):
        _, digest, parts = large
        text = base64.b64encode(os.urandom(30)).decode()
        changed = {**parts[2], "spec": {**parts[2]["spec"], "text": text}}

        with pytest.raises(BundleError, match="another text"):
            fetch_bundle(digest, run="r", resources=InMemoryResources(*parts[:2], changed), into=tmp_path / "home")


class TestStoreParts:
    def test_lays_down_what_is_missing_and_says_so(self, large: tuple[Path, str, list[Document]]):
        _, _, parts = large
        resources = InMemoryResources(parts[1])

        outcomes = [store_parts(parts, resources=resources) for _ in range(2)]

        assert outcomes == [Applied.CREATED, Applied.UNCHANGED]
        assert [each["spec"] for each in resources.all("Part")] == [part["spec"] for part in parts]

    def test_replaces_the_parts_of_another_archive_of_the_same_bundle(self, large: tuple[Path, str, list[Document]]):
        """Gzip makes other bytes on another machine; a part is never changed, and mixed ones are of no use."""
        _, _, parts = large
        old = {**parts[0], "spec": {**parts[0]["spec"], "digest": "0" * 64}}
        resources = InMemoryResources(old)

        outcome = store_parts(parts, resources=resources)

        assert outcome is Applied.CONFIGURED
        assert [each["spec"] for each in resources.all("Part")] == [part["spec"] for part in parts]


class TestPartsOfRun:
    def test_go_when_their_run_goes(self, tmp_path: Path):
        path, digest = bundle(tmp_path / "small")

        (part,) = parts_of_run(path, digest=digest, run=RUN)

        (owner,) = part["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("TaskRun", "run-1", "uid-of-the-run")
        assert part["metadata"]["labels"] == {RUN_LABEL: "run-1"}


class TestEnvOfStored:
    def test_is_told_by_the_parts_of_an_agent_and_of_a_run(self, tmp_path: Path):
        path, digest = bundle(tmp_path / "small")
        of_agent = InMemoryResources(*parts_of_agent(path, digest=digest, agent="kind"))
        of_run = InMemoryResources(*parts_of_run(path, digest=digest, run=RUN))

        told = [env_of_stored(digest, run="run-1", agent="kind", resources=each) for each in (of_agent, of_run)]

        assert [each and each.env for each in told] == [{"MODEL_KEY": FromEnv.model_validate(KEY)}] * 2

    def test_is_vouched_for_by_whoever_applied_that_very_agent(self, tmp_path: Path):
        """Neither by a pod, whatever it writes on its part, nor by the parts of another agent."""
        path, digest = bundle(tmp_path / "small")
        applied = parts_of_agent(path, digest=digest, agent="kind")
        forged = [{**each, "metadata": {**each["metadata"], "labels": MADE_BY_A_POD}} for each in applied]
        of_run = parts_of_run(path, digest=digest, run=RUN)

        def is_vouched_for(parts: list[Document], agent: str) -> bool:
            told = env_of_stored(digest, run="run-1", agent=agent, resources=InMemoryResources(*parts))
            return told is not None and told.is_vouched_for

        assert is_vouched_for(applied, "kind")
        assert not is_vouched_for(applied, "other")
        assert not is_vouched_for(forged, "kind")
        assert not is_vouched_for(of_run, "kind")

    def test_is_unknown_of_a_bundle_that_is_not_there(self):
        assert env_of_stored("0" * 64, run="run-1", agent="kind", resources=InMemoryResources()) is None
