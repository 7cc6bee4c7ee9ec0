"""An LLM, MCPServer or Agent names no Secret that its namespace does not list: its author learns so at once."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from goldgate.contracts.cluster import ENV_ANNOTATION
from goldgate.contracts.resource_parts import FromEnv, SecretKey
from goldgate.entrypoints.agent_resources import written_env
from tests.cluster.bearers import Deployed
from tests.cluster.conftest import SECRETS
from tests.fakes.whole_resources import WHOLE
from tests.waiting import until

Document = dict[str, Any]

KINDS = ("LLM", "MCPServer", "Agent")
REFUSED = "may not be read by agents in namespace"


def secrets_in(value: Any) -> Iterator[Document]:
    """Find every reference to a Secret, wherever it stands."""
    if isinstance(value, dict):
        if "name" in value and "key" in value and len(value) == 2:
            yield value
        for each in value.values():
            yield from secrets_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from secrets_in(each)


def references() -> Iterator[tuple[str, int]]:
    """Name every reference of the documents in which each field stands: which document, and which of its own."""
    for name, document in WHOLE.items():
        if document["kind"] in KINDS:
            yield from ((name, index) for index, _ in enumerate(secrets_in(document["spec"])))


def naming(name: str, index: int, secret: str, *, called: str = "fresh") -> Document:
    """Have one reference of a document name another Secret."""
    changed = deepcopy(WHOLE[name]) | {"metadata": {"name": called}}
    list(secrets_in(changed["spec"]))[index]["name"] = secret
    return changed


def agent(annotation: str) -> Document:
    made = deepcopy(WHOLE["agent of texts"])
    made["metadata"] = {"name": "asks", "annotations": {ENV_ANNOTATION: annotation}}
    return made


def env_of(*names: str) -> str:
    """What `goldgate agent apply` writes of the agents inside a bundle."""
    secrets = [SecretKey(name=name, key="api.key") for name in names]
    return written_env({f"KEY_{at}": FromEnv(env=f"KEY_{at}", secret=secret) for at, secret in enumerate(secrets)})


def applied(cluster: Deployed, document: Document, *more: str) -> str:
    """Apply a document as somebody who may; what it is refused with."""
    ran = cluster.try_kubectl("apply", "-f", "-", *more, stdin=json.dumps(document))
    return "" if ran.returncode == 0 else ran.stderr


class TestReferencesToSecrets:
    def test_stand_in_all_these_places(self):
        """Else the tests below would hold for nothing."""
        assert {WHOLE[name]["kind"] for name, _ in references()} == set(KINDS)
        assert len(list(references())) >= 7

    @pytest.mark.parametrize("name", sorted({name for name, _ in references()}))
    def test_are_taken_if_the_namespace_lists_the_secret(self, deployed, name):
        assert applied(deployed, WHOLE[name], "--dry-run=server") == ""

    @pytest.mark.parametrize(("name", "index"), sorted(references()))
    def test_are_refused_if_it_does_not(self, deployed, name, index):
        told = applied(deployed, naming(name, index, "database"), "--dry-run=server")

        assert f"Secret database {REFUSED} {deployed.namespace}" in told
        assert "its annotation goldgate.dev/secrets names" in told

    def test_are_refused_where_nothing_is_listed(self, deployed):
        told = applied(deployed, WHOLE["llm"], "--dry-run=server", "--namespace", "default")

        assert f"Secret {SECRETS} {REFUSED} default" in told

    def test_that_were_there_before_the_list_do_not_hold_up_other_changes(self, deployed):
        """A label, a finalizer, another limit: the pods of such an agent are refused anyhow."""
        named = f"goldgate.dev/secrets={SECRETS}"
        own = ("annotate", "--overwrite", "namespace", deployed.namespace)
        old = naming("llm", 0, "database", called="old")
        deployed.kubectl(*own, f"{named} database")
        # Whoever admits a document reads of a namespace a moment after it was written.
        until(lambda: applied(deployed, old) == "")
        deployed.kubectl(*own, named)
        fresh = naming("llm elsewhere", 0, "database")
        until(lambda: REFUSED in applied(deployed, fresh, "--dry-run=server"))

        old["spec"]["maxRetries"] = 9
        assert applied(deployed, old) == ""
        old["spec"]["apiKeyFrom"]["secret"]["name"] = "another"
        assert f"Secret another {REFUSED}" in applied(deployed, old)


class TestAgentWithABundle:
    """The agents inside it are no resources: what they read stands in an annotation."""

    @pytest.mark.parametrize("names", [(), (SECRETS,), (SECRETS, SECRETS)])
    def test_is_taken_if_the_namespace_lists_the_secrets(self, deployed, names):
        assert applied(deployed, agent(env_of(*names)), "--dry-run=server") == ""

    @pytest.mark.parametrize("names", [("database",), (SECRETS, "database")])
    def test_is_refused_if_it_does_not(self, deployed, names):
        assert f"Secret database {REFUSED}" in applied(deployed, agent(env_of(*names)), "--dry-run=server")

    @pytest.mark.parametrize(
        "annotation",
        [
            '{"KEY":{"env":"KEY","secret":{"key":"a","name":"database"}}}',
            '{"KEY":{"env":"KEY","secret":{"na\\u006de":"database","key":"a"}}}',
            '{"KEY":{"env":"KEY","secret":{"name":"keys","key":"a","name" : "database"}}}',
            "[]",
        ],
    )
    def test_is_refused_if_nobody_can_read_of_it_which(self, deployed, annotation):
        told = applied(deployed, agent(annotation), "--dry-run=server")

        assert "is written by `goldgate agent apply`" in told
