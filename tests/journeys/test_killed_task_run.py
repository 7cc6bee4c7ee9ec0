"""A real process of a real TaskRun, killed for real: a model behind HTTP, a tool server behind MCP, records on disk."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest

from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import TaskRun, TaskRunSpec
from goldgate.domain.runs.events import Word
from goldgate.domain.runs.state import Fate, Phase
from goldgate.entrypoints.run_store import open_store
from goldgate.entrypoints.settings import CHECKOUT, Settings
from goldgate.entrypoints.task_run import ANSWERED, TRY_AGAIN, WAITING
from goldgate.ports.task_runs import RunWord
from tests.fakes import task_run_zygote
from tests.fakes.agent_folders import LLM, agent, pin_tools, write_folder
from tests.fakes.counting_tools import PROGRAM
from tests.fakes.scripted_endpoint import Answer, ScriptedEndpoint, completion

SERVER = """\
apiVersion: goldgate.dev/v1alpha1
kind: MCPServer
metadata: {{name: counting}}
spec: {{command: python, args: [server.py], env: {{EFFECTS: {effects}}}}}
"""
SPEC = """\
tools: [{mcpServer: counting, allow: [look, put, pay, linger], pure: [look], idempotent: [put]}]
limits: {maxSteps: 20, timeoutSeconds: 600}
"""
TURNS = [["look", "put"], ["pay"]]
ANSWER = "All of it was done."
WITHIN_S = 30.0


def model(turns: list[list[str]]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A model that says the same to the same conversation."""

    def reply(asked: Mapping[str, Any]) -> dict[str, Any]:
        turn = sum(message["role"] == "assistant" for message in asked["messages"])
        if turn >= len(turns):
            return completion(ANSWER)
        calls = [
            {
                "id": f"c{turn}-{at}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps({"of": "it"})},
            }
            for at, name in enumerate(turns[turn])
        ]
        return completion(None, tool_calls=calls, finish_reason="tool_calls")

    return reply


@dataclass
class Place:
    """A home of runs, an agent, and what its tools did."""

    root: Path
    endpoint: ScriptedEndpoint
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.env = {
            **os.environ,
            "GOLDGATE_HOME": str(self.root / "home"),
            "GOLDGATE_AGENTS": str(self.root / "agents"),
            "GOLDGATE_OTLP_URL": "off",
            "MODEL_URL": self.endpoint.url,
            "PYTHONPATH": f"{CHECKOUT / 'include'}:{CHECKOUT}",
        }
        self.store = open_store(Settings.from_env(self.env))
        server = SERVER.format(effects=self.root / "effects")
        pin_tools(write_folder(self.root / "agents/tiny", LLM, server, agent(SPEC), files={"server.py": PROGRAM}))

    def create(self, name: str) -> None:
        spec = TaskRunSpec(agent_ref="tiny", user_message="Do it.")
        self.store.create(TaskRun(kind="TaskRun", metadata=Metadata(name=name), spec=spec))

    def read(self, name: str) -> TaskRun:
        run = self.store.read(name)
        assert run is not None
        return run

    def start(self, *command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *command],
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def work_on(self, name: str, *options: str) -> subprocess.Popen[str]:
        return self.start("-m", "goldgate.entrypoints.task_run", name, *options)

    def await_effect(self, tool: str) -> None:
        """Wait until a call has reached its tool."""
        until = time.monotonic() + WITHIN_S
        while not any(line.startswith(tool) for line in self.effects):
            assert time.monotonic() < until, f"no call of {tool} within {WITHIN_S} s: {self.effects}"
            time.sleep(0.01)

    @property
    def effects(self) -> Counter[str]:
        path = self.root / "effects"
        return Counter(path.read_text().splitlines() if path.exists() else [])

    def answer_fates(self, name: str) -> None:
        """Say what a person would who looks what the tool did."""
        for call in self.read(name).status.calls:
            if call.fate is Fate.AWAITED:
                acted = self.effects[f"{call.name} {call.key}"] > 0
                self.say(name, call.key, Word.ANSWER if acted else Word.APPROVE, f"{call.name} done" if acted else "")

    def say(self, name: str, key: str, word: Word, text: str = "") -> None:
        said = RunWord(id=f"w{time.time_ns()}", at=datetime.now(UTC), by="me", call_key=key, word=word, text=text)
        self.store.post(name, said)

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.communicate()


class Zygote:
    """Lives of one run, each killed where it is told."""

    def __init__(self, place: Place, name: str) -> None:
        self._process = place.start(task_run_zygote.__file__, name)

    def live(self, how: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{how}\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline()
        assert said, self._process.stderr.read() if self._process.stderr else ""
        return int(said)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    turns = getattr(request, "param", TURNS)
    with ScriptedEndpoint(Answer(body=model(turns))) as endpoint:
        place = Place(tmp_path, endpoint)
        yield place
        place.close()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end of a process: its exit code, and what it logged."""
    _, said = process.communicate(timeout=WITHIN_S)
    return process.returncode, said


@pytest.mark.slow
class TestATaskRunThatIsKilled:
    def test_does_everything_once_and_answers_the_same_wherever_it_is_killed(self, place: Place):
        """One run is killed at every record that it writes: before it is written, and then after."""
        place.create("run")
        kills = 0
        with Zygote(place, "run") as zygote:
            # The first record of a process that takes a run up is that it did; from the second on it gets on.
            for record in range(1, 3):
                for _ in range(12):
                    if place.read("run").status.phase.is_terminal:
                        break
                    place.answer_fates("run")
                    for how in (f"before {record}", f"after {record + 1}"):
                        kills += zygote.live(how) == -signal.SIGKILL
            while not place.read("run").status.phase.is_terminal:
                place.answer_fates("run")
                zygote.live("never")

        run = place.read("run")
        assert kills >= 8
        assert (run.status.phase, run.status.output) == (Phase.FINAL_ANSWER, ANSWER)
        assert [message.role for message in run.status.context_window] == [
            *("system", "user", "assistant", "tool", "tool", "assistant", "tool", "assistant")
        ]
        assert {line.split()[0] for line in place.effects} == {"look", "put", "pay"}
        assert all(times == 1 for line, times in place.effects.items() if not line.startswith("look"))
        assert (run.status.usage.llm_calls, run.status.usage.tool_calls) == (3, 3)
        assert run.status.usage.take_ups >= 4


LINGERS = [["linger"]]


@pytest.mark.slow
@pytest.mark.parametrize("place", [LINGERS], indirect=True)
class TestAProcessThatIsAskedToEnd:
    def test_lets_go_of_its_run_within_a_second_and_another_one_goes_on(self, place: Place):
        place.create("run")
        worker, others = place.work_on("run"), Zygote(place, "run")
        place.await_effect("linger")

        worker.send_signal(signal.SIGTERM)
        code, said = ended(worker)

        interrupted = place.read("run")
        assert code == TRY_AGAIN, said
        assert interrupted.status.events[-1].reason == "Interrupted"
        assert interrupted.status.phase is Phase.TOOL_CALLS_PENDING
        assert interrupted.status.calls[0].fate is Fate.STARTED

        asking = others.live("never")
        place.answer_fates("run")

        assert (asking, others.live("never")) == (WAITING, ANSWERED)
        assert place.read("run").status.output == ANSWER
        assert sum(place.effects.values()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("place", [LINGERS], indirect=True)
class TestTwoProcessesOfOneRun:
    def test_work_one_after_the_other_and_the_one_that_slept_writes_nothing(self, place: Place):
        place.create("run")
        sleeper, others = place.work_on("run", "--lease-s", "2.5"), Zygote(place, "run")
        place.await_effect("linger")

        refused, why = ended(place.work_on("run"))
        sleeper.send_signal(signal.SIGSTOP)
        while (asking := others.live("never")) == TRY_AGAIN:
            time.sleep(0.05)
        place.answer_fates("run")
        answered = others.live("never")
        record = place.root / "home/taskruns/run.json"
        finished = record.read_bytes()
        sleeper.send_signal(signal.SIGCONT)
        woken, woken_said = ended(sleeper)

        assert (refused, "is worked on by" in why) == (TRY_AGAIN, True)
        assert (asking, answered, place.read("run").status.output) == (WAITING, ANSWERED, ANSWER)
        assert (woken, "Nothing was written" in woken_said) == (TRY_AGAIN, True), woken_said
        assert record.read_bytes() == finished
        assert sum(place.effects.values()) == 1
