"""The router refuses who asks too often, and no arm is blamed for it."""

from functools import partial

from fastapi.testclient import TestClient

from goldgate.domain.rate_limit import Rate
from goldgate.serving.caller import hash_caller
from goldgate.serving.rate_limits import RouterRates
from goldgate.serving.router import RouterParts, create_router
from goldgate.serving.traffic_table import Route, Serving, Table
from goldgate.serving.watch import WatchHealth
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_request_log import InMemoryRequestLog
from tests.fakes.in_memory_sink import InMemorySink
from tests.fakes.scripted_arm_client import ScriptedArmClient
from tests.fakes.scripted_tracer import scripted_tracer

TRACE = "b" * 32
ROUTE = Route(agent="helper", champion="1", serving=Serving(version="1", address="http://one"))


class StillTraffic:
    """Always the same table."""

    table = Table(routes={"helper": ROUTE})
    health = WatchHealth()


class Desk:
    """A router that lets every caller ask twice, and whose time stands still unless a test moves it."""

    def __init__(self, rates: RouterRates, *, own: Rate | None = None) -> None:
        self.now_s = 0.0
        self.sink = InMemorySink()
        self.log = InMemoryRequestLog()
        self.arms = ScriptedArmClient()
        parts = RouterParts(
            traffic=StillTraffic(),
            client=self.arms,
            log=self.log,
            clock=FrozenClock(),
            monotonic_s=lambda: self.now_s,
            tracer=scripted_tracer(trace_id=TRACE, sink=self.sink),
            hash_caller=partial(hash_caller, key=b"key"),
            rates=rates,
            rate_of=lambda _agent, _version: own,
        )
        self.http = TestClient(create_router(parts))

    def ask(self, caller: str = "ann"):
        body = {"model": "helper", "messages": [{"role": "user", "content": "Why?"}], "user": caller}
        return self.http.post("/v1/chat/completions", json=body)


TWICE = RouterRates(caller=Rate(per_minute=6, burst=2))


class TestRouterRates:
    def test_are_told_as_openai_tells_them(self):
        desk = Desk(TWICE)
        desk.ask()
        desk.ask()

        refused = desk.ask()

        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "10"
        assert refused.headers["x-goldgate-trace-id"] == TRACE
        error = refused.json()["error"]
        assert (error["type"], error["code"], error["param"]) == ("rate_limit_error", "rate_limit_exceeded", None)
        assert "10 s" in error["message"]

    def test_have_their_place_in_the_trace(self):
        desk = Desk(TWICE)
        for _ in range(3):
            desk.ask()

        refused = desk.sink.spans[-1]

        assert (refused.name, refused.error) == ("POST /v1/chat/completions", "429")
        assert refused.attributes["goldgate.safety.flags"] == ["rate_limit"]
        assert refused.attributes["goldgate.safety.reasons"] == ["more requests than the limit of the caller"]

    def test_let_the_caller_ask_again_after_the_wait(self):
        desk = Desk(TWICE)
        codes = [desk.ask().status_code for _ in range(3)]

        desk.now_s = 10

        assert [*codes, desk.ask().status_code, desk.ask().status_code] == [200, 200, 429, 200, 429]

    def test_hold_one_caller_and_not_the_other(self):
        desk = Desk(TWICE)
        for _ in range(3):
            desk.ask("ann")

        assert desk.ask("bob").status_code == 200

    def test_are_the_agents_own_as_well(self):
        desk = Desk(RouterRates(caller=None), own=Rate(per_minute=60, burst=1))

        assert [desk.ask().status_code for _ in range(2)] == [200, 429]

    def test_are_logged_by_the_callers_hash_and_counted_as_their_own_kind(self):
        desk = Desk(TWICE)
        for _ in range(3):
            desk.ask()

        entry = desk.log.written[-1]
        assert (entry.error, entry.trace_id, entry.model) == ("rate_limit: caller", TRACE, "helper@1")
        assert entry.caller_hash == hash_caller("ann", key=b"key")
        figures = desk.http.get("/metrics").text
        assert 'goldgate_rate_limited_total{agent="helper",scope="caller"} 1' in figures
        assert 'goldgate_refused_total{reason="rate_limit_caller"} 1' in figures
        assert 'outcome="ok",version="1"} 2' in figures

    def test_ask_no_arm(self):
        desk = Desk(TWICE)
        for _ in range(5):
            desk.ask()

        assert len(desk.arms.asked) == 2

    def test_of_the_agent_hold_all_callers_together(self):
        desk = Desk(RouterRates(caller=None, agent=Rate(per_minute=1, burst=1)))

        assert [desk.ask(f"caller-{n}").status_code for n in range(2)] == [200, 429]
        assert desk.log.written[-1].error == "rate_limit: agent"
