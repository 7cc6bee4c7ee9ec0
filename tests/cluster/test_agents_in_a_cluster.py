"""Agents come into a cluster by the command line or by YAML alone, and pods find them there."""

import json
import os
import subprocess
import sys
from typing import Any

import yaml

from goldgate.contracts.cluster import RUN_LABEL
from tests.cluster.tending import Tended
from tests.cluster.world import AGENT, ANSWER, API, Place, World
from tests.waiting import until


def document(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}


def polite(world: World, *, llm: str = "inline") -> list[dict[str, Any]]:
    """An agent that is all in its resources."""
    prompts = {"systemText": "You are polite.", "userText": "{context}\nQuestion: {question}\n"}
    return [
        document("LLM", llm, model="scripted-1", baseUrl=f"{world.url}/v1", free=True, timeoutSeconds=300),
        document("Agent", "polite", description="Is polite.", llm=llm, prompts=prompts),
    ]


def apply(place: Place, *documents: dict[str, Any]) -> None:
    place.cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))


def goldgate(place: Place, *arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Run the command line as somebody does who has a kubeconfig and a file that says how pods are made."""
    env = {
        **os.environ,
        "GOLDGATE_CLUSTER": str(place.cluster.kubeconfig),
        "GOLDGATE_NAMESPACE": place.cluster.namespace,
        "GOLDGATE_HOME": str(place.folder / "home"),
        "GOLDGATE_AGENTS": str(place.folder),
        "GOLDGATE_OTLP_URL": "off",
    }
    command = [sys.executable, "-m", "goldgate.entrypoints.cli", *arguments]
    return subprocess.run(command, env=env, input=stdin, check=False, capture_output=True, text=True)


class TestAgentsOfYamlAlone:
    def test_answer_in_a_pod_without_a_bundle(self, place: Place):
        """`kubectl apply` of LLM, Agent and TaskRun is all that somebody does."""
        run = document("TaskRun", "hello", agentRef="polite", userMessage="Hello?")
        apply(place, *polite(place.world), run)

        told = Tended(place, "hello", spec={"agent": "polite", "user_message": "Hello?"}).begin().over()

        assert (told["phase"], told["output"]) == ("FinalAnswer", ANSWER)
        parts = json.loads(place.cluster.kubectl("get", "parts", "-l", f"{RUN_LABEL}=hello", "-o", "json"))["items"]
        assert [part["metadata"]["ownerReferences"][0]["name"] for part in parts] == ["hello"]

    def test_end_a_run_as_they_began_it_whatever_was_applied_meanwhile(self, place: Place):
        apply(place, *polite(place.world))
        with place.world.answering.held():
            tended = Tended(place, "steady", spec={"agent": "polite", "user_message": "Hello?"}).begin()
            place.world.answering.await_one()
            apply(place, *polite(place.world, llm="other"))
            place.cluster.kubectl("delete", "pod", "steady-1", "--grace-period=0", "--force")
            place.world.answering.await_one()

        told = tended.over()

        assert (told["phase"], told["output"]) == ("FinalAnswer", ANSWER)
        assert tended.launched() == 2

    def test_wait_for_their_llm_and_go_on_by_themselves(self, place: Place):
        llm, agent = polite(place.world)
        apply(place, agent)
        tended = Tended(place, "early", spec={"agent": "polite", "user_message": "Hello?"}).begin()
        tended.await_reason("Found no LLM `inline`")

        apply(place, llm)

        assert tended.over()["phase"] == "FinalAnswer"


class TestAgentApply:
    def test_changes_nothing_the_second_time(self, place: Place):
        done = goldgate(place, "agent", "apply", AGENT)

        assert done.returncode == 0, done.stderr
        assert {line.rpartition(" ")[2] for line in done.stdout.splitlines()} == {"unchanged"}

    def test_is_what_its_manifest_says(self, place: Place):
        written = goldgate(place, "agent", "manifest", AGENT)

        applied = place.cluster.kubectl("apply", "-f", "-", stdin=written.stdout)

        assert "agent.goldgate.dev/clerk configured" in applied
        unchanged = goldgate(place, "agent", "apply", AGENT)
        assert "created" not in unchanged.stdout

    def test_has_runs_wait_until_what_was_changed_is_frozen(self, place: Place):
        """What people read in the cluster is what runs."""
        another = {"spec": {"description": "Another.", "limits": {"maxSteps": 9}}}
        place.cluster.kubectl("patch", "agent", AGENT, "--type=merge", "-p", json.dumps(another))
        tended = Tended(place, "drifted").begin()
        tended.await_reason(f"goldgate agent apply {AGENT}")

        done = goldgate(place, "agent", "apply", AGENT)

        assert "agent.goldgate.dev/clerk configured" in done.stdout
        assert tended.over()["phase"] == "FinalAnswer"
        assert tended.launched() == 1


class TestTaskCommands:
    def test_run_an_agent_in_a_pod(self, place: Place):
        done = goldgate(place, "task", "run", AGENT, "Book the blue room.", "--name", "typed")

        assert (done.returncode, done.stdout.strip()) == (0, ANSWER), done.stderr
        assert len(place.world.booked) == 1
        assert "typed" in goldgate(place, "task", "get", "-o", "name").stdout
        assert "LLMFinalAnswer" in goldgate(place, "task", "events", "typed").stdout

    def test_show_what_the_pod_says_and_end_it(self, place: Place):
        with place.world.answering.held():
            begun = goldgate(place, "task", "run", AGENT, "Book it.", "--name", "cut", "--no-wait")
            place.world.answering.await_one()
            said = goldgate(place, "task", "logs", "cut").stdout
            cancelled = goldgate(place, "task", "cancel", "cut", "--reason", "not needed")

        assert begun.returncode == 0, begun.stderr
        assert any(json.loads(line)["event"] == "task_run.event" for line in said.splitlines())
        assert cancelled.returncode == 0, cancelled.stderr
        assert "not needed" in goldgate(place, "task", "describe", "cut").stdout

    def test_find_tasks_of_the_cluster(self, place: Place):
        apply(place, document("Task", "book", agentRef=AGENT, userMessage="Book the blue room."))

        done = goldgate(place, "task", "run", "--task", "book")

        assert (done.returncode, done.stdout.strip()) == (0, ANSWER), done.stderr

    def test_prune_what_is_over(self, place: Place):
        goldgate(place, "task", "run", AGENT, "Book the blue room.", "--name", "old")

        done = goldgate(place, "task", "prune", "--older-than", "0s")

        assert "old" in done.stdout
        assert place.cluster.kubectl("get", "taskruns", "-o", "name") == ""


class TestAPodThatIsToEnd:
    def test_lets_go_of_its_run_within_the_grace_and_another_goes_on(self, place: Place):
        with place.world.answering.held():
            tended = Tended(place, "moved").begin()
            place.world.answering.await_one()
            place.cluster.kubectl("delete", "pod", "moved-1", "--wait=true")
            events = place.cluster.kubectl("get", "taskrun", "moved", "-o", "jsonpath={.status.events[*].reason}")

        assert "Interrupted" in events.split()
        assert tended.over()["phase"] == "FinalAnswer"
        assert len(place.world.booked) == 1

    def test_says_at_its_end_why_it_cannot_work(self, place: Place):
        """Whoever looks at the pod reads the reason without its log."""
        settings = yaml.safe_load(place.settings_file.read_text())["spec"]
        container = {
            "name": "run",
            "image": settings["image"],
            "command": ["python3", "-m", "goldgate.entrypoints.task_run", "nobody"],
            "env": [
                {"name": "GOLDGATE_CLUSTER", "value": "in-cluster"},
                {"name": "GOLDGATE_NAMESPACE", "value": place.cluster.namespace},
                {"name": "GOLDGATE_POD", "value": "nobody-1"},
                {"name": "GOLDGATE_HOME", "value": "/scratch"},
            ],
            "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        }
        spec = {
            "serviceAccountName": "goldgate-task-run",
            "automountServiceAccountToken": True,
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "nobody-1"}, "spec": spec}

        apply(place, pod)

        ended = "jsonpath={.status.containerStatuses[0].state.terminated}"
        until(lambda: place.cluster.kubectl("get", "pod", "nobody-1", "-o", ended) != "")
        found = json.loads(place.cluster.kubectl("get", "pod", "nobody-1", "-o", ended))
        assert found["exitCode"] == 5
        assert "Found no run named `nobody`" in found["message"]
