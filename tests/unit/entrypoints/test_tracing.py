import subprocess
import sys

import pytest

from goldgate.adapters.otlp_traces import OtlpSpanSink
from goldgate.agent.trace import NoSink
from goldgate.entrypoints.settings import Settings, SettingsError
from goldgate.entrypoints.tracing import open_sink, read_headers, with_path
from goldgate.ports.traces import SpanRecord
from tests.fakes.scripted_collector import ScriptedCollector
from tests.fakes.scripted_web import ScriptedWeb, Told

SPAN = SpanRecord(
    trace_id="0af7651916cd43dd8448eb211c80319c",
    span_id="00f067aa0ba902b7",
    parent_span_id=None,
    name="invoke_agent helper",
    start_ns=1,
    end_ns=2,
)


class TestOpenSink:
    def test_sends_to_the_collector_that_is_named(self):
        with ScriptedCollector() as collector:
            env = {
                "GOLDGATE_OTLP_URL": collector.url.removesuffix("/v1/traces"),
                "GOLDGATE_OTLP_HEADERS": "x-key=a%20b",
            }
            sink = open_sink(Settings.from_env(env), env=env, agent="helper", attributes={"goldgate.version": "7"})
            sink.record(SPAN)
            sink.close()

        assert collector.paths == ["/v1/traces"]
        assert collector.headers[0]["x-key"] == "a b"
        told = {one.key: one.value.string_value for one in collector.messages[0].resource_spans[0].resource.attributes}
        assert (
            told.items() >= {"service.name": "goldgate", "gen_ai.agent.name": "helper", "goldgate.version": "7"}.items()
        )

    def test_finds_the_experiment_of_the_agent_in_mlflow_by_default(self):
        """The scripted server knows experiments only: that spans arrive is shown with a real one."""
        with ScriptedWeb(lambda _: Told(status=503)) as web:
            env = {"GOLDGATE_MLFLOW_URL": web.url, "MLFLOW_TRACKING_TOKEN": "k-1"}
            sink = open_sink(Settings.from_env(env), env=env, agent="helper")
            sink.record(SPAN)
            sink.close()

            assert web.asked[0].path.endswith("get-by-name?experiment_name=helper")
            assert web.asked[0].headers["authorization"] == "Bearer k-1"

    def test_drops_spans_when_it_is_told_to(self):
        settings = Settings.from_env({"GOLDGATE_OTLP_URL": "off"})

        assert isinstance(open_sink(settings, env={}, agent="helper"), NoSink)

    def test_passes_the_choice_on_to_child_processes(self):
        for told in ("off", "http://collector:4318"):
            assert Settings.from_env(Settings.from_env({"GOLDGATE_OTLP_URL": told}).as_env()).otlp_url == told

    def test_refuses_an_address_without_repeating_it(self):
        with pytest.raises(SettingsError, match="GOLDGATE_OTLP_URL") as refused:
            Settings.from_env({"GOLDGATE_OTLP_URL": "ftp://secret"})

        assert "secret" not in str(refused.value)

    def test_imports_no_sdk_before_the_first_span(self):
        """An agent's process has to start fast."""
        code = (
            "import sys; from goldgate.entrypoints.settings import Settings;"
            "from goldgate.entrypoints.tracing import open_sink;"
            "sink = open_sink(Settings.from_env({}), env={}, agent='helper'); sink.close();"
            "print([name for name in ('opentelemetry', 'requests', 'httpx', 'mlflow') if name in sys.modules])"
        )

        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

        assert said.stdout.strip() == "[]"

    def test_is_cheap_to_open_and_to_close_unused(self):
        sink = open_sink(Settings.from_env({}), env={}, agent="helper")
        sink.close()

        assert isinstance(sink, OtlpSpanSink)
        assert not sink._thread.is_alive()


class TestReadHeaders:
    def test_reads_what_opentelemetry_reads(self):
        assert read_headers("A=1, b = x%3Dy ,") == {"a": "1", "b": "x=y"}

    def test_refuses_what_is_no_pair_without_repeating_it(self):
        with pytest.raises(SettingsError, match="part 2") as refused:
            read_headers("a=1,secret")

        assert "secret" not in str(refused.value)


class TestWithPath:
    @pytest.mark.parametrize(
        ("url", "whole"),
        [
            ("http://c:4318", "http://c:4318/v1/traces"),
            ("http://c:4318/", "http://c:4318/v1/traces"),
            ("https://c/otlp/v1/traces?k=1", "https://c/otlp/v1/traces?k=1"),
        ],
    )
    def test_adds_the_path_of_the_protocol_where_there_is_none(self, url, whole):
        assert with_path(url) == whole
