"""What every implementation of `goldgate.ports.resources.Resources` does. Run on a cluster in `tests/cluster`."""

from typing import Any

import pytest

from goldgate.ports.resources import Applied, Document, Resources
from tests.fakes.in_memory_resources import InMemoryResources

API = "goldgate.dev/v1alpha1"


def llm(name: str = "model", *, labels: dict[str, str] | None = None, **spec: Any) -> Document:
    written = {"model": "m-1", "provider": "openai", **spec}
    metadata: dict[str, Any] = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": API, "kind": "LLM", "metadata": metadata, "spec": written}


class ResourcesContract:
    """The tests; a subclass gives the fixture `resources`, with nothing in it."""

    def test_finds_nothing_where_nothing_is(self, resources: Resources):
        assert resources.get("LLM", "model") is None
        assert resources.all("LLM") == []

    def test_reads_what_was_made(self, resources: Resources):
        made = resources.create(llm(timeoutSeconds=12))

        found = resources.get("LLM", "model")
        assert made
        assert found is not None
        assert found["spec"] == {"model": "m-1", "provider": "openai", "timeoutSeconds": 12}
        assert found["metadata"]["name"] == "model"
        assert found["metadata"]["uid"]

    def test_makes_an_object_once(self, resources: Resources):
        resources.create(llm())

        again = resources.create(llm(model="m-2"))

        found = resources.get("LLM", "model")
        assert not again
        assert found is not None
        assert found["spec"]["model"] == "m-1"

    def test_says_what_became_of_what_it_applied(self, resources: Resources):
        outcomes = [resources.apply(each) for each in (llm(), llm(), llm(model="m-2"), llm(model="m-2"))]

        assert outcomes == [Applied.CREATED, Applied.UNCHANGED, Applied.CONFIGURED, Applied.UNCHANGED]

    def test_takes_fields_away_that_are_left_out(self, resources: Resources):
        resources.apply(llm(timeoutSeconds=12))

        resources.apply(llm())

        found = resources.get("LLM", "model")
        assert found is not None
        assert "timeoutSeconds" not in found["spec"]

    def test_adds_its_labels_and_annotations_to_those_of_others(self, resources: Resources):
        noted = llm(labels={"of": "x"})
        noted["metadata"]["annotations"] = {"example.com/by": "somebody"}
        resources.apply(llm())

        outcomes = [resources.apply(noted), resources.apply(llm(labels={"more": "y"})), resources.apply(noted)]

        found = resources.get("LLM", "model")
        assert found is not None
        assert found["metadata"]["labels"] == {"of": "x", "more": "y"}
        assert found["metadata"]["annotations"] == {"example.com/by": "somebody"}
        assert outcomes == [Applied.CONFIGURED, Applied.CONFIGURED, Applied.UNCHANGED]

    def test_lists_by_name_what_has_the_labels(self, resources: Resources):
        for name, of in (("b", "x"), ("a", "x"), ("c", "y")):
            resources.apply(llm(name, labels={"of": of}))

        names = [each["metadata"]["name"] for each in resources.all("LLM", labels={"of": "x"})]

        assert names == ["a", "b"]
        assert len(resources.all("LLM")) == 3
        assert resources.all("Agent") == []

    def test_removes_an_object_once_and_for_all(self, resources: Resources):
        resources.create(llm())

        for _ in range(2):
            resources.remove("LLM", "model")

        assert resources.get("LLM", "model") is None


class TestInMemoryResources(ResourcesContract):
    @pytest.fixture
    def resources(self) -> Resources:
        return InMemoryResources()
