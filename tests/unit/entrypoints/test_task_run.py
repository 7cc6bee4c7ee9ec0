import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import TaskRun, TaskRunSpec
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.state import Phase, Status
from goldgate.entrypoints.agent_opener import AgentOpener, find_task
from goldgate.entrypoints.frozen_agents import bundle_of
from goldgate.entrypoints.run_store import open_store
from goldgate.entrypoints.settings import CHECKOUT, Settings
from goldgate.entrypoints.task_run import (
    ANSWERED,
    IMPOSSIBLE,
    TRY_AGAIN,
    main,
    run_task,
)
from tests.fakes.agent_folders import LLM, agent, write_folder
from tests.fakes.scripted_endpoint import Answer, ScriptedEndpoint, completion

TASK = """\
apiVersion: goldgate.dev/v1alpha1
kind: Task
metadata: {name: greet}
spec: {agentRef: tiny, userMessage: "Hello?"}
"""
ENDS_AT_ITS_FIRST_LARGE_IMPORT = """\
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "pydantic":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Finder())
"""
ASKS_HELPER = "agents: [{agent: helper, description: Knows.}]\nlimits: {maxSteps: 9}\n"


def reply(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A model that asks the helper if it may, and repeats what it is told."""
    messages = asked["messages"]
    if asked.get("tools") and messages[-1]["role"] != "tool":
        function = {"name": "ask_helper", "arguments": json.dumps({"message": "Know?"})}
        times = 2 if "twice" in messages[1]["content"] else 1
        calls = [{"id": f"c{at}", "type": "function", "function": function} for at in range(times)]
        return completion(None, tool_calls=calls, finish_reason="tool_calls")
    return completion("The helper spoke." if messages[-1]["role"] == "tool" else "Yes.")


@dataclass
class Place:
    settings: Settings
    env: dict[str, str]
    endpoint: ScriptedEndpoint

    def run(self, name: str = "run", *, stop: threading.Event | None = None, **spec: Any) -> TaskRun:
        spec = spec or {"agent_ref": "tiny", "user_message": "1+1?"}
        run = TaskRun(kind="TaskRun", metadata=Metadata(name=name), spec=TaskRunSpec(**spec))
        return run_task(run, settings=self.settings, env=self.env, stop=stop)

    def write(self, name: str, spec: str = "", files: dict[str, str] | None = None) -> Path:
        document = agent(spec).replace("name: tiny", f"name: {name}")
        return write_folder(self.settings.agents / name, LLM, document, files=files)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ScriptedEndpoint(Answer(body=reply)) as endpoint:
        env = {
            "PATH": os.environ["PATH"],
            "GOLDGATE_HOME": str(tmp_path / "home"),
            "GOLDGATE_AGENTS": str(tmp_path / "agents"),
            "GOLDGATE_OTLP_URL": "off",
            "MODEL_URL": endpoint.url,
        }
        place = Place(Settings.from_env(env), env, endpoint)
        place.write("tiny", files={"tasks/greet.yaml": TASK})
        yield place


class TestRunTask:
    def test_answers_and_leaves_its_record(self, place: Place):
        done = place.run()

        record = json.loads((place.settings.home / "taskruns/run.json").read_text())
        assert (done.status.phase, done.status.output) == (Phase.FINAL_ANSWER, "Yes.")
        assert record["kind"] == "TaskRun"
        assert record["status"]["phase"] == "FinalAnswer"
        assert record["status"]["contextWindow"][0]["role"] == "system"
        assert open_store(place.settings).read("run") == done

    def test_asks_nobody_about_a_run_that_is_over(self, place: Place):
        done = place.run()

        assert place.run() == done
        assert len(place.endpoint.requests) == 1

    def test_finds_what_a_task_asks(self, place: Place):
        done = place.run(task_ref="greet")

        assert done.status.user_message_preview == "Hello?"
        assert done.status.phase is Phase.FINAL_ANSWER

    def test_names_a_run_that_has_no_name(self, place: Place):
        spec = TaskRunSpec(agent_ref="tiny", user_message="1+1?")

        done = run_task(spec, settings=place.settings, env=place.env)

        assert done.metadata.name.startswith("tiny-")
        assert list(open_store(place.settings).names()) == [done.metadata.name]

    def test_waits_for_an_agent_that_is_missing_and_goes_on_when_it_is_there(self, place: Place):
        waiting = place.run(agent_ref="late", user_message="1+1?")
        place.write("late")
        done = place.run(agent_ref="late", user_message="1+1?")

        assert (waiting.status.phase, waiting.status.status) == (Phase.PENDING, Status.PENDING)
        assert "expected `late/agent.yaml`" in waiting.status.status_detail
        assert done.status.phase is Phase.FINAL_ANSWER

    @pytest.mark.parametrize(
        ("documents", "found"),
        [
            (("kind: Agent\n",), "agent.yaml"),
            ((agent(),), "expected the name of a document of kind LLM"),
            ((LLM.rstrip() + "\n  apiKeyFrom: {env: NO_SUCH_KEY}\n", agent()), "NO_SUCH_KEY"),
        ],
        ids=["broken contract", "missing LLM", "missing key"],
    )
    def test_waits_for_an_agent_that_is_not_ready_and_goes_on_when_it_is(
        self, place: Place, documents: tuple[str, ...], found: str
    ):
        write_folder(place.settings.agents / "tiny", *documents)

        waiting = place.run()
        place.write("tiny")
        done = place.run()

        assert (waiting.status.phase, waiting.status.status, waiting.status.error) == (
            Phase.PENDING,
            Status.PENDING,
            None,
        )
        assert found in waiting.status.status_detail
        assert done.status.phase is Phase.FINAL_ANSWER

    def test_begins_nothing_when_it_is_to_end(self, place: Place):
        stop = threading.Event()
        stop.set()

        left = place.run(stop=stop)
        done = place.run()

        assert (left.status.phase.is_terminal, len(place.endpoint.requests)) == (False, 1)
        assert done.status.phase is Phase.FINAL_ANSWER

    def test_shares_what_is_left_among_agents_that_are_asked_side_by_side(self, place: Place):
        """Together they cannot use more than there is, and their caller keeps a reply to say what they said."""
        place.write("helper")
        place.write("main", ASKS_HELPER)

        done = place.run(agent_ref="main", user_message="Ask twice.", limits={"maxSteps": 9, "maxTokens": 9_000})

        store = open_store(place.settings)
        below = [store.read(name) for name in store.names() if name != "run"]
        asked = [run.spec.limits for run in below if run is not None]
        left = 9_000 - (done.status.usage.tokens_in + done.status.usage.tokens_out) // 4
        assert done.status.phase is Phase.FINAL_ANSWER
        assert [(limits.max_steps, limits.max_tokens) for limits in asked] == [(7 // 2, left // 2)] * 2

    def test_asks_other_agents_in_runs_of_their_own(self, place: Place):
        place.write("helper")
        place.write("main", ASKS_HELPER)

        done = place.run(agent_ref="main", user_message="Ask.")

        (name,) = [name for name in open_store(place.settings).names() if name != "run"]
        below = open_store(place.settings).read(name)
        assert done.status.output == "The helper spoke."
        assert below is not None
        assert (below.status.output, below.spec.user_message, below.spec.depth) == ("Yes.", "Know?", 1)
        assert below.metadata.annotations["goldgate.dev/bundle"] == f"{done.status.progress.bundle}/agents/helper"
        assert (done.status.usage.llm_calls, below.status.usage.llm_calls) == (3, 1)
        assert below.status.trace_id == done.status.trace_id

    def test_leaves_sigterm_as_it_was(self, place: Place):
        before = signal.getsignal(signal.SIGTERM)

        place.run()

        assert signal.getsignal(signal.SIGTERM) is before


class TestAgentOpener:
    def test_opens_the_bundle_that_began_a_run_whatever_the_folder_has_become(self, place: Place):
        begun = place.run().status.progress.bundle
        place.write("tiny", "limits: {maxSteps: 9}\n")

        opened = AgentOpener(settings=place.settings, env=place.env)("tiny", begun)

        assert opened.digest == begun
        opened.close()

    def test_knows_the_settings_whose_variables_are_not_set(self, place: Place):
        """A default address is where the agent asks, and indexes are kept in the default folder, too."""
        llm = LLM.replace("MODEL_URL", "GOLDGATE_MODEL_URL")
        spec = 'corpus: {files: ["corpus/*.md"]}\nretrieval: {mode: lexical, k: 1}\n'
        pages = {"corpus/a.md": "# Port\nThe port.\n"}
        write_folder(place.settings.agents / "tiny", llm, agent(spec), files=pages)
        settings = replace(place.settings, model_url=place.endpoint.url)
        run = TaskRun(
            kind="TaskRun", metadata=Metadata(name="r"), spec=TaskRunSpec(agent_ref="tiny", user_message="Port?")
        )

        done = run_task(run, settings=settings, env={"PATH": os.environ["PATH"]})

        assert (done.status.error, done.status.output) == (None, "Yes.")
        assert list((settings.home / "indexes").iterdir())

    def test_says_that_a_bundle_is_gone(self, place: Place):
        with pytest.raises(Exception, match="by which the run was begun"):
            AgentOpener(settings=place.settings, env=place.env)("tiny", "0" * 64)

    @pytest.mark.parametrize("bundle", ["../../etc", "0" * 64 + "/agents/../..", "short"])
    def test_opens_nothing_that_is_no_bundle(self, place: Place, bundle: str):
        with pytest.raises(PermanentError, match="expected a digest"):
            AgentOpener(settings=place.settings, env=place.env)("tiny", bundle)


class TestBundleOf:
    def freeze(self, place: Place, name: str = "tiny") -> Path:
        home = place.settings.home
        return bundle_of(
            place.settings.agents / name, bundles=home / "bundles", env=place.env, corpus_cache=home / "cache"
        )

    def test_freezes_a_folder_once(self, place: Place):
        first = self.freeze(place)
        written = (first / "bundle.json").stat().st_mtime_ns

        assert self.freeze(place) == first
        assert (first / "bundle.json").stat().st_mtime_ns == written

    def test_freezes_it_anew_when_anything_of_it_changes(self, place: Place):
        first = self.freeze(place)
        prompt = place.settings.agents / "tiny/prompts/system.md"
        prompt.write_text("You answer otherwise.\n")

        assert self.freeze(place) != first

    def test_freezes_it_anew_when_an_agent_changes_that_it_may_ask(self, place: Place):
        place.write("helper")
        place.write("main", ASKS_HELPER)
        first = self.freeze(place, "main")
        place.write("helper", "limits: {maxSteps: 2}\n")

        assert self.freeze(place, "main") != first

    def test_freezes_it_anew_when_its_bundle_is_gone(self, place: Place):
        first = self.freeze(place)
        for path in first.iterdir():
            if path.is_file():
                path.unlink()

        assert (self.freeze(place) / "bundle.json").is_file()


class TestFindTask:
    def test_wants_exactly_one(self, place: Place):
        with pytest.raises(PermanentError, match="Found none for task `other`"):
            find_task("other", agents=place.settings.agents)

    def test_wants_its_name_in_it(self, place: Place):
        (place.settings.agents / "tiny/tasks/other.yaml").write_text(TASK)

        with pytest.raises(PermanentError, match=r"metadata\.name.*found `greet`, expected `other`"):
            find_task("other", agents=place.settings.agents)


class TestMain:
    @pytest.fixture(autouse=True)
    def _environment(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        for name, value in place.env.items():
            monkeypatch.setenv(name, value)
        root = logging.getLogger()
        before = root.handlers[:], root.level
        yield
        root.handlers[:], root.level = before

    def create(self, place: Place, agent_ref: str = "tiny") -> None:
        spec = TaskRunSpec(agent_ref=agent_ref, user_message="1+1?")
        open_store(place.settings).create(TaskRun(kind="TaskRun", metadata=Metadata(name="run"), spec=spec))

    def test_takes_up_a_run_by_its_name(self, place: Place):
        self.create(place)

        assert main(["run"]) == ANSWERED

    def test_says_that_a_run_waits_for_its_agent(self, place: Place):
        self.create(place, "late")

        assert main(["run"]) == TRY_AGAIN

    def test_says_that_another_process_works_on_it(self, place: Place):
        self.create(place)
        open_store(place.settings).take("run", owner="another", for_s=60)

        assert main(["run"]) == TRY_AGAIN

    def test_hears_that_it_is_to_end_while_it_still_imports(self, place: Place, tmp_path: Path):
        """The first process of a container ignores a SIGTERM for which it has no handler."""
        self.create(place)
        (tmp_path / "sitecustomize.py").write_text(ENDS_AT_ITS_FIRST_LARGE_IMPORT)
        env = {**place.env, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(CHECKOUT / "include")])}

        ran = subprocess.run([sys.executable, "-m", "goldgate.entrypoints.task_run", "run"], env=env, check=False)

        assert ran.returncode == TRY_AGAIN
        recorded = open_store(place.settings).read("run")
        assert recorded is not None
        assert [event.reason for event in recorded.status.events] == ["Interrupted"]
        assert place.endpoint.requests == []

    def test_says_that_there_is_no_such_run(self, capsys: pytest.CaptureFixture[str]):
        assert main(["run"]) == IMPOSSIBLE
        assert "Found no run named `run`" in capsys.readouterr().err

    def test_leaves_its_last_word_for_whoever_looks_at_the_pod(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        (tmp_path / "termination-log").touch()
        monkeypatch.setenv("GOLDGATE_TERMINATION_LOG", str(tmp_path / "termination-log"))

        main(["run"])

        assert "Found no run named `run`" in (tmp_path / "termination-log").read_text()

    def test_says_everything_as_json(self, place: Place, capsys: pytest.CaptureFixture[str]):
        self.create(place)

        main(["run"])
        main(["other"])

        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert [line["event"] for line in lines if line["event"] != "task_run.event"] == [
            "task_run.left",
            "task_run.impossible",
        ]

    def test_says_that_a_record_is_damaged(self, place: Place):
        self.create(place)
        (place.settings.home / "taskruns/run.json").write_text("{")

        assert main(["run"]) == IMPOSSIBLE
