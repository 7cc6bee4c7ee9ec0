from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from goldgate.adapters.cluster.launch_counts import written
from goldgate.contracts.cluster import PODS_ANNOTATION, TENDED_LABEL
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import TaskRun, TaskRunSpec
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.pods import Launches
from goldgate.entrypoints.commands.task_pods import (
    begin_in_pod,
    pods_of,
    run_in_pods,
    tended,
    tended_here,
    works_in_pods,
)
from goldgate.entrypoints.display import Screen
from goldgate.entrypoints.run_tasks import Told
from goldgate.entrypoints.settings import Settings

HERE = Settings.from_env({})


def stands(waits_for: str, *, pod: str = "run-1", reason: str = "") -> Told:
    return {"waits_for": waits_for, "pod": pod, "reason": reason}


def run(**annotations: str) -> TaskRun:
    spec = TaskRunSpec(agent_ref="tiny", user_message="Hello?")
    return TaskRun(kind="TaskRun", metadata=Metadata(name="run", annotations=annotations), spec=spec)


class Script:
    """What each look at a run finds, and what was done about it."""

    def __init__(self, *told: Told) -> None:
        self.told = list(told)
        self.followed: list[tuple[str, str | None]] = []
        self.said: list[str] = []
        self.paused: list[float] = []

    def tend(self) -> Told:
        return self.told.pop(0)

    def follow(self, pod: str, since: str | None) -> Mapping[str, object]:
        self.followed.append((pod, since))
        return {"log_until": f"after {pod}"}

    def tended(self, *, wait_for_agent_s: float = 0.0) -> Told:
        return tended(
            self.tend, self.follow, say=self.said.append, wait_for_agent_s=wait_for_agent_s, pause=self.paused.append
        )


class TestTended:
    def test_follows_one_pod_after_the_other_until_the_run_is_over(self):
        script = Script(stands("pod"), stands("pod", pod="run-2"), stands(""))

        done = script.tended()

        assert done["waits_for"] == ""
        assert script.followed == [("run-1", None), ("run-2", "after run-1")]

    def test_ends_where_a_person_is_asked(self):
        script = Script(stands("pod"), stands("person"))

        assert script.tended()["waits_for"] == "person"

    def test_says_each_pod_and_each_reason_to_wait_once(self):
        waits = [stands("pod", reason=reason) for reason in ("", "no node", "no node", "no image")]
        script = Script(*waits, stands("", reason="Answered"))

        script.tended()

        assert script.said == ["pod run-1", "no node", "no image"]

    def test_names_the_pod_that_follows_a_lost_one(self):
        script = Script(stands("pod"), stands("pod", pod="run-2"), stands(""))

        script.tended()

        assert script.said == ["pod run-1", "pod run-2"]

    def test_says_what_becomes_of_a_run_that_is_left(self):
        def interrupted(*_: str | None) -> Mapping[str, object]:
            raise KeyboardInterrupt

        said: list[str] = []

        with pytest.raises(KeyboardInterrupt):
            tended(lambda: stands("pod"), interrupted, say=said.append)

        assert "`goldgate task resume` tends it again" in said[-1]

    def test_leaves_a_run_that_waits_for_its_agent(self):
        script = Script(stands("agent", reason="Found no Agent"))

        done = script.tended()

        assert (done["waits_for"], script.said, script.paused) == ("agent", ["Found no Agent"], [])

    def test_waits_for_an_agent_as_long_as_it_is_told(self):
        script = Script(*(stands("agent") for _ in range(5)))

        done = script.tended(wait_for_agent_s=5)

        assert done["waits_for"] == "agent"
        assert 5 <= sum(script.paused) < 8

    def test_goes_on_when_the_agent_has_come(self):
        script = Script(stands("agent"), stands("pod"), stands(""))

        done = script.tended(wait_for_agent_s=60)

        assert done["waits_for"] == ""
        assert script.followed == [("run-1", None)]


class TestPodsOf:
    def test_names_all_that_a_run_was_given(self):
        mark = written(Launches(launched=3, pod="run-3", lost=2))

        assert pods_of(run(**{PODS_ANNOTATION: mark})) == ["run-1", "run-2", "run-3"]

    def test_names_none_of_a_run_that_had_none(self):
        assert pods_of(run()) == []


class TestTendedHere:
    def test_marks_runs_of_a_cluster_so_that_nobody_else_tends_them(self):
        marked = tended_here(run(), settings=replace(HERE, cluster="in-cluster"))

        assert marked.metadata.labels == {TENDED_LABEL: "command-line"}

    def test_leaves_runs_of_this_machine_as_they_are(self):
        assert tended_here(run(), settings=HERE) == run()


class TestBeginInPod:
    @pytest.mark.parametrize("begun", [begin_in_pod, run_in_pods])
    def test_records_no_run_whose_pods_cannot_be_made(self, tmp_path: Path, begun):
        """It would be left there, tended by nobody. Its cluster is not even asked for."""
        (tmp_path / "pods.yaml").write_text("kind: LLM")
        wrong = replace(HERE, cluster=str(tmp_path / "no-kubeconfig"), pods=tmp_path / "pods.yaml")

        with pytest.raises(PermanentError, match=r"pods\.yaml:1: `kind`: found `'LLM'`, expected 'PodSettings'"):
            begun(run(), settings=wrong, screen=Screen(form="table"))


class TestWorksInPods:
    @pytest.mark.parametrize(
        ("cluster", "pods", "expected"),
        [
            ("", None, False),
            ("in-cluster", None, False),
            ("in-cluster", Path("pods.yaml"), True),
            ("", Path("p"), False),
        ],
    )
    def test_where_there_is_a_cluster_and_a_way_to_make_pods(self, cluster: str, pods: Path | None, expected: bool):
        assert works_in_pods(replace(HERE, cluster=cluster, pods=pods)) is expected
