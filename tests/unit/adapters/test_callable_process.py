"""Callables in real child processes of this interpreter."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from goldgate.adapters.callable_process import CallableProcess, ProcessSpec
from goldgate.agent.foreign import runner
from goldgate.ports.foreign import CallableFailure

PROGRAM = '''\
"""A callable that does what the question says."""

import asyncio
import dataclasses
import os
import sys
import threading
import time

MEETING = threading.Barrier(2)


class Mute(Exception):
    def __str__(self):
        raise RuntimeError


@dataclasses.dataclass
class Said:
    answer: str


def predict(request):
    match = request["question"].split()
    if match[0] == "print":
        print(match[1])
        sys.stderr.write("no end of line")
        os.write(1, b"native\\n")
    if match[0] == "raise":
        raise LookupError("the key is " + os.environ["KEY"])
    if match[0] == "key":
        return {"answer": "it is " + os.environ["KEY"], "citations": [os.environ["KEY"], 1]}
    if match[0] == "deep":
        value = {}
        for _ in range(150):
            value = {"a": value}
        return {"answer": "x", "tool_calls": [{"name": "t", "arguments": value}]}
    if match[0] == "exit":
        sys.exit("over")
    if match[0] == "die":
        os._exit(3)
    if match[0] == "hang":
        time.sleep(60)
    if match[0] == "big":
        return "x" * 5000
    if match[0] == "env":
        return sorted(os.environ)
    if match[0] == "meet":
        MEETING.wait(10)
    if match[0] == "gate":
        while not os.path.exists(match[1]):
            time.sleep(0.01)
    if match[0] == "endless":
        for number in range(5000):
            print(number)
    if match[0] == "odd":
        return object()
    if match[0] == "fork":
        if os.fork() == 0:
            time.sleep(60)
        os._exit(3)
    if match[0] == "mute":
        raise Mute
    if match[0] == "nan":
        return float("nan")
    if match[0] == "class":
        return Said("from a data class")
    if match[0] == "trace":
        return [request["trace_id"], os.environ.get("TRACEPARENT", "")]
    return request["question"].upper()


async def apredict(request):
    if request["question"] == "hang":
        await asyncio.sleep(60)
    return "async " + request["question"]


LOOPS = set()


class AsyncCall:
    async def __call__(self, request):
        LOOPS.add(asyncio.get_running_loop())
        return len(LOOPS)


called = AsyncCall()


class Made:
    def __init__(self):
        self.word = "made"

    def predict(self, request):
        return self.word
'''
PRINTS_KEY = """
import os

def predict(request):
    print("the key is", os.environ["KEY"])
    print(repr(os.environ["KEY"]))
    print("that was it")
"""
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Tried:
    """A process, and what it printed."""

    def __init__(self, folder: Path, *, target: str = "agent:predict", program: str = PROGRAM, **spec: object) -> None:
        (folder / "agent.py").write_text(program)
        self.said: list[tuple[str, str]] = []
        self.heard = threading.Event()
        concurrency = int(spec.get("max_concurrency", 4))  # type: ignore[call-overload]
        command = [sys.executable, "-B", runner.__file__, target, "--concurrency", str(concurrency)]
        held = {
            "command": command,
            "folder": folder,
            "env": {"KEY": "s3cr3t-value"},
            "secrets": ["s3cr3t-value"],
            "max_concurrency": 4,
            "start_within_s": 30,
            "max_answer_bytes": 4000,
            **spec,
        }
        self.process = CallableProcess(ProcessSpec(**held), say=self._say)  # type: ignore[arg-type]

    def _say(self, line: str, trace_id: str) -> None:
        self.said.append((line, trace_id))
        self.heard.set()

    def ask(self, question: str, *, within_s: float = 30) -> object:
        return self.process.ask(
            {"question": question, "trace_id": TRACE}, within_s=within_s, traceparent=f"00-{TRACE}-b7ad6b7169203331-01"
        )

    def await_asked(self) -> None:
        """Wait until a question is on its way."""
        give_up_at = time.monotonic() + 20
        while self.process._life is None or not self.process._life._asked:
            assert time.monotonic() < give_up_at
            time.sleep(0.01)

    def await_line(self, line: str) -> None:
        give_up_at = time.monotonic() + 20
        while all(line != said for said, _ in self.said):
            assert time.monotonic() < give_up_at, self.said
            self.heard.wait(0.05)
            self.heard.clear()


@pytest.fixture
def tried(tmp_path: Path) -> Iterator[Tried]:
    made = Tried(tmp_path)
    yield made
    made.process.close()


class TestAsking:
    def test_gives_what_the_callable_returns(self, tried):
        assert tried.ask("hello") == "HELLO"

    def test_takes_data_classes_as_they_are(self, tried):
        assert tried.ask("class") == {"answer": "from a data class"}

    @pytest.mark.parametrize("question", ["odd", "nan"])
    def test_fails_on_what_json_cannot_say_and_lives_on(self, tried, question):
        outcome = tried.ask(question)

        assert isinstance(outcome, CallableFailure)
        assert outcome.kind == "raised"
        assert tried.ask("hello") == "HELLO"

    def test_hears_what_is_printed_with_its_trace_and_is_not_confused_by_it(self, tried):
        assert tried.ask("print this") == "PRINT THIS"

        tried.await_line("this")
        tried.await_line("native")
        assert ("this", TRACE) in tried.said

    @pytest.mark.parametrize(("question", "what"), [("raise", "LookupError"), ("exit", "SystemExit"), ("mute", "Mute")])
    def test_tells_the_class_of_what_was_raised_and_nothing_of_its_text(self, tried, question, what):
        assert tried.ask(question) == CallableFailure(kind="raised", what=what)

    def test_cuts_secrets_out_of_what_it_logs(self, tried):
        tried.ask("raise")

        tried.await_line("LookupError: the key is [secret]")
        assert "s3cr3t-value" not in str(tried.said)

    def test_cuts_secrets_out_of_what_it_answers(self, tried):
        assert tried.ask("key") == {"answer": "it is [secret]", "citations": ["[secret]", 1]}

    def test_gives_up_on_an_answer_that_is_too_deep_and_lives_on(self, tried):
        assert tried.ask("deep") == CallableFailure(kind="garbled")
        assert tried.ask("hello") == "HELLO"

    def test_cuts_a_key_of_many_lines_out_of_what_it_logs(self, tmp_path):
        key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END KEY-----"
        tried = Tried(tmp_path, env={"KEY": key}, secrets=[key], program=PRINTS_KEY)

        tried.ask("hello")

        tried.await_line("that was it")
        assert "MIIE" not in str(tried.said)
        tried.process.close()

    def test_inherits_nothing_but_what_is_given(self, tried, monkeypatch):
        monkeypatch.setenv("NOT_DECLARED", "1")

        names = tried.ask("env")

        # LC_CTYPE is set by Python itself where no locale is (PEP 538).
        assert set(names) - {"LC_CTYPE"} == {"KEY", "HOME", "TMPDIR"}

    def test_gives_up_on_an_answer_that_is_too_large(self, tried):
        assert tried.ask("big") == CallableFailure(kind="too_large")
        assert tried.ask("hello") == "HELLO"

    def test_answers_several_at_a_time(self, tried):
        answers: list[object] = []
        callers = [threading.Thread(target=lambda: answers.append(tried.ask("meet"))) for _ in range(2)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(20)

        assert answers == ["MEET", "MEET"]

    def test_makes_a_caller_wait_for_a_place_and_no_longer_than_it_may(self, tmp_path):
        tried = Tried(tmp_path, max_concurrency=1)
        gate = tmp_path / "gate"
        busy = threading.Thread(target=lambda: tried.ask(f"gate {gate}"))
        busy.start()
        tried.await_asked()

        assert tried.ask("hello", within_s=0.05) == CallableFailure(kind="unavailable", what="busy")
        gate.touch()
        busy.join()
        assert tried.ask("hello") == "HELLO"
        tried.process.close()

    def test_bounds_what_one_question_may_print(self, tried):
        tried.ask("endless")

        tried.await_line("[more is left out until the next question]")
        assert len(tried.said) <= 1102

    def test_carries_the_trace_to_a_callable_that_answers_one_at_a_time(self, tmp_path):
        tried = Tried(tmp_path, max_concurrency=1)

        assert tried.ask("trace") == [TRACE, f"00-{TRACE}-b7ad6b7169203331-01"]
        tried.process.close()

    def test_carries_the_trace_to_opentelemetry_if_the_callable_uses_it(self, tmp_path):
        program = (
            "from opentelemetry import trace\n\n\ndef predict(request):\n"
            "    return format(trace.get_current_span().get_span_context().span_id, '016x')\n"
        )
        tried = Tried(tmp_path, program=program)

        assert tried.ask("hello") == "b7ad6b7169203331"
        tried.process.close()


class TestKindsOfCallable:
    def test_may_be_async(self, tmp_path):
        tried = Tried(tmp_path, target="agent:apredict")

        assert tried.ask("one") == "async one"
        assert tried.ask("hang", within_s=0.2) == CallableFailure(kind="timeout")
        assert tried.ask("two") == "async two"
        tried.process.close()

    def test_may_be_an_object_with_an_async_call_which_keeps_its_loop(self, tmp_path):
        tried = Tried(tmp_path, target="agent:called")

        assert (tried.ask("one"), tried.ask("two")) == (1, 1)
        tried.process.close()

    def test_may_be_a_class_with_predict(self, tmp_path):
        tried = Tried(tmp_path, target="agent:Made")

        assert tried.ask("one") == "made"
        tried.process.close()

    @pytest.mark.parametrize(
        ("target", "said"),
        [
            ("agent:gone", "AttributeError: module 'agent' has no attribute 'gone'"),
            ("nowhere:predict", "ModuleNotFoundError: No module named 'nowhere'"),
        ],
    )
    def test_that_cannot_be_imported_says_so_at_the_start(self, tmp_path, target, said):
        tried = Tried(tmp_path, target=target)

        assert tried.process.start(within_s=30) == f"importing it raised {said}"
        outcome = tried.ask("hello")
        assert outcome == CallableFailure(
            kind="unavailable", what=f"does not start: importing it raised {said.partition(':')[0]}"
        )
        tried.process.close()

    def test_that_raises_a_secret_at_its_import_is_told_without_it(self, tmp_path):
        tried = Tried(tmp_path, program="import os\n\nraise ValueError(os.environ['KEY'])\n")

        assert tried.process.start(within_s=30) == "importing it raised ValueError: [secret]"
        tried.process.close()


class TestLives:
    def test_a_hanging_question_ends_with_its_process_and_the_next_gets_a_new_one(self, tried):
        tried.ask("hello")
        before = tried.process._life

        assert tried.ask("hang", within_s=0.3) == CallableFailure(kind="timeout")

        assert before._process.wait(10) is not None
        assert tried.ask("hello") == "HELLO"

    def test_a_hanging_question_takes_nobody_else_with_it(self, tried, tmp_path):
        gate = tmp_path / "gate"
        answers: list[object] = []
        other = threading.Thread(target=lambda: answers.append(tried.ask(f"gate {gate}")))
        other.start()
        tried.await_asked()

        assert tried.ask("hang", within_s=0.1) == CallableFailure(kind="timeout")
        assert tried.ask("hello") == "HELLO"
        gate.touch()
        other.join()

        assert answers == [f"gate {gate}".upper()]

    def test_a_process_that_died_is_told_of_and_replaced(self, tried):
        assert tried.ask("die") == CallableFailure(kind="died")
        assert tried.ask("hello") == "HELLO"

    def test_a_process_that_died_is_noticed_though_its_child_lives_on(self, tried):
        assert tried.ask("fork", within_s=50) == CallableFailure(kind="died")

    def test_a_process_is_not_started_for_ever(self, tmp_path):
        tried = Tried(tmp_path, max_restarts=1)

        outcomes = [tried.ask("die") for _ in range(3)]

        assert outcomes[:2] == [CallableFailure(kind="died")] * 2
        assert outcomes[2] == CallableFailure(kind="unavailable", what="died 2 times in ten minutes")
        tried.process.close()

    def test_an_interpreter_that_is_not_there_is_unavailable(self, tmp_path):
        tried = Tried(tmp_path, command=[str(tmp_path / "none"), "x"])

        assert tried.process.start(within_s=5) == "its interpreter does not run: No such file or directory"
        tried.process.close()

    def test_closing_ends_it_and_all_it_wrote_for_itself(self, tried):
        tried.ask("hello")
        life, scratch = tried.process._life, tried.process._scratch

        tried.process.close()
        tried.process.close()

        assert life._process.poll() is not None
        assert not scratch.exists()
        assert tried.ask("hello") == CallableFailure(kind="unavailable", what="closed")

    def test_it_does_not_outlive_whoever_started_it(self, tmp_path):
        (tmp_path / "agent.py").write_text(PROGRAM)
        child = subprocess.Popen(
            [sys.executable, "-B", runner.__file__, "agent:predict"],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.defpath},
        )
        assert child.stdout.readline() == b'{"ready": true}\n'
        child.stdin.write(b'{"id": 1, "request": {"question": "hang"}, "traceparent": "", "most": 100}\n')
        child.stdin.close()

        assert child.wait(20) == 0
        child.stdout.close()
