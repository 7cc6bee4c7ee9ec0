"""The command line: exit codes that CI can use, JSON for programs, errors told once."""

import json
import shutil
import socket
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result

from goldgate.adapters.file_ledger import FileLedger
from goldgate.adapters.file_locks import FileLocks
from goldgate.adapters.file_release_store import FileReleaseStore
from goldgate.adapters.system_clock import SystemClock
from goldgate.contracts.release import Closing, ReleaseOrder
from goldgate.domain.verdict import Verdict
from goldgate.entrypoints.commands.common import ExitCode, exit_code_of
from goldgate.entrypoints.commands.everything import goldgate

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def run(home, *words: str, **env: str) -> Result:
    found = CliRunner().invoke(goldgate, list(words), env={"GOLDGATE_HOME": str(home), **env})
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


def written_ledger(home) -> FileLedger:
    path = home / "ledger" / "ledger.jsonl"
    ledger = FileLedger(path, clock=SystemClock(), locks=FileLocks(home / "locks"))
    for step in ("open", "check"):
        ledger.append(agent="a", release_id="r-1", step=step, outcome="done", by="me", evidence={})
    return ledger


def order_of(release_id: str) -> ReleaseOrder:
    return ReleaseOrder(release_id=release_id, agent="a", source="", reason="why", by="me", opened_at=AT)


class TestExitCode:
    def test_tells_the_verdicts_apart(self):
        assert [exit_code_of(verdict) for verdict in Verdict] == [0, 1, 3]


class TestHelp:
    @pytest.mark.parametrize(
        "words", [[], ["release", "run"], ["ledger"], ["agent", "validate"], ["image", "build"], ["task", "run"]]
    )
    def test_is_there_for_every_command(self, home, words):
        found = run(home, *words, "--help")

        assert found.exit_code == 0
        assert "Usage:" in found.output


class TestImage:
    def test_says_why_there_is_none(self, home, tmp_path):
        found = run(home, "image", "build", "agent", PATH=str(tmp_path))

        assert found.exit_code == ExitCode.IMPOSSIBLE
        assert "no container builder works here" in found.output


class TestLedger:
    def test_verify_holds_for_an_untouched_ledger(self, home):
        written_ledger(home)

        found = run(home, "ledger", "verify", "-o", "json")

        assert found.exit_code == ExitCode.DONE
        assert json.loads(found.stdout) == {"holds": True, "entries": 2, "problems": []}

    def test_verify_ends_with_1_for_a_changed_entry(self, home):
        written_ledger(home)
        path = home / "ledger" / "ledger.jsonl"
        path.write_text(path.read_text().replace('"by":"me"', '"by":"eve"', 1))

        found = run(home, "ledger", "verify", "-o", "json")

        assert found.exit_code == ExitCode.FAILED_GATE
        assert json.loads(found.stdout)["problems"]

    def test_verify_ends_with_1_when_a_closed_release_is_not_in_it(self, home):
        """Without any file the chain itself has nothing to show: only the releases tell that something is gone."""
        ledger, store = written_ledger(home), FileReleaseStore(home / "releases")
        for name in ("r-1", "r-2"):
            store.write(name, Closing(outcome="promoted", step="promote", reason="r", champion="1", at=AT))
        ledger.append(agent="a", release_id="r-2", step="close", outcome="promoted", by="me", evidence={})

        without_one = run(home, "ledger", "verify", "-o", "json")
        shutil.rmtree(home / "ledger")
        without_any = run(home, "ledger", "verify", "-o", "json")

        assert (without_one.exit_code, without_any.exit_code) == (ExitCode.FAILED_GATE, ExitCode.FAILED_GATE)
        [problem] = json.loads(without_one.stdout)["problems"]
        assert "`r-1`" in problem
        assert len(json.loads(without_any.stdout)["problems"]) == 2

    def test_verify_goes_on_over_a_damaged_record_and_tells_it(self, home):
        written_ledger(home)
        FileReleaseStore(home / "releases").folder("r-1").joinpath("closing.json").write_text("")

        found = run(home, "ledger", "verify")

        assert found.exit_code == ExitCode.FAILED_GATE
        assert "closing.json" in found.output

    def test_show_filters_by_release(self, home):
        written_ledger(home)

        entries = json.loads(run(home, "ledger", "show", "--release-id", "r-1", "-o", "json").stdout)

        assert [entry["step"] for entry in entries] == ["open", "check"]
        assert json.loads(run(home, "ledger", "show", "--release-id", "other", "-o", "json").stdout) == []


class TestRelease:
    def test_list_is_empty_at_first(self, home):
        found = run(home, "release", "list", "-o", "json")

        assert (found.exit_code, json.loads(found.stdout)) == (0, [])

    def test_list_leaves_out_what_ci_rehearsed_and_show_says_what_it_was(self, home, tmp_path):
        assert run(home, "ci", "airflow-helper", "--source", str(tmp_path / "no")).exit_code == ExitCode.IMPOSSIBLE
        (rehearsal,) = (path.name for path in (home / "releases").iterdir() if path.name.startswith("ci-"))

        listed, shown = run(home, "release", "list", "-o", "json"), run(home, "release", "show", rehearsal)

        assert json.loads(listed.stdout) == []
        assert "a rehearsal" in shown.output
        assert "still open" not in shown.output

    def test_list_tells_a_damaged_release_among_the_others(self, home):
        store = FileReleaseStore(home / "releases")
        store.write("r-1", order_of("r-1"))
        store.write("r-2", order_of("r-2"))
        (home / "releases" / "r-2" / "release_order.json").write_text("")

        listed = json.loads(run(home, "release", "list", "-o", "json").stdout)

        assert [(row["release_id"], row["outcome"]) for row in listed] == [("r-1", "open"), ("r-2", "damaged")]
        assert "release_order.json" in listed[1]["reason"]

    def test_show_says_that_a_release_is_unknown_and_where_to_look(self, home):
        found = run(home, "release", "show", "nope")

        assert found.exit_code == ExitCode.IMPOSSIBLE
        assert "Found no release `nope`" in found.stderr
        assert "goldgate release list" in found.stderr


class TestAgent:
    def test_validate_names_the_agents_there_are(self, home):
        found = run(home, "agent", "validate", "nobody")

        assert found.exit_code == ExitCode.IMPOSSIBLE
        assert "airflow-helper" in found.stderr

    def test_validate_tells_a_broken_file_with_its_line(self, home, tmp_path):
        folder = tmp_path / "broken"
        folder.mkdir()
        (folder / "agent.yaml").write_text("kind: Agent\nmetadata: {name: broken}\nspec: {}\n")

        found = run(home, "agent", "validate", str(folder))

        assert found.exit_code == ExitCode.IMPOSSIBLE
        assert "agent.yaml:3" in found.stderr

    @pytest.mark.parametrize("by_path", [True, False])
    def test_validate_tells_what_is_wrong_in_every_file_at_once(self, home, tmp_path, by_path):
        folder = tmp_path / "broken"
        folder.mkdir()
        (folder / "agent.yaml").write_text("kind: Agent\nmetadata: {name: broken}\nspec: {}\n")
        (folder / "release.yaml").write_text("version: 2\n")
        (folder / "gold.jsonl").write_text('{"id": "x"}\n{\n')

        found = run(home, "agent", "validate", str(folder) if by_path else "broken", GOLDGATE_AGENTS=str(tmp_path))

        assert found.exit_code == ExitCode.IMPOSSIBLE
        for place in ("agent.yaml:3", "release.yaml:1", "gold.jsonl:1", "gold.jsonl:2"):
            assert place in found.stderr


class TestBadInput:
    """Exit code 1 is a verdict: a typing error, a full disk or a defect never looks like one."""

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["task", "run"], "`taskRef`, required when"),
            (["task", "run", "airflow-helper"], "no message is given"),
            (["release", "run", "a", "--reason", ""], "`reason`"),
            (["release", "run", "a", "--reason", "x", "--release-id", "../x y"], "`release_id`"),
        ],
    )
    def test_is_told_with_its_field(self, home, words, told):
        found = run(home, *words)

        assert found.exit_code == ExitCode.IMPOSSIBLE
        assert "the command line" in found.stderr
        assert told in found.stderr
        assert "Traceback" not in found.stderr

    def test_names_the_path_that_the_system_refused(self, tmp_path):
        (tmp_path / "file").write_text("in the way")

        found = run(tmp_path / "file", "release", "run", "airflow-helper", "--reason", "x")

        assert found.exit_code == ExitCode.IMPOSSIBLE
        assert str(tmp_path / "file") in found.stderr
        assert "Traceback" not in found.stderr

    def test_shows_the_examples_of_the_help_one_a_line(self, home):
        lines = run(home, "--help").stdout.splitlines()

        assert [line for line in lines if line.strip().startswith("goldgate up ")]
        assert not [line for line in lines if "\\b" in line]


class TestTraffic:
    def test_ends_with_75_when_the_registry_is_down(self, home):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"

            found = run(home, "traffic", "airflow-helper", GOLDGATE_MLFLOW_URL=url)

        assert found.exit_code == ExitCode.TRY_AGAIN
        assert "may succeed later" in found.stderr


class TestSettings:
    def test_are_refused_with_the_variable_that_is_wrong(self, home):
        found = run(home, "status", GOLDGATE_ROUTER_URL="nonsense")

        assert found.exit_code == ExitCode.IMPOSSIBLE
        assert "GOLDGATE_ROUTER_URL" in found.stderr
