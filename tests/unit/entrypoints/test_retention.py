from datetime import UTC, datetime, timedelta

import pytest

from goldgate.entrypoints.retention import Retention
from goldgate.entrypoints.settings import Settings
from tests.fakes.scripted_web import Asked, ScriptedWeb, Told

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def answer(asked: Asked) -> Told:
    if "get-by-name" in asked.path:
        is_known = asked.path.endswith("=helper")
        return Told(body={"experiment": {"experiment_id": "7"}}) if is_known else Told(status=404)
    return Told(body={"traces_deleted": 3})


@pytest.fixture
def folders(tmp_path):
    for log in ("requests", "task-run-log"):
        folder = tmp_path / "home" / log / "helper"
        folder.mkdir(parents=True)
        for day in ("2026-01-29", "2026-01-30", "2026-02-28"):
            (folder / f"{day}.jsonl").write_text("{}\n")
    (tmp_path / "agents" / "other").mkdir(parents=True)
    return tmp_path


def remove(folders, *, mlflow_url: str, **env: str) -> bool:
    env = {
        "GOLDGATE_HOME": str(folders / "home"),
        "GOLDGATE_AGENTS": str(folders / "agents"),
        "GOLDGATE_MLFLOW_URL": mlflow_url,
        **env,
    }
    return Retention(Settings.from_env(env), env=env, older_than=timedelta(days=30)).remove_expired(now=NOW)


class TestRetention:
    def test_removes_days_of_both_logs_that_are_too_old(self, folders):
        with ScriptedWeb(answer) as web:
            is_done = remove(folders, mlflow_url=web.url)

        assert is_done
        left = sorted(path.stem for path in folders.rglob("*.jsonl"))
        assert left == ["2026-01-30", "2026-01-30", "2026-02-28", "2026-02-28"]

    def test_deletes_the_traces_of_every_agent_that_began_before(self, folders):
        with ScriptedWeb(answer) as web:
            remove(folders, mlflow_url=web.url, MLFLOW_TRACKING_TOKEN="k")

        (deleted,) = [asked for asked in web.asked if asked.method == "POST"]
        began_ms = round((NOW - timedelta(days=30)).timestamp() * 1000)
        assert deleted.path == "/api/2.0/mlflow/traces/delete-traces"
        assert deleted.body == {"experiment_id": "7", "max_timestamp_millis": began_ms}
        assert {asked.headers["authorization"] for asked in web.asked} == {"Bearer k"}
        assert {asked.path.rpartition("=")[2] for asked in web.asked if asked.method == "GET"} == {"helper", "other"}

    def test_removes_logs_though_mlflow_is_away(self, folders):
        with ScriptedWeb(answer) as web:
            url = web.url

        is_done = remove(folders, mlflow_url=url)

        assert not is_done
        assert len(list(folders.rglob("*.jsonl"))) == 4

    def test_leaves_the_traces_of_another_collector_alone(self, folders):
        with ScriptedWeb(answer) as web:
            remove(folders, mlflow_url=web.url, GOLDGATE_OTLP_URL="http://collector:4318")

            assert web.asked == []
