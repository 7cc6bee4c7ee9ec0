"""What the registry makes of states that no write of ours leaves, and of a server that is not there."""

import itertools
import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.registry import CanaryTraffic
from tests.fakes.in_memory_locks import InMemoryLocks

pytestmark = pytest.mark.slow

_numbers = itertools.count(1)
UNTIL = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
GOOD_TAG = '{"ratio":0.05,"until":"2026-03-01T12:00:30+00:00","version":"1"}'


@pytest.fixture
def registry(mlflow_url: str) -> Any:
    from goldgate.adapters.mlflow_registry import MlflowRegistry

    return MlflowRegistry(mlflow_url, locks=InMemoryLocks())


@pytest.fixture
def client(mlflow_url: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=mlflow_url, registry_uri=mlflow_url)


@pytest.fixture
def agent(client: Any) -> str:
    """An agent with two versions and the canary's alias on the first, made by another hand."""
    name = f"by-hand-{next(_numbers)}"
    client.create_registered_model(name)
    run = client.create_run(client.create_experiment(name))
    for number in (1, 2):
        tags = {"release_id": f"r{number}", "bundle_digest": str(number) * 64}
        client.create_model_version(name, source=run.info.artifact_uri, run_id=run.info.run_id, tags=tags)
    client.set_registered_model_alias(name, "canary", "1")
    return name


class TestTraffic:
    def test_reads_alias_and_tag_together(self, registry, client, agent: str):
        client.set_registered_model_tag(agent, "goldgate.canary", GOOD_TAG)

        assert registry.traffic(agent).canary == CanaryTraffic(version="1", ratio=0.05, until=UNTIL)

    @pytest.mark.parametrize(
        "tag",
        [
            None,
            "",
            "5 %",
            "[]",
            '{"version":"1","ratio":0.05}',
            '{"version":"1","ratio":0.05,"until":"soon"}',
            '{"version":"1","ratio":0.05,"until":"2026-03-01T12:00:30"}',
            '{"version":"1","ratio":0.9,"until":"2026-03-01T12:00:30+00:00"}',
            '{"version":"2","ratio":0.05,"until":"2026-03-01T12:00:30+00:00"}',
        ],
    )
    def test_takes_what_it_cannot_read_for_no_canary_and_says_so(
        self, registry, client, agent: str, tag: str | None, caplog: pytest.LogCaptureFixture
    ):
        if tag is not None:
            client.set_registered_model_tag(agent, "goldgate.canary", tag)

        with caplog.at_level(logging.WARNING):
            assert registry.traffic(agent).canary is None

        assert [record.message.startswith("registry.canary.") for record in caplog.records] == [True]

    def test_takes_a_tag_without_its_alias_for_no_canary(self, registry, client, agent: str):
        client.set_registered_model_tag(agent, "goldgate.canary", GOOD_TAG)
        client.delete_registered_model_alias(agent, "canary")

        assert registry.traffic(agent).canary is None


class TestFetchBundle:
    def test_refuses_a_version_that_was_not_packaged_by_a_release(self, registry, agent: str, tmp_path):
        with pytest.raises(PermanentError, match="expected a logged model"):
            registry.fetch_bundle(agent, "1", into=tmp_path)


class TestAgents:
    def test_leave_out_models_of_others(self, registry, agent: str):
        assert agent not in registry.agents()


class TestVersion:
    def test_refuses_one_that_no_release_made(self, registry, client, agent: str):
        run = client.create_run(client.get_experiment_by_name(agent).experiment_id)
        client.create_model_version(agent, source=run.info.artifact_uri, run_id=run.info.run_id)

        with pytest.raises(PermanentError, match="not registered by a release"):
            registry.version(agent, "3")


class TestUnreachable:
    def test_server_is_told_as_passing(self):
        from goldgate.adapters.mlflow_registry import MlflowRegistry

        with pytest.raises(TransientError, match=r"http://127\.0\.0\.1:1 did not read who serves `a`: it refused"):
            MlflowRegistry("http://127.0.0.1:1", locks=InMemoryLocks()).traffic("a")
