from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from goldgate.serving.rate_limits import RouterRates
from goldgate.serving.router import RouterParts, create_router
from goldgate.serving.traffic_table import CanaryTraffic, Route, Serving, Table
from goldgate.serving.watch import WatchHealth
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_request_log import InMemoryRequestLog
from tests.fakes.in_memory_sink import InMemorySink
from tests.fakes.scripted_arm_client import ScriptedArmClient
from tests.fakes.scripted_tracer import scripted_tracer

TRACE, CALLERS_TRACE, CALLERS_SPAN = "c" * 32, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CHAMPION, CANARY = "http://champion", "http://canary"
QUESTION = {"model": "helper", "messages": [{"role": "user", "content": "secret question"}]}


class FixedTraffic:
    """Implements `goldgate.serving.watch.TrafficSource`."""

    def __init__(self, clock: FrozenClock, *, has_canary: bool, is_serving: bool) -> None:
        canary = CanaryTraffic(version="2", ratio=1.0, until=clock.now() + timedelta(seconds=20))
        route = Route(
            agent="helper",
            champion="1",
            serving=Serving(version="1", address=CHAMPION) if is_serving else None,
            canary=canary if has_canary else None,
            canary_address=CANARY if has_canary else None,
        )
        self.table = Table(routes={"helper": route}, release_ids={("helper", "2"): "r-2"})
        self.health = WatchHealth(looked_at=clock.now())


class Desk:
    def __init__(self, *, has_canary: bool = False, is_serving: bool = True, rates: RouterRates | None = None) -> None:
        clock = FrozenClock()
        self.arms, self.log, self.sink = ScriptedArmClient(), InMemoryRequestLog(), InMemorySink()
        parts = RouterParts(
            traffic=FixedTraffic(clock, has_canary=has_canary, is_serving=is_serving),
            client=self.arms,
            log=self.log,
            clock=clock,
            monotonic_s=lambda: 0.0,
            tracer=scripted_tracer(trace_id=TRACE, sink=self.sink),
            hash_caller=lambda _: "h",
            rates=rates or RouterRates(),
        )
        self.http = TestClient(create_router(parts))

    def ask(self, *, headers: dict[str, str] | None = None, **changes: object):
        return self.http.post("/v1/chat/completions", json={**QUESTION, **changes}, headers=headers)


class TestRequestTrace:
    def test_has_a_span_for_the_request_and_one_below_it_for_the_arm(self):
        desk = Desk()

        desk.ask()

        arm, request = desk.sink.spans
        assert (request.name, request.kind, request.parent_span_id, request.error) == (
            "POST /v1/chat/completions",
            "server",
            None,
            None,
        )
        assert (arm.name, arm.kind, arm.parent_span_id) == ("invoke_agent helper", "client", request.span_id)
        assert desk.arms.parents == [arm.span_id]
        assert {span.trace_id for span in desk.sink.spans} == {TRACE}
        assert request.attributes["http.response.status_code"] == 200
        assert arm.attributes["goldgate.arm"] == "champion"

    def test_goes_on_with_the_callers_trace(self):
        desk = Desk()

        answered = desk.ask(headers={"traceparent": f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01"})

        assert answered.headers["x-goldgate-trace-id"] == CALLERS_TRACE
        assert desk.sink.named("POST /v1/chat/completions").parent_span_id == CALLERS_SPAN
        assert desk.arms.asked[0][1].trace_id == CALLERS_TRACE
        assert desk.log.written[0].trace_id == CALLERS_TRACE

    def test_begins_its_own_when_the_callers_cannot_be_read(self):
        desk = Desk()

        answered = desk.ask(headers={"traceparent": "00-nonsense"})

        assert answered.headers["x-goldgate-trace-id"] == TRACE

    def test_shows_a_canary_that_failed_and_the_champion_that_answered(self):
        desk = Desk(has_canary=True)
        desk.arms.failing[CANARY] = "timeout"

        desk.ask()

        canary, champion, request = desk.sink.spans
        assert (canary.attributes["goldgate.arm"], canary.error) == ("canary", "timeout")
        assert canary.attributes["goldgate.release_id"] == "r-2"
        assert (champion.attributes["goldgate.arm"], champion.error) == ("champion", None)
        assert request.error is None

    def test_joins_every_line_of_the_log_of_one_request(self):
        """The span tells requests apart that a caller sends under one trace id."""
        desk = Desk(has_canary=True)
        desk.arms.failing[CANARY] = "timeout"

        for _ in range(2):
            desk.ask(headers={"traceparent": f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01"})

        first, second = (span for span in desk.sink.spans if span.kind == "server")
        assert [entry.span_id for entry in desk.log.written] == [
            first.span_id,
            first.span_id,
            second.span_id,
            second.span_id,
        ]

    @pytest.mark.parametrize(
        ("told", "status", "kind"),
        [
            ({"error": "timeout: model", "answer": ""}, 502, "timeout"),
            ({"error": "question: too long", "answer": ""}, 400, "question"),
        ],
    )
    def test_names_the_kind_of_an_answer_that_is_none(self, told, status, kind):
        desk = Desk()
        desk.arms.answers[CHAMPION] = told

        desk.ask()

        request = desk.sink.named("POST /v1/chat/completions")
        assert (request.attributes["http.response.status_code"], request.error) == (status, kind)

    def test_shows_and_logs_a_request_that_nobody_could_answer(self):
        desk = Desk(is_serving=False)

        assert desk.ask().status_code == 503
        assert desk.sink.named("POST /v1/chat/completions").error == "arm_unavailable"
        (entry,) = desk.log.written
        assert (entry.error, entry.model, entry.trace_id) == ("arm: unavailable", "helper@1", TRACE)

    def test_is_the_same_for_a_streamed_answer(self):
        desk = Desk()

        desk.ask(stream=True)

        assert [span.name for span in desk.sink.spans] == ["invoke_agent helper", "POST /v1/chat/completions"]
        assert desk.log.written[0].tokens_cached == 4

    def test_holds_nothing_that_was_asked_or_answered(self):
        desk = Desk()

        desk.ask(user="ada@example.org")

        assert "secret" not in repr(desk.sink.spans)
        assert "ada" not in repr(desk.sink.spans)
        assert "42" not in {str(value) for span in desk.sink.spans for value in span.attributes.values()}

    def test_is_not_begun_for_an_agent_that_is_not_there(self):
        """A name that a caller made up would make an experiment."""
        desk = Desk()

        desk.ask(model="nobody")

        assert desk.sink.spans == []

    def test_says_how_many_spans_were_lost(self):
        assert "goldgate_traces_dropped 0" in Desk().http.get("/metrics").text
