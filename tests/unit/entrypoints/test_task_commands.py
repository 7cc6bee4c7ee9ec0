"""`goldgate task ...`: what is printed, and the exit codes on which scripts rely."""

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
import yaml
from click.testing import CliRunner, Result

from goldgate.adapters.file_task_runs import FileTaskRunStore
from goldgate.adapters.system_clock import SystemClock
from goldgate.contracts.task_runs import TaskRun
from goldgate.domain.runs.state import Need, Phase
from goldgate.entrypoints.commands.common import ExitCode
from goldgate.entrypoints.commands.everything import goldgate
from goldgate.entrypoints.commands.task_common import PEOPLE_WAIT_S, patience_s
from goldgate.entrypoints.commands.task_reading import changed, show_changes
from goldgate.entrypoints.display import Screen
from tests.fakes.agent_folders import LLM, agent, write_folder
from tests.fakes.recorded_runs import AT, a_call, a_run, a_waiting_run
from tests.fakes.scripted_endpoint import Answer, ScriptedEndpoint, completion

ASKS = completion(
    content=None,
    tool_calls=[
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "ask_person", "arguments": json.dumps({"question": "Which?"})},
        }
    ],
    finish_reason="tool_calls",
)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def given_to(home) -> dict[str, str]:
    return {"GOLDGATE_HOME": str(home), "GOLDGATE_AGENTS": str(home / "agents"), "GOLDGATE_OTLP_URL": "off"}


def run(home, *words: str, **env: str) -> Result:
    found = CliRunner().invoke(goldgate, ["task", *words], env={**given_to(home), **env})
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    assert found.exit_code != ExitCode.DEFECT, found.stderr
    return found


def record(home, *runs: TaskRun) -> FileTaskRunStore:
    store = FileTaskRunStore(home / "taskruns", clock=SystemClock())
    for one in runs:
        store.create(one)
    return store


@pytest.fixture
def asking(home):
    """An agent that asks a person, and then says it is done."""
    write_folder(home / "agents" / "tiny", LLM, agent("person: {}"))
    with ScriptedEndpoint(Answer(body=ASKS), Answer(body=completion("Done."))) as endpoint:
        yield {"MODEL_URL": endpoint.url}


class TestARunThatIsNotThere:
    def test_is_told_with_where_it_was_looked_for(self, home):
        found = run(home, "describe", "nobody")

        assert found.exit_code == ExitCode.IMPOSSIBLE
        assert f"Found no TaskRun `nobody` in {home / 'taskruns'}." in found.stderr


class TestRunInTheBackground:
    def test_goes_on_by_itself_when_its_agent_is_ready(self, home):
        with ScriptedEndpoint(Answer(body=completion("Done."))) as endpoint:
            asked = (sys.executable, "-m", "goldgate.entrypoints.cli", "task", "run", "late", "Hello?", "--name", "bg")
            env = {**os.environ, **given_to(home), "MODEL_URL": endpoint.url}
            begun = subprocess.run([*asked, "--no-wait"], env=env, capture_output=True, check=False)
            waits = run(home, "wait", "bg", "--timeout", "100ms")
            write_folder(home / "agents/late", LLM, agent().replace("name: tiny", "name: late"))
            done = run(home, "wait", "bg", "--timeout", "60s")

        assert (begun.returncode, waits.exit_code, done.exit_code) == (ExitCode.DONE, ExitCode.TRY_AGAIN, ExitCode.DONE)
        assert done.stdout == "Done.\n"


class TestGet:
    def test_says_that_there_is_none(self, home):
        found = run(home, "get")

        assert (found.exit_code, found.stdout) == (ExitCode.DONE, "")
        assert f"No TaskRuns in {home}" in found.stderr

    def test_prints_one_json_document_even_for_none(self, home):
        assert json.loads(run(home, "get", "-o", "json").stdout)["items"] == []

    def test_shows_every_run_in_the_order_of_names(self, home):
        record(home, a_run("b"), a_run("a"))

        lines = run(home, "get").stdout.splitlines()

        assert [line.split()[0] for line in lines] == ["NAME", "a", "b"]

    def test_can_show_the_oldest_first(self, home):
        record(home, a_run("a", start_time=AT), a_run("b", start_time=AT - timedelta(days=1)))

        lines = run(home, "get", "--sort-by", "age", "-o", "name").stdout.splitlines()

        assert lines == ["taskrun.goldgate.dev/b", "taskrun.goldgate.dev/a"]

    def test_chooses_by_phase_and_agent(self, home):
        record(home, a_run("a"), a_run("b", phase=Phase.FAILED), a_run("c", agent="other"))

        assert run(home, "get", "--phase", "failed", "-o", "name").stdout.split() == ["taskrun.goldgate.dev/b"]
        assert run(home, "get", "--agent", "other", "-o", "name").stdout.split() == ["taskrun.goldgate.dev/c"]

    def test_prints_the_whole_resource_of_one_name(self, home):
        record(home, a_run("a"))

        value = json.loads(run(home, "get", "taskrun.goldgate.dev/a", "-o", "json").stdout)

        assert TaskRun.model_validate(value) == a_run("a")

    def test_prints_yaml_that_run_takes_again(self, home, tmp_path):
        record(home, a_run("a"), a_run("b"))
        text = run(home, "get", "-o", "yaml").stdout
        (tmp_path / "runs.yaml").write_text(text)

        again = run(home, "run", "-f", str(tmp_path / "runs.yaml"), "-o", "name")

        assert [one["metadata"]["name"] for one in yaml.safe_load_all(text)] == ["a", "b"]
        assert again.stdout.split() == ["taskrun.goldgate.dev/a", "taskrun.goldgate.dev/b"]
        assert again.exit_code == ExitCode.DONE

    def test_prints_a_list_in_json_that_run_takes_again(self, home, tmp_path):
        record(home, a_run("a"), a_run("b"))
        (tmp_path / "runs.json").write_text(run(home, "get", "-o", "json").stdout)

        again = run(home, "run", "-f", str(tmp_path / "runs.json"), "-o", "name")

        assert again.stdout.split() == ["taskrun.goldgate.dev/a", "taskrun.goldgate.dev/b"]

    def test_tells_the_line_of_what_is_wrong_in_a_list(self, home, tmp_path):
        (tmp_path / "runs.yaml").write_text("kind: TaskRunList\nitems:\n- kind: TaskRun\n  spec: {agentRef: 5}\n")

        found = run(home, "run", "-f", str(tmp_path / "runs.yaml"))

        assert "runs.yaml:4" in found.stderr
        assert found.exit_code == ExitCode.IMPOSSIBLE

    def test_shows_the_others_beside_a_damaged_record(self, home):
        record(home, a_run("a"), a_run("b"))
        (home / "taskruns" / "a.json").write_text("{")

        found = run(home, "get")

        assert "b " in found.stdout
        assert "a.json" in found.stderr
        assert found.exit_code == ExitCode.IMPOSSIBLE

    def test_shows_the_others_beside_a_record_that_the_system_refuses(self, home):
        record(home, a_run("a"))
        (home / "taskruns" / "b.json").mkdir()

        found = run(home, "get")

        assert "a " in found.stdout
        assert "`b`: the system refused" in found.stderr
        assert found.exit_code == ExitCode.IMPOSSIBLE

    @pytest.mark.parametrize("words", [["get", "-o", "name"], ["describe"]])
    def test_shows_the_others_beside_a_name_that_is_not_there(self, home, words):
        record(home, a_run("a"), a_run("c"))

        found = run(home, *words, "a", "ghost", "c")

        assert [part in found.stdout for part in ("a", "c", "ghost")] == [True, True, False]
        assert "no TaskRun `ghost`" in found.stderr
        assert found.exit_code == ExitCode.IMPOSSIBLE

    def test_says_that_a_name_is_not_there(self, home):
        found = run(home, "get", "nobody")

        assert found.exit_code == ExitCode.IMPOSSIBLE
        assert "no TaskRun `nobody`" in found.stderr

    @pytest.mark.parametrize("name", ["../x", "A", "deploy/x"])
    def test_refuses_a_name_that_is_none(self, home, name):
        found = run(home, "get", name)

        assert found.exit_code == ExitCode.IMPOSSIBLE
        assert name in found.stderr


class TestChanged:
    def test_names_what_is_new_and_what_was_recorded_anew(self):
        now = [a_run("a"), a_run("b", output="other"), a_run("c")]

        assert [one.metadata.name for one in changed([a_run("a"), a_run("b")], now)] == ["b", "c"]


class TestShowChanges:
    def test_names_the_columns_once(self, capsys):
        looks = iter([[a_run("a")], [a_run("a"), a_run("b")]])

        with pytest.raises(StopIteration):
            show_changes(Screen(form="table"), [], lambda: next(looks))

        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["NAME", "a", "b"]


class TestDescribe:
    def test_shows_what_is_asked_and_how_to_answer(self, home):
        record(home, a_waiting_run())

        text = run(home, "describe", "run-1").stdout

        assert "goldgate task answer run-1 c1 --approve" in text

    def test_holds_no_colour_where_there_is_no_terminal(self, home):
        record(home, a_waiting_run())

        assert "\x1b" not in run(home, "describe", "run-1", FORCE_COLOR="").stdout


class TestEvents:
    def test_prints_them_as_json(self, home):
        record(home, a_run("a"))

        (event,) = json.loads(run(home, "events", "a", "-o", "json").stdout)

        assert event["reason"] == "ValidationSucceeded"


class TestAnswer:
    def test_leaves_the_answer_for_somebody_else(self, home):
        store = record(home, a_waiting_run())

        found = run(home, "answer", "run-1", "--deny", "--reason", "too much", "--no-resume")

        (word,) = store.words("run-1")
        assert (word.word.value, word.text, word.call_key) == ("deny", "too much", "run-1-c1")
        assert found.exit_code == ExitCode.DONE

    def test_is_refused_the_second_time(self, home):
        record(home, a_waiting_run())
        run(home, "answer", "run-1", "--approve", "--no-resume")

        found = run(home, "answer", "run-1", "--approve", "--no-resume")

        assert found.exit_code == ExitCode.IMPOSSIBLE
        assert "answered already" in found.stderr

    def test_lists_what_waits_when_it_is_not_clear(self, home):
        record(home, a_waiting_run(a_call("c1"), a_call("c2", need=Need.ANSWER)))

        found = run(home, "answer", "run-1", "--approve")

        assert found.exit_code == ExitCode.IMPOSSIBLE
        assert "`c1` asks for approval of `pay`; `c2` asks for an answer to `pay`" in found.stderr

    @pytest.mark.parametrize("words", [[], ["--approve", "--deny"], ["--approve", "--reason", "x"]])
    def test_needs_exactly_one_word(self, home, words):
        record(home, a_waiting_run())

        assert run(home, "answer", "run-1", *words).exit_code == ExitCode.USAGE

    def test_goes_on_with_the_run(self, home, asking):
        waiting = run(home, "run", "tiny", "Hi", "--name", "r", **asking)
        done = run(home, "answer", "r", "--text", "That one.", **asking)

        assert waiting.exit_code == ExitCode.WAITING
        assert "goldgate task answer r c1 --text" in waiting.stdout
        assert (done.exit_code, done.stdout) == (ExitCode.DONE, "Done.\n")
        assert "answer `ask_person`" in run(home, "events", "r").stdout
        assert "taskrun.process.ended" in run(home, "logs", "r").stdout

    def test_leaves_it_to_the_process_that_works_on_the_run(self, home, asking):
        run(home, "run", "tiny", "Hi", "--name", "r", **asking)
        record(home).take("r", owner="elsewhere", for_s=60)

        found = run(home, "answer", "r", "--text", "That one.", **asking)

        assert found.exit_code == ExitCode.DONE
        assert "takes the answer" in found.stderr


class TestCancel:
    def test_ends_a_run_that_nobody_works_on(self, home, asking):
        run(home, "run", "tiny", "Hi", "--name", "r", **asking)

        found = run(home, "cancel", "r", "--reason", "not needed", **asking)

        assert found.exit_code == ExitCode.DONE
        assert "not needed" in found.stdout
        assert run(home, "get", "r", "--phase", "Failed", "-o", "name").stdout.strip().endswith("/r")

    def test_refuses_a_run_that_is_over(self, home):
        record(home, a_run("a"))

        assert run(home, "cancel", "a").exit_code == ExitCode.IMPOSSIBLE


class TestRun:
    def test_says_by_its_code_that_the_agent_is_not_there_yet(self, home):
        found = run(home, "run", "tiny", "Hi", "--name", "r")

        assert found.exit_code == ExitCode.TRY_AGAIN
        assert "goldgate task resume r" in found.stdout

    def test_goes_on_when_the_agent_has_come(self, home):
        run(home, "run", "tiny", "Hi", "--name", "r")
        write_folder(home / "agents" / "tiny")
        with ScriptedEndpoint(Answer(body=completion("Hello."))) as endpoint:
            found = run(home, "resume", "r", MODEL_URL=endpoint.url)

        assert (found.exit_code, found.stdout) == (ExitCode.DONE, "Hello.\n")

    def test_writes_limits_and_deadline_into_the_run(self, home):
        limits = [
            "--max-steps",
            "2",
            "--max-cost-usd",
            "0.5",
            "--max-tokens",
            "9",
            "--timeout",
            "1m",
            "--deadline",
            "2h",
        ]

        run(home, "run", "tiny", "Hi", "--name", "r", *limits)

        spec = json.loads(run(home, "get", "r", "-o", "json").stdout)["spec"]
        assert spec["deadlineSeconds"] == 7200
        assert spec["limits"] == {"maxSteps": 2, "maxCostUsd": 0.5, "maxTokens": 9, "timeoutSeconds": 60}

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            ([], "`taskRef`, required when `agentRef` and `userMessage` are not given"),
            (["tiny"], "no message is given for `agentRef`"),
            (["tiny", "Hi", "--task", "t"], "not both"),
            (["tiny", "Hi", "--name", "No Name"], "found `'No Name'`"),
        ],
    )
    def test_says_what_is_missing_or_too_much(self, home, words, told):
        found = run(home, "run", *words)

        assert found.exit_code == ExitCode.IMPOSSIBLE
        assert told in found.stderr
        assert not (home / "taskruns").exists()

    def test_refuses_a_file_that_holds_something_else(self, home, tmp_path):
        (tmp_path / "x.yaml").write_text(
            "apiVersion: goldgate.dev/v1alpha1\nkind: Task\nmetadata: {name: a}\nspec: {}\n"
        )

        found = run(home, "run", "-f", str(tmp_path / "x.yaml"))

        assert found.exit_code == ExitCode.IMPOSSIBLE
        assert "x.yaml:2" in found.stderr

    def test_gives_a_run_of_a_file_a_name_and_notes_when_it_was_made(self, home, tmp_path):
        (tmp_path / "x.yaml").write_text(
            "apiVersion: goldgate.dev/v1alpha1\nkind: TaskRun\nmetadata: {generateName: ask-}\n"
            "spec: {agentRef: nobody, userMessage: Hi}\n"
        )

        run(home, "run", "-f", str(tmp_path / "x.yaml"))

        (made,) = json.loads(run(home, "get", "-o", "json").stdout)["items"]
        assert made["metadata"]["name"].startswith("ask-")
        assert made["metadata"]["creationTimestamp"] is not None

    def test_takes_everything_from_the_file_or_nothing(self, home, tmp_path):
        assert run(home, "run", "tiny", "Hi", "-f", str(tmp_path / "x.yaml")).exit_code == ExitCode.USAGE


class TestPatience:
    def test_is_short_for_a_look_and_outlives_a_restart_for_whoever_waits(self):
        assert patience_s(goes_on_looking=False) == PEOPLE_WAIT_S
        assert patience_s(goes_on_looking=True) is None


class TestWait:
    def test_gives_the_code_of_a_run_that_is_over(self, home):
        record(home, a_run("a"), a_run("b", phase=Phase.FAILED, error="loop: again"), a_waiting_run(name="c"))

        codes = [run(home, "wait", name).exit_code for name in "abc"]

        assert codes == [ExitCode.DONE, ExitCode.FAILED_GATE, ExitCode.WAITING]

    def test_gives_up_when_its_time_is_over(self, home):
        record(home, a_run("a", phase=Phase.READY_FOR_LLM))

        found = run(home, "wait", "a", "--timeout", "0")

        assert found.exit_code == ExitCode.TRY_AGAIN
        assert "ReadyForLLM" in found.stderr

    @pytest.mark.parametrize("time", ["soon", "5x", "-1"])
    def test_refuses_a_time_that_is_none(self, home, time):
        assert run(home, "wait", "a", f"--timeout={time}").exit_code == ExitCode.USAGE


class TestPrune:
    def test_removes_only_what_is_over_for_long_enough(self, home):
        young = SystemClock().now()
        record(home, a_run("old"), a_run("young", completion_time=young), a_waiting_run(name="waits"))
        (home / "taskruns" / "old.log").write_text("{}\n")

        dry = run(home, "prune", "--older-than", "1h", "--dry-run", "-o", "json")
        found = run(home, "prune", "--older-than", "1h", "-o", "json")

        assert json.loads(dry.stdout) == {"removed": ["old"], "dry_run": True}
        assert json.loads(found.stdout) == {"removed": ["old"], "dry_run": False}
        assert record(home).names() == ["waits", "young"]
        assert not list((home / "taskruns").glob("old*"))
