"""The definitions of custom resources, made of the contracts."""

import json
from collections.abc import Iterator, Mapping

import pytest
import yaml

from goldgate.entrypoints import crds
from tests.fakes.whole_resources import STATUS, WHOLE

KINDS = {kind.name: kind for kind in crds.KINDS}


def version(kind: str):
    (only,) = crds.definition(KINDS[kind])["spec"]["versions"]
    return only


def schema(kind: str):
    return version(kind)["schema"]["openAPIV3Schema"]


def paths(node: Mapping[str, object], at: str) -> Iterator[str]:
    """Name every field that a schema knows."""
    properties = node.get("properties")
    if isinstance(properties, dict):
        for name, inner in properties.items():
            yield f"{at}.{name}"
            yield from paths(inner, f"{at}.{name}")
    for inner in (node.get("items"), node.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from paths(inner, f"{at}[]")


def paths_of(value: object, node: Mapping[str, object], at: str) -> Iterator[str]:
    """Name every field of a schema that a value has."""
    match value:
        case dict() if "properties" in node:
            for name, inner in value.items():
                yield f"{at}.{name}"
                yield from paths_of(inner, node["properties"][name], f"{at}.{name}")
        case dict() | list():
            for inner in value.values() if isinstance(value, dict) else value:
                yield from paths_of(inner, node.get("items", node.get("additionalProperties")), f"{at}[]")


class TestDefinition:
    @pytest.mark.parametrize("kind", ["Agent", "LLM", "MCPServer", "Part", "Task", "TaskRun"])
    def test_names_a_resource_of_ours(self, kind):
        made = crds.definition(KINDS[kind])

        assert made["metadata"]["name"] == f"{KINDS[kind].plural}.goldgate.dev"
        assert made["spec"]["group"] == "goldgate.dev"
        assert made["spec"]["scope"] == "Namespaced"
        assert made["spec"]["names"]["kind"] == kind
        assert "goldgate" in made["spec"]["names"]["categories"]
        assert (version(kind)["name"], version(kind)["served"], version(kind)["storage"]) == ("v1alpha1", True, True)

    def test_gives_a_run_a_status_of_its_own(self):
        assert version("TaskRun")["subresources"] == {"status": {}}
        assert [kind for kind in KINDS if "subresources" in version(kind)] == ["TaskRun"]

    def test_keeps_what_a_cluster_alone_knows_of_a_run(self):
        assert {"held", "whole", "phase"} <= schema("TaskRun")["properties"]["status"]["properties"].keys()

    def test_leaves_metadata_to_the_server_but_for_a_name_to_tell_about(self):
        metadata = schema("TaskRun")["properties"]["metadata"]

        assert metadata == {"type": "object", "properties": {"name": {"type": "string"}}}

    def test_takes_all_three_contracts_of_agents(self):
        spec = schema("Agent")["properties"]["spec"]

        assert {"prompts", "python", "endpoint"} <= spec["properties"].keys()
        assert spec["required"] == ["description"]
        assert {"maxSteps", "maxAnswerBytes"} <= spec["properties"]["limits"]["properties"].keys()

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "LLM"])
    def test_takes_no_value_of_any_shape(self, kind):
        """It may be ten thousand levels deep: whoever lists all runs could not read one that a pod wrote so."""
        assert "x-kubernetes-preserve-unknown-fields" not in json.dumps(schema(kind))

    @pytest.mark.parametrize("kind", KINDS)
    def test_explains_every_resource(self, kind):
        assert schema(kind)["description"]
        assert schema(kind)["properties"]["spec"]["description"]

    @pytest.mark.parametrize("kind", KINDS)
    def test_knows_no_field_that_the_documents_of_the_tests_lack(self, kind):
        spec = schema(kind)["properties"]["spec"]
        written = [whole["spec"] for whole in WHOLE.values() if whole["kind"] == kind]

        assert set(paths(spec, "")) - {path for each in written for path in paths_of(each, spec, "")} == set()

    def test_knows_no_field_of_a_status_that_the_documents_of_the_tests_lack(self):
        status = schema("TaskRun")["properties"]["status"]

        assert set(paths(status, "")) - set(paths_of(STATUS, status, "")) == set()


class TestColumns:
    def test_tell_of_a_run_what_people_look_for_and_more_when_asked(self):
        columns = version("TaskRun")["additionalPrinterColumns"]

        narrow = [column["name"] for column in columns if "priority" not in column]
        wide = [column["name"] for column in columns if column.get("priority") == 1]
        assert narrow == ["Agent/Task", "Phase", "Status", "Preview", "Age"]
        assert wide == ["Detail", "Output", "Tokens-In", "Tokens-Out", "Cost-USD", "Pod", "Error"]


class TestFiles:
    def test_are_all_named_for_kustomize(self):
        made = crds.files()

        named = yaml.safe_load(made["kustomization.yaml"])["resources"]
        assert sorted(named) == sorted(made.keys() - {"kustomization.yaml"})

    def test_hold_no_letter_that_another_reader_takes_for_a_flag(self):
        text = crds.files()["llms.yaml"]

        assert "- 'n'\n" in text
        assert [line for line in text.splitlines() if line.split()[-1:] in (["n"], ["y"], ["N"], ["Y"])] == []

    def test_hold_no_references_within(self):
        assert [name for name, text in crds.files().items() if "&id" in text] == []

    def test_are_written_once_and_rewritten_when_they_are_stale(self, tmp_path):
        everything = sorted(crds.files())

        assert crds.write_to(tmp_path) == everything
        assert crds.stale_in(tmp_path) == []
        (tmp_path / "gone.yaml").write_text("kind: Gone\n")
        (tmp_path / "llms.yaml").write_text("{}")
        (tmp_path / "tasks.yaml").unlink()

        assert crds.stale_in(tmp_path) == ["gone.yaml", "llms.yaml", "tasks.yaml"]
        assert crds.write_to(tmp_path) == ["gone.yaml", "llms.yaml", "tasks.yaml"]
        assert sorted(path.name for path in tmp_path.iterdir()) == everything


class TestMain:
    def test_says_which_are_not_current_and_changes_nothing(self, tmp_path, capsys):
        crds.write_to(tmp_path)
        (tmp_path / "llms.yaml").write_text("{}")

        code = crds.main(["--check", "--folder", str(tmp_path)])

        assert code == 1
        assert f"{tmp_path / 'llms.yaml'} is not current" in capsys.readouterr().err
        assert (tmp_path / "llms.yaml").read_text() == "{}"

    def test_writes_them(self, tmp_path):
        assert crds.main(["--folder", str(tmp_path)]) == 0
        assert crds.main(["--check", "--folder", str(tmp_path)]) == 0
