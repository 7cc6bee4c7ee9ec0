"""Whoever applies the definitions of this version over earlier ones loses nothing.

The earlier ones stand in `crds-before`. Both are applied under a group of their own and without short names, so
that no other test of the cluster sees its resources change.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from goldgate.contracts.cluster import GROUP, NOT_BEGUN
from goldgate.entrypoints.crds import FOLDER
from tests.cluster.conftest import ClusterUnderTest
from tests.fakes.whole_resources import STATUS, WHOLE

BEFORE = Path(__file__).parent / "crds-before"
OWN_GROUP = f"upgraded.{GROUP}"
"""Sorts behind the real one: `kubectl get taskruns` of other tests finds that first."""
NEW = ("program", "recheckSeconds")
"""A document and a field of it that the earlier definitions did not know."""


def definitions(folder: Path) -> list[dict[str, Any]]:
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))]
    made = [yaml.safe_load(text.replace(GROUP, OWN_GROUP)) for text in texts]
    made = [each for each in made if each["kind"] == "CustomResourceDefinition"]
    for each in made:
        each["spec"]["names"] = {key: each["spec"]["names"][key] for key in ("kind", "listKind", "plural", "singular")}
    return made


def moved(document: dict[str, Any], *, name: str) -> dict[str, Any]:
    return {**document, "apiVersion": f"{OWN_GROUP}/v1alpha1", "metadata": {"name": name}}


def names_of(made: list[dict[str, Any]]) -> list[str]:
    return [f"crd/{each['metadata']['name']}" for each in made]


class Upgrade:
    """The definitions of a version, applied; and what they hold."""

    def __init__(self, cluster: ClusterUnderTest) -> None:
        self._cluster = cluster

    def apply(self, folder: Path) -> None:
        made = definitions(folder)
        everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
        self._cluster.kubectl("apply", "--server-side", "-f", "-", stdin=everything)
        self._cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names_of(made))

    def remove(self, folder: Path) -> None:
        self._cluster.kubectl("delete", "--ignore-not-found", "--timeout=60s", *names_of(definitions(folder)))

    def create(self, document: dict[str, Any]) -> None:
        self._cluster.kubectl("create", "-f", "-", stdin=json.dumps(document))

    def create_as_soon_as_known(self, document: dict[str, Any]) -> None:
        """Create what the API server takes by its new definitions, which it learns a moment after they are applied."""
        deadline = time.monotonic() + 60
        while (said := self._cluster.try_kubectl("create", "-f", "-", stdin=json.dumps(document))).returncode != 0:
            assert "unknown field" in said.stderr, said.stderr
            assert time.monotonic() < deadline, said.stderr
            time.sleep(0.2)

    def write_everything_again(self) -> None:
        for each in definitions(FOLDER):
            self._cluster.kubectl("label", each["metadata"]["name"], "--all", "written=again")

    def kept(self) -> dict[str, dict[str, Any]]:
        """Read every object: what stands in it."""
        found: dict[str, dict[str, Any]] = {}
        for each in definitions(FOLDER):
            listed = json.loads(self._cluster.kubectl("get", each["metadata"]["name"], "-o", "json"))
            for item in listed["items"]:
                found[f"{item['kind']} {item['metadata']['name']}"] = {
                    "spec": item["spec"],
                    "status": item.get("status"),
                    "uid": item["metadata"]["uid"],
                }
        return found


@pytest.fixture
def upgrade(cluster: ClusterUnderTest) -> Iterator[Upgrade]:
    upgrade = Upgrade(cluster)
    upgrade.remove(FOLDER)
    yield upgrade
    upgrade.remove(FOLDER)


class TestUpgrade:
    def test_starts_from_definitions_that_knew_less(self):
        document, field = NEW
        plural = f"{WHOLE[document]['kind'].lower()}s"

        def fields(folder: Path) -> set[str]:
            made = yaml.safe_load((folder / f"{plural}.yaml").read_text(encoding="utf-8"))
            schema = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            return set(schema["properties"]["spec"]["properties"])

        assert field in fields(FOLDER) - fields(BEFORE)

    def test_loses_nothing(self, upgrade: Upgrade, cluster: ClusterUnderTest):
        document, field = NEW
        upgrade.apply(BEFORE)
        for number, each in enumerate(WHOLE.values()):
            known = {key: value for key, value in each["spec"].items() if key != field}
            upgrade.create(moved({**each, "spec": known}, name=f"a-{number}"))
        runs = f"taskruns.{OWN_GROUP}"
        run = f"a-{list(WHOLE).index('run')}"
        cluster.kubectl(
            "patch", runs, run, "--subresource=status", "--type=merge", "-p", json.dumps({"status": STATUS})
        )
        before = upgrade.kept()

        upgrade.apply(FOLDER)

        upgrade.create_as_soon_as_known(moved(WHOLE[document], name="new"))
        upgrade.write_everything_again()
        after = upgrade.kept()
        assert after.pop("MCPServer new")["spec"] == WHOLE[document]["spec"]
        assert len(before) == len(WHOLE)
        assert before[f"TaskRun {run}"]["status"]["held"] == STATUS["held"]
        assert [each["status"] for each in before.values()].count(None) == len(WHOLE) - 1
        waiting = {key for key in before if key.startswith("TaskRun") and before[key]["status"] is None}
        assert after == {**before, **{key: {**before[key], "status": dict(NOT_BEGUN)} for key in waiting}}

    def test_can_be_made_twice(self, upgrade: Upgrade):
        upgrade.apply(FOLDER)

        upgrade.apply(FOLDER)

        assert upgrade.kept() == {}
