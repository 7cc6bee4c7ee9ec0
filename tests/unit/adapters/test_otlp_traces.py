import itertools
import logging
import socket
import threading

import pytest

from goldgate.adapters.otlp_traces import OtlpOptions, OtlpSpanSink, OtlpTarget
from goldgate.agent.trace_names import SCHEMA_URL
from goldgate.domain.errors import TransientError
from goldgate.ports.traces import SpanRecord
from tests.fakes.scripted_collector import ScriptedCollector

TRACE = "0af7651916cd43dd8448eb211c80319c"
PATIENT = OtlpOptions(linger_s=0.01, send_within_s=60, close_within_s=60)
"""For what is to arrive, on a machine however busy."""

QUICK = OtlpOptions(linger_s=0.01, send_within_s=2, close_within_s=5)
"""For what is to be given up."""


def span(number: int = 1, **fields) -> SpanRecord:
    ids = {"trace_id": TRACE, "span_id": f"{number:016x}", "parent_span_id": "00f067aa0ba902b7"}
    return SpanRecord(**{**ids, "name": "preproc", "start_ns": 1_000, "end_ns": 3_000, **fields})


def sink_of(url: str, *, options: OtlpOptions = PATIENT, **headers: str) -> OtlpSpanSink:
    target = OtlpTarget(url=url, headers=headers)
    return OtlpSpanSink(lambda: target, resource={"service.name": "goldgate"}, schema_url=SCHEMA_URL, options=options)


def nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1/traces"


def attributes_of(sent) -> dict[str, object]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in sent.attributes}


class TestOtlpSpanSink:
    def test_sends_spans_as_they_were_recorded(self):
        with ScriptedCollector() as collector:
            sink = sink_of(collector.url, **{"x-key": "k"})
            sink.record(
                span(kind="client", attributes={"gen_ai.usage.input_tokens": 12, "goldgate.refused": True}, error="429")
            )
            sink.close()

        (sent,) = collector.spans
        assert (sent.trace_id.hex(), sent.span_id.hex(), sent.parent_span_id.hex()) == (
            TRACE,
            "0000000000000001",
            "00f067aa0ba902b7",
        )
        assert (sent.name, sent.kind, sent.start_time_unix_nano, sent.end_time_unix_nano) == (
            "preproc",
            3,
            1_000,
            3_000,
        )
        assert attributes_of(sent) == {
            "gen_ai.usage.input_tokens": 12,
            "goldgate.refused": True,
            "error.type": "429",
        }
        assert (sent.status.code, sent.status.message) == (2, "")
        assert collector.headers[0]["x-key"] == "k"
        assert sink.dropped == 0

    def test_names_the_conventions_and_the_process(self):
        with ScriptedCollector() as collector:
            sink = sink_of(collector.url)
            sink.record(span(parent_span_id=None))
            sink.close()

        (resource,) = collector.messages[0].resource_spans
        assert resource.schema_url == resource.scope_spans[0].schema_url == SCHEMA_URL
        assert attributes_of(resource.resource)["service.name"] == "goldgate"
        assert collector.spans[0].parent_span_id == b""
        assert collector.spans[0].status.code == 0

    def test_sends_spans_that_end_together_in_one_message(self):
        with ScriptedCollector() as collector:
            sink = sink_of(collector.url, options=OtlpOptions(linger_s=60, max_batch=5, close_within_s=60))
            for number in range(1, 6):
                sink.record(span(number))
            assert collector.was_asked.wait(10)
            sink.close()

        assert [len(collector.messages), len(collector.spans)] == [1, 5]

    def test_leaves_the_collector_alone_for_as_long_as_a_batch_took_it(self):
        hours = itertools.count(step=3600.0)
        with ScriptedCollector() as collector:
            sink = OtlpSpanSink(
                lambda: OtlpTarget(url=collector.url),
                resource={"service.name": "goldgate"},
                schema_url=SCHEMA_URL,
                options=PATIENT,
                monotonic_s=lambda: next(hours),
            )
            sink.record(span(1))
            assert collector.was_asked.wait(30)
            sink.record(span(2))
            threading.Event().wait(0.3)
            sent_at_once = len(collector.messages)
            sink.close()

        assert (sent_at_once, len(collector.messages)) == (1, 2)

    def test_sends_everything_when_it_is_closed(self):
        with ScriptedCollector() as collector:
            sink = sink_of(collector.url, options=OtlpOptions(linger_s=60, max_batch=7, close_within_s=60))
            for number in range(1, 101):
                sink.record(span(number))
            sink.close()

        assert {sent.span_id.hex() for sent in collector.spans} == {f"{number:016x}" for number in range(1, 101)}
        assert sink.dropped == 0

    def test_costs_nothing_and_loses_countedly_while_the_collector_hangs(self, caplog):
        """The queue is bounded, what finds no room is counted, and closing does not wait for the collector."""
        options = OtlpOptions(linger_s=0.01, max_queue=10, max_batch=5, send_within_s=30, close_within_s=0.05)
        with ScriptedCollector(status=None) as collector, caplog.at_level(logging.WARNING):
            sink = sink_of(collector.url, options=options)
            sink.record(span(1))
            assert collector.was_asked.wait(10)
            for number in range(2, 102):
                sink.record(span(number))
            dropped_while_open = sink.dropped
            sink.close()
            sink.record(span(102))

        assert dropped_while_open == 90
        assert sink.dropped == 102
        (told,) = [record for record in caplog.records if record.message == "traces.dropped"]
        assert (told.count, told.total) == (101, 101)  # type: ignore[attr-defined] # facts of the line

    @pytest.mark.parametrize("status", [400, 500])
    def test_counts_what_is_refused_and_goes_on(self, status, caplog):
        with ScriptedCollector(status=status) as collector, caplog.at_level(logging.WARNING):
            sink = sink_of(collector.url)
            sink.record(span(1))
            assert collector.was_asked.wait(10)
            _await(lambda: sink.dropped == 1)
            collector.status = 200
            sink.record(span(2))
            sink.close()

        assert sink.dropped == 1
        assert collector.spans[-1].span_id.hex() == f"{2:016x}"
        (told,) = [record for record in caplog.records if record.message == "traces.dropped"]
        assert str(status) in told.reason  # type: ignore[attr-defined] # as above

    def test_counts_what_nobody_takes(self):
        sink = sink_of(nobody(), options=OtlpOptions(linger_s=0.01, send_within_s=0.2, close_within_s=5))

        sink.record(span())
        sink.close()

        assert sink.dropped == 1

    def test_keeps_spans_until_it_is_known_where_they_go(self):
        answers = iter([TransientError("not yet")])
        with ScriptedCollector() as collector:

            def find() -> OtlpTarget:
                for error in answers:
                    raise error
                return OtlpTarget(url=collector.url)

            sink = OtlpSpanSink(find, resource={}, schema_url=SCHEMA_URL, options=PATIENT, first_wait_s=0.01)
            sink.record(span())
            assert collector.was_asked.wait(10)
            sink.close()

        assert (len(collector.spans), sink.dropped) == (1, 0)

    def test_ends_though_it_was_never_known_where_spans_go(self):
        def find() -> OtlpTarget:
            raise TransientError("away")

        sink = OtlpSpanSink(find, resource={}, schema_url=SCHEMA_URL, options=QUICK)
        sink.record(span())
        sink.close()

        assert sink.dropped == 1
        assert not sink._thread.is_alive()

    def test_loses_only_the_span_that_cannot_be_sent(self):
        """A name that a model made up may hold half a character, and a figure may be no figure."""
        with ScriptedCollector() as collector:
            sink = sink_of(collector.url)
            sink.record(span(1, trace_id="no id"))
            sink.record(
                span(
                    2, name="\ud800" * 999, attributes={"a": 2**70, "b": float("nan"), "c": "\ud800", "d": ["x" * 999]}
                )
            )
            sink.close()

        (sent,) = collector.spans
        assert len(sent.name) == 256
        assert attributes_of(sent)["a"] == str(2**70)
        assert sink.dropped == 1

    def test_holds_no_key_in_what_it_shows(self):
        assert "k-123" not in repr(OtlpTarget(url="http://c/v1/traces", headers={"authorization": "k-123"}))

    def test_takes_spans_of_many_threads(self):
        with ScriptedCollector() as collector:
            sink = sink_of(collector.url)

            def work(first: int) -> None:
                for number in range(first, first + 100):
                    sink.record(span(number))

            threads = [threading.Thread(target=work, args=(1 + 100 * n,)) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            sink.close()

        assert len(collector.spans) == 400


def _await(holds) -> None:
    for _ in range(1000):
        if holds():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came to hold")
