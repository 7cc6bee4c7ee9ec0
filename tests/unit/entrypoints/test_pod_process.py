import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from goldgate.adapters.process_owners import is_known_dead, this_process
from goldgate.contracts.request_log import RunLog
from goldgate.entrypoints.logs import JsonFormatter
from goldgate.entrypoints.pod_process import gone_before, leave_last_word, open_run_log, owner_in
from goldgate.entrypoints.settings import RUN_LOG, Settings

ENTRY = RunLog(
    at=datetime(2026, 1, 1, tzinfo=UTC),
    agent="tiny",
    task_run="run-1",
    phase="FinalAnswer",
    trace_id="a" * 32,
    span_id="b" * 16,
    model="tiny@abc",
    prompt="tiny@def",
    latency_ms_total=12.0,
    latency_ms_llm=10.0,
    tokens_in=1,
    tokens_out=2,
    tokens_cached=0,
    cost_usd=0.5,
    is_metered=True,
    retriever_k=None,
    hit_at_k=None,
    context_precision=None,
    context_use_rate=None,
    safety_flags=[],
    error=None,
    llm_calls=1,
    tool_calls=0,
    take_ups=0,
)


class TestOwnerIn:
    def test_is_the_pod_in_a_pod(self):
        assert owner_in({"GOLDGATE_POD": "run-1"}) == "pod/run-1"

    def test_is_a_process_of_this_machine_elsewhere(self):
        owner = owner_in({})

        assert owner.split("/")[:5] == this_process().split("/")[:5]
        assert not is_known_dead(owner)


class TestGoneBefore:
    @pytest.mark.parametrize(
        ("owner", "is_gone"),
        [
            ("pod/run-a-1", True),
            ("pod/run-a-2", True),
            ("pod/run-a-3", False),
            ("pod/run-a-4", False),
            ("pod/run-b-1", False),
            ("pod/run-a-1-1", False),
            ("pod/run-a-x", False),
            ("run-a-1", False),
            ("host/boot/1/2/3/4", False),
        ],
    )
    def test_knows_the_pods_that_this_one_follows(self, owner: str, is_gone: bool):
        is_dead = gone_before({"GOLDGATE_POD": "run-a-3"})

        assert is_dead is not None
        assert is_dead(owner) is is_gone

    @pytest.mark.parametrize("env", [{}, {"GOLDGATE_POD": "by-hand"}, {"GOLDGATE_POD": "7"}])
    def test_knows_nobody_where_pods_are_not_counted(self, env: dict[str, str]):
        assert gone_before(env) is None


class TestOpenRunLog:
    def test_writes_into_the_log_of_a_pod(self, tmp_path: Path, caplog: pytest.LogCaptureFixture):
        settings = Settings.from_env({"GOLDGATE_HOME": str(tmp_path)})
        log = open_run_log(settings, env={"GOLDGATE_POD": "run-1"})

        with caplog.at_level(logging.INFO, logger="goldgate"):
            log.add(ENTRY)
        log.close()

        line = json.loads(JsonFormatter().format(caplog.records[0]))
        assert line["event"] == "task_run.over"
        assert RunLog.model_validate(line["entry"]) == ENTRY
        assert list(tmp_path.iterdir()) == []

    def test_writes_into_the_home_folder_elsewhere(self, tmp_path: Path):
        log = open_run_log(Settings.from_env({"GOLDGATE_HOME": str(tmp_path)}), env={})

        log.add(ENTRY)
        log.close()

        (file,) = (path for path in (tmp_path / RUN_LOG).rglob("*") if path.is_file())
        assert RunLog.model_validate_json(file.read_text()) == ENTRY


class TestLeaveLastWord:
    def test_replaces_what_the_file_holds(self, tmp_path: Path):
        file = tmp_path / "termination-log"
        file.write_text("something longer than the reason")

        leave_last_word("The bundle is gone.", env={"GOLDGATE_TERMINATION_LOG": str(file)})

        assert file.read_text() == "The bundle is gone."

    def test_keeps_to_what_kubernetes_takes(self, tmp_path: Path):
        file = tmp_path / "termination-log"
        file.touch()

        leave_last_word("x" + "\u00e9" * 4_000, env={"GOLDGATE_TERMINATION_LOG": str(file)})

        assert file.read_text(encoding="utf-8") == "x" + "\u00e9" * 2_047

    def test_makes_no_file_outside_a_pod(self, tmp_path: Path):
        leave_last_word("Gone.", env={"GOLDGATE_TERMINATION_LOG": str(tmp_path / "none")})

        assert list(tmp_path.iterdir()) == []
