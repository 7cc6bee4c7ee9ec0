"""The whole stack on this machine, with the real Airflow: up, asked, broken, down."""

import base64
import contextlib
import os
import secrets
import signal
import socket
import time
from pathlib import Path

import httpx
import psutil
import pytest

from goldgate.adapters.airflow_rest import AirflowRest
from goldgate.agent.trace import Waterfall
from goldgate.agent.trace_names import run_name
from goldgate.contracts.task_runs import TaskRunSpec
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints import local
from goldgate.entrypoints.local_airflow import password_of
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.task_run import run_task
from goldgate.entrypoints.tracing import open_sink

pytestmark = pytest.mark.slow

WITHIN_S = 120.0


def free_addresses():
    listeners = {
        "GOLDGATE_AIRFLOW_URL": socket.create_server(("127.0.0.1", 0)),
        "GOLDGATE_MLFLOW_URL": socket.create_server(("127.0.0.1", 0)),
        "GOLDGATE_MODEL_URL": socket.create_server(("127.0.0.1", 0)),
        "GOLDGATE_ROUTER_URL": socket.create_server(("127.0.0.1", 0)),
    }
    ports = {name: one.getsockname()[1] for name, one in listeners.items()}
    for one in listeners.values():
        one.close()
    suffix = {"GOLDGATE_MODEL_URL": "/v1"}
    return {name: f"http://127.0.0.1:{port}{suffix.get(name, '')}" for name, port in ports.items()}


def awaited(found, *, what):
    """Return the first true answer. What is too busy to answer is asked again."""
    give_up_at = time.monotonic() + WITHIN_S
    while True:
        with contextlib.suppress(TransientError):
            if answer := found():
                return answer
        assert time.monotonic() < give_up_at, what
        time.sleep(0.2)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    home = tmp_path_factory.mktemp("stack") / "home"
    made = Settings.from_env({"GOLDGATE_HOME": str(home), **free_addresses()})
    local.up(made, env=os.environ, say=print)
    try:
        yield made
    finally:
        local.down(made, say=print)
    assert local.processes_of(made) == []
    assert not local.status(made).up


@pytest.fixture(scope="module")
def airflow(settings):
    rest = AirflowRest(settings.airflow_url, user="admin", password=password_of(settings, "admin"))
    awaited(lambda: rest.knows("agent_rollback"), what="Airflow never read the DAGs")
    yield rest
    rest.close()


class TestLocalStack:
    def test_is_ready_when_up_returns(self, settings):
        found = local.status(settings)

        assert found.ready, found
        assert {one.name for one in found.programs} >= {"mlflow", "router", "standin", "api-server", "scheduler"}

    def test_is_up_already_when_it_is_asked_again(self, settings):
        said = []

        local.up(settings, env=os.environ, say=said.append)

        assert said[0] == "The stack is up already."

    def test_listens_on_this_machine_only(self, settings):
        addresses = {
            connection.laddr.ip
            for pid in local.processes_of(settings)
            for connection in psutil.Process(pid).net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN
        }

        assert addresses <= {"127.0.0.1", "::1"}

    def test_writes_no_password_and_no_key_into_a_log(self, settings):
        secrets = [password_of(settings, user) for user in ("admin", "viewer")]
        logs = [path for path in Path(settings.home).rglob("*.log") if path.is_file()]

        assert logs
        for log in logs:
            text = log.read_text(encoding="utf-8", errors="replace")
            assert not [secret for secret in secrets if secret in text], log

    def test_turns_a_run_red_without_a_retry_when_trying_again_cannot_help(self, airflow):
        """A rollback of an agent that has no champion."""
        conf = {"agent": "nobody", "version": None, "reason": "a test"}
        awaited(lambda: airflow.trigger("agent_rollback", run_id="red", conf=conf) or True, what="Airflow took no run")

        state = awaited(
            lambda: {"success", "failed"} & {airflow.run_state("agent_rollback", "red")}, what="the run never ended"
        )

        assert state == {"failed"}
        (task,) = awaited(lambda: airflow.tasks("agent_rollback", "red"), what="the run has no task")
        assert task.state == "failed"
        assert (task.ended_at - task.started_at).total_seconds() < WITHIN_S

    def test_refuses_a_run_without_a_reason(self, airflow):
        with pytest.raises(PermanentError, match="reason"):
            airflow.trigger("agent_rollback", run_id="no-reason", conf={"agent": "nobody"})

    def test_starts_a_killed_router_again(self, settings):
        def router():
            return next(one for one in local.status(settings).programs if one.name == "router")

        killed = router().pid
        os.kill(killed, signal.SIGKILL)

        again = awaited(lambda: (now := router()).state == "ready" and now.pid != killed and now, what="no router")

        assert again.pid != killed


def trace_of(settings, trace_id):
    """Read a trace back from MLflow, once its root span is there; None before."""
    url = f"{settings.mlflow_url}/api/3.0/mlflow/traces/batchGet"
    found = httpx.get(url, params={"trace_ids": f"tr-{trace_id}"}, timeout=30).raise_for_status().json()
    traces = [trace for trace in found.get("traces", []) if trace["trace_info"]["state"] == "OK"]
    return traces[0] if traces else None


def ids_of(span):
    """Span id and parent id, as hexadecimal digits."""
    return tuple(base64.b64decode(span.get(name, "")).hex() for name in ("span_id", "parent_span_id"))


class TestTraces:
    def test_show_a_task_run_as_one_waterfall_under_the_ids_of_its_status(self, settings):
        env = {**os.environ, **settings.as_env()}
        question = "What is the default of max_active_runs_per_dag?"

        run = run_task(TaskRunSpec(agent_ref="airflow-helper", user_message=question), settings=settings, env=env)

        status = run.status
        trace = awaited(lambda: trace_of(settings, status.trace_id), what="the trace never came")
        root, *children = sorted(trace["spans"], key=lambda span: ids_of(span)[1] != "")
        assert (root["name"], ids_of(root)) == ("invoke_agent airflow-helper", (status.span_id, ""))
        assert {ids_of(span)[1] for span in children} == {status.span_id}
        assert {"preproc", "retrieval", "rerank", "postproc", "safety"} <= {span["name"] for span in children}
        assert [span["name"] for span in children if span["name"].startswith("chat ")] == ["chat standin-1"]
        used = trace["trace_info"]["trace_metadata"]["mlflow.trace.tokenUsage"]
        assert f'"input_tokens": {status.usage.tokens_in}, "output_tokens": {status.usage.tokens_out}' in used
        assert question not in str(trace)
        assert (status.output or "nothing") not in str(trace)

    def test_are_one_trace_though_two_processes_sent_them(self, settings):
        """An arm's spans come before the router's span, under which they belong."""
        trace_id, root_id = secrets.token_hex(16), secrets.token_hex(8)

        for span_id, parent in ((secrets.token_hex(8), root_id), (root_id, None)):
            sink = open_sink(settings, env={}, agent="airflow-helper")
            waterfall = Waterfall(
                stopwatch=time.perf_counter,
                new_id=secrets.token_hex,
                now_ns=time.time_ns,
                sink=sink,
                trace_id=trace_id,
                span_id=span_id,
                parent_span_id=parent,
            )
            waterfall.end(run_name("airflow-helper"))
            sink.close()
            assert sink.dropped == 0

        trace = awaited(lambda: trace_of(settings, trace_id), what="the trace never came")
        assert {ids_of(span)[1] for span in trace["spans"]} == {"", root_id}
