"""TaskRuns in files: what people wrote, and what was printed of runs that are there."""

import re
from pathlib import Path

import pytest
import yaml

from goldgate.contracts.base import ContractError
from goldgate.entrypoints.commands.task_files import read_runs

SPEC = {"agentRef": "a", "userMessage": "Hi"}


def document(**metadata: object) -> dict[str, object]:
    return {"apiVersion": "goldgate.dev/v1alpha1", "kind": "TaskRun", "metadata": metadata, "spec": SPEC}


def file(folder: Path, *documents: object) -> str:
    path = folder / "runs.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return str(path)


class TestReadRuns:
    def test_makes_a_name_of_a_prefix_as_an_api_server_does(self, tmp_path):
        path = file(tmp_path, document(generateName="ask-"), document(generateName="ask-"))

        first, second = read_runs(path)

        assert re.fullmatch(r"ask-[a-z0-9]{5}", first.metadata.name)
        assert first.metadata.name != second.metadata.name

    def test_cuts_a_prefix_so_that_the_name_fits(self, tmp_path):
        (run,) = read_runs(file(tmp_path, document(generateName="x" * 70)))

        assert len(run.metadata.name) == 63

    def test_prefers_a_name_to_a_prefix(self, tmp_path):
        (run,) = read_runs(file(tmp_path, document(name="mine", generateName="ask-")))

        assert run.metadata.name == "mine"

    def test_refuses_a_prefix_that_no_name_begins_with(self, tmp_path):
        with pytest.raises(ContractError, match=r"runs\.yaml:\d+: `metadata\.name`: found `'Ask_"):
            read_runs(file(tmp_path, document(generateName="Ask_")))

    def test_takes_what_kubectl_prints_of_a_run_for_the_order_to_make_it(self, tmp_path):
        printed = document(
            name="copy",
            namespace="here",
            uid="6c0f",
            resourceVersion="12",
            generation=1,
            creationTimestamp="2026-03-01T12:00:00Z",
            managedFields=[{"manager": "goldgate"}],
            ownerReferences=[{"kind": "TaskRun", "name": "above", "uid": "6c10"}],
            labels={"goldgate.dev/tended-by": "command-line", "goldgate.dev/root": "above", "team": "ops"},
            annotations={
                "goldgate.dev/pods": '{"launched":1}',
                "goldgate.dev/pod": "copy-1",
                "goldgate.dev/word-1": "{}",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "why": "a test",
            },
        )

        (run,) = read_runs(file(tmp_path, {**printed, "status": {"phase": "Failed"}}), namespace="here")

        assert run.metadata.model_dump(exclude_none=True) == {
            "name": "copy",
            "labels": {"team": "ops"},
            "annotations": {"why": "a test"},
        }
        assert run.status.phase.value == "Initializing"

    @pytest.mark.parametrize("kind", ["List", "TaskRunList"])
    def test_takes_each_run_of_a_list(self, tmp_path, kind):
        path = file(tmp_path, {"apiVersion": "v1", "kind": kind, "items": [document(name="a"), document(name="b")]})

        assert [run.metadata.name for run in read_runs(path)] == ["a", "b"]

    def test_refuses_a_run_for_another_namespace(self, tmp_path):
        path = file(tmp_path, document(name="a"), document(name="b", namespace="there"))

        with pytest.raises(
            ContractError, match=r"runs\.yaml:\d+: `metadata.namespace`: found `there`, expected `here`"
        ):
            read_runs(path, namespace="here")

    def test_asks_for_no_namespace_where_there_are_none(self, tmp_path):
        (run,) = read_runs(file(tmp_path, document(name="a", namespace="there")))

        assert run.metadata.name == "a"

    def test_still_refuses_what_nobody_knows(self, tmp_path):
        with pytest.raises(ContractError, match="generatedName"):
            read_runs(file(tmp_path, document(generatedName="ask-")))

    def test_refuses_a_file_without_documents(self, tmp_path):
        (tmp_path / "none.yaml").write_text("")

        with pytest.raises(ContractError, match="expected a TaskRun"):
            read_runs(str(tmp_path / "none.yaml"))
