"""A TaskRun that was written down from one that ran: nobody would work on it, so whoever applies it is told."""

import json

import pytest

from goldgate.contracts.cluster import (
    PARENT_ANNOTATION,
    POD_ANNOTATION,
    PODS_ANNOTATION,
    ROOT_LABEL,
    TENDED_LABEL,
    WORD_ANNOTATION,
)
from tests.cluster.bearers import API, Bearer, Deployed

BY_KUBECTL = ("create",)
BY_A_PROGRAM = ("create", "--field-manager=program")


def copy(name: str = "copy", *, depth: int = 0, **metadata: object) -> dict[str, object]:
    spec = {"agentRef": "a", "userMessage": "m", **({"depth": depth} if depth else {})}
    return {"apiVersion": API, "kind": "TaskRun", "metadata": {"name": name, **metadata}, "spec": spec}


def refusal(cluster: Deployed, document: object, by: tuple[str, ...] = BY_KUBECTL) -> str:
    given = ["--dry-run=server", "-f", "-"]
    return cluster.try_kubectl(*by, *given, stdin=json.dumps(document)).stderr


class TestACopy:
    def test_is_refused_with_all_that_is_to_be_taken_out(self, deployed: Deployed):
        annotations = {PODS_ANNOTATION: "{}", POD_ANNOTATION: "r-1", f"{WORD_ANNOTATION}1": "{}", "team": "x"}
        labels = {TENDED_LABEL: "airflow", "team": "x"}

        told = refusal(deployed, copy(annotations=annotations, labels=labels))

        assert "TaskRun copy was written down from one that somebody worked on" in told
        named = told.partition("take out of its metadata")[2].replace(",", " ").split()
        assert set(named) == {"annotations", *(annotations.keys() - {"team"}), "and", "labels", TENDED_LABEL}

    @pytest.mark.parametrize("mark", [PODS_ANNOTATION, f"{WORD_ANNOTATION}1"])
    def test_is_refused_whoever_makes_it(self, deployed: Deployed, mark: str):
        """A word that lies there already would approve what nobody has asked yet."""
        assert mark in refusal(deployed, copy(annotations={mark: "{}"}), by=BY_A_PROGRAM)

    @pytest.mark.parametrize("by", [("create",), ("apply",), ("apply", "--server-side")], ids=" ".join)
    def test_is_refused_by_its_label_alone_if_it_was_made_by_hand(self, deployed: Deployed, by: tuple[str, ...]):
        marked = copy(labels={TENDED_LABEL: "command-line"})

        assert f"take out of its metadata labels {TENDED_LABEL}" in refusal(deployed, marked, by=by)
        assert refusal(deployed, marked, by=BY_A_PROGRAM) == ""

    def test_of_a_run_that_a_pod_made_is_made_by_no_other(self, deployed: Deployed):
        labels = {ROOT_LABEL: "ask", TENDED_LABEL: "ask"}

        assert ROOT_LABEL in refusal(deployed, copy(labels=labels), by=BY_A_PROGRAM)
        assert Bearer.of_pod(deployed, "ask-1").create(copy("below", depth=1, labels=labels)) == ""

    def test_of_a_run_below_another_is_told_that_nobody_would_work_on_it(self, deployed: Deployed):
        below = copy(depth=1, annotations={PARENT_ANNOTATION: "r"})

        assert f"take out spec.depth and the annotation {PARENT_ANNOTATION}" in refusal(deployed, below)
        assert refusal(deployed, below, by=BY_A_PROGRAM) == ""

    def test_that_was_cleaned_is_taken(self, deployed: Deployed):
        assert refusal(deployed, copy(annotations={"team": "x"}, labels={"team": "x"})) == ""

    def test_may_be_marked_once_it_is_there(self, deployed: Deployed):
        deployed.kubectl("create", "-f", "-", stdin=json.dumps(copy("there")))

        deployed.kubectl("annotate", "taskrun", "there", f"{PODS_ANNOTATION}={{}}")
        deployed.kubectl("label", "taskrun", "there", f"{TENDED_LABEL}=airflow")
