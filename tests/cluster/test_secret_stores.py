"""The examples of secret stores, held to what the operators of two of those stores define."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from goldgate.entrypoints.settings import CHECKOUT
from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.one_node.binary import go_said

EXAMPLES = CHECKOUT / "include" / "deploy" / "examples"


@dataclass(frozen=True, kw_only=True)
class Operator:
    """An operator's definitions, in the module of Go that it is published as."""

    module: str
    version: str
    digest: str
    """Of the module, as Go writes it into `go.sum`."""
    definitions: tuple[str, ...]

    def files(self, folder: Path) -> list[Path]:
        """Fetch the definitions."""
        found = json.loads(go_said(folder, "mod", "download", "-json", f"{self.module}@{self.version}"))
        assert found["Sum"] == self.digest
        return [Path(found["Dir"]) / each for each in self.definitions]


OPERATORS = {
    "external-secrets.yaml": Operator(
        module="github.com/external-secrets/external-secrets",
        version="v1.3.2",
        digest="h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=",
        definitions=(
            "config/crds/bases/external-secrets.io_externalsecrets.yaml",
            "config/crds/bases/external-secrets.io_secretstores.yaml",
        ),
    ),
    "sealed-secrets.yaml": Operator(
        module="github.com/bitnami-labs/sealed-secrets",
        version="v0.40.0",
        digest="h1:rvCP35JL8ZV5LNA2SrwNR6iLyoM3ulrSFWN0lBtYEYI=",
        definitions=("helm/sealed-secrets/crds/bitnami.com_sealedsecrets.yaml",),
    ),
}


@pytest.fixture(scope="module", params=sorted(OPERATORS))
def example(
    request: pytest.FixtureRequest, shared_cluster: ClusterUnderTest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[dict[str, Any]]]:
    """What an example says, on a cluster that knows its kinds."""
    assert shared_cluster.one_node  # definitions belong to a whole cluster: only into one of our own
    files = [f"--filename={each}" for each in OPERATORS[request.param].files(tmp_path_factory.mktemp("go"))]
    shared_cluster.kubectl("apply", "--server-side", *files)
    try:
        shared_cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *files)
        read = list(yaml.safe_load_all((EXAMPLES / request.param).read_text(encoding="utf-8")))
        yield [{**each, "metadata": {**each["metadata"], "namespace": shared_cluster.namespace}} for each in read]
    finally:
        shared_cluster.kubectl("delete", *files)


class TestAnExampleOfASecretStore:
    def test_is_taken_whole(self, example: list[dict[str, Any]], shared_cluster: ClusterUnderTest):
        assert len(example) > 0
        for each in example:
            shared_cluster.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(each))

    def test_would_not_be_if_it_named_a_field_that_is_none(
        self, example: list[dict[str, Any]], shared_cluster: ClusterUnderTest
    ):
        for each in example:
            wrong = {**each, "spec": {**each["spec"], "secretName": "openai"}}
            ran = shared_cluster.try_kubectl(
                "create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(wrong)
            )

            assert ran.returncode != 0
            assert "secretName" in ran.stderr
