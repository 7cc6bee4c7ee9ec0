import asyncio
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest
from fastapi.testclient import TestClient

from goldgate.contracts.prediction import Usage
from goldgate.ports.registry import CanaryTraffic
from goldgate.serving.caller import hash_caller
from goldgate.serving.router import Limits, RouterParts, create_router
from goldgate.serving.traffic_table import Route, Serving, Table
from goldgate.serving.watch import WatchHealth
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_request_log import InMemoryRequestLog
from tests.fakes.scripted_arm_client import ScriptedArmClient
from tests.fakes.scripted_tracer import scripted_tracer

TRACE = "b" * 32
CHAMPION, CANARY = "http://one", "http://two"
QUESTION = {"model": "helper", "messages": [{"role": "user", "content": "Why?"}]}


class FixedTraffic:
    """A table that a test lays down."""

    def __init__(self, clock: FrozenClock) -> None:
        self._clock = clock
        self.table = Table()
        self.health = WatchHealth(looked_at=clock.now())

    def serve(self, *, ratio: float | None = None, serving: bool = True, agent: str = "helper") -> None:
        until = self._clock.now() + timedelta(seconds=20)
        route = Route(
            agent=agent,
            champion="1",
            serving=Serving(version="1", address=CHAMPION) if serving else None,
            canary=None if ratio is None else CanaryTraffic(version="2", ratio=ratio, until=until),
            canary_address=None if ratio is None else CANARY,
        )
        self.table = Table(routes={**self.table.routes, agent: route}, release_ids={(agent, "1"): "r-1"})
        if serving:
            self.health = WatchHealth(looked_at=self._clock.now(), ready=frozenset({(agent, "1")}))


class Desk:
    """A router with everything around it in a test's hands."""

    def __init__(self, limits: Limits) -> None:
        self.clock = FrozenClock()
        self.traffic = FixedTraffic(self.clock)
        self.arms = ScriptedArmClient()
        self.log = InMemoryRequestLog()
        self.parts = RouterParts(
            traffic=self.traffic,
            client=self.arms,
            log=self.log,
            clock=self.clock,
            monotonic_s=iter(range(1000)).__next__,
            tracer=scripted_tracer(trace_id=TRACE),
            hash_caller=partial(hash_caller, key=b"key"),
            limits=limits,
        )
        self.http = TestClient(create_router(self.parts))

    def ask(self, **changes: object):
        return self.http.post("/v1/chat/completions", json={**QUESTION, **changes})


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk(Limits(max_body_bytes=2000))
    with desk.http:
        yield desk


class TestSlowCallers:
    def test_a_body_that_does_not_arrive_gives_its_place_back(self):
        desk = Desk(Limits(max_in_flight=1, body_within_s=0.01))
        desk.traffic.serve()

        statuses = [asyncio.run(half_a_request(desk)) for _ in range(2)]

        assert statuses == [(408, b"close"), (408, b"close")]
        assert desk.ask().status_code == 200


async def half_a_request(desk: Desk) -> tuple[int, bytes]:
    """Send the beginning of a body and then nothing, as a caller whose network died."""
    parts = iter([{"type": "http.request", "body": b"{", "more_body": True}])
    told: list[dict] = []

    async def receive() -> dict:
        if (part := next(parts, None)) is not None:
            return part
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict) -> None:
        told.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    await desk.http.app(scope, receive, send)
    return told[0]["status"], dict(told[0]["headers"])[b"connection"]


class TestChat:
    def test_is_answered_by_the_champion(self, desk):
        desk.traffic.serve()

        answered = desk.ask()

        assert answered.status_code == 200
        assert answered.json()["choices"][0]["message"]["content"] == "42"
        assert answered.headers["x-goldgate-version"] == "1"
        assert answered.headers["x-goldgate-arm"] == "champion"
        assert answered.headers["x-goldgate-trace-id"] == TRACE

    def test_is_logged_without_its_text(self, desk):
        desk.traffic.serve()

        desk.ask(user="ann@example.org", messages=[{"role": "user", "content": "My secret"}])

        [entry] = desk.log.written
        assert entry.at == desk.clock.now()
        assert (entry.agent, entry.arm, entry.model, entry.release_id) == ("helper", "champion", "helper@1", "r-1")
        assert (entry.tokens_in, entry.tokens_out, entry.tokens_cached, entry.cost_usd) == (10, 5, 4, 0.001)
        assert (entry.latency_ms_total, entry.latency_ms_llm) == (1000, 15)
        assert (entry.retriever_k, entry.context_use_rate, entry.trace_id) == (2, 0.5, TRACE)
        assert (entry.hit_at_k, entry.context_precision, entry.error) == (None, None, None)
        assert "secret" not in entry.model_dump_json()
        assert "ann" not in entry.model_dump_json()

    @pytest.mark.parametrize(
        ("unmeasured", "figures"), [([], (2, 0.5)), (["citations"], (2, None)), (["retrieved"], (None, None))]
    )
    def test_is_logged_with_what_the_agent_tells_of_retrieval_and_nothing_else(self, desk, unmeasured, figures):
        desk.traffic.serve()
        desk.arms.answers[CHAMPION] = {"unmeasured": unmeasured}

        desk.ask()

        [entry] = desk.log.written
        assert (entry.retriever_k, entry.context_use_rate) == figures

    @pytest.mark.parametrize("is_metered", [True, False])
    def test_is_logged_with_whether_its_cost_is_known(self, desk, is_metered):
        desk.traffic.serve()
        desk.arms.answers[CHAMPION] = {"usage": Usage(llm_calls=1, is_metered=is_metered)}

        desk.ask()

        assert [entry.is_metered for entry in desk.log.written] == [is_metered]

    def test_streams_when_asked_to(self, desk):
        desk.traffic.serve()

        answered = desk.ask(stream=True)

        assert answered.headers["content-type"].startswith("text/event-stream")
        assert answered.text.endswith("data: [DONE]\n\n")

    def test_says_which_parameters_it_ignored(self, desk):
        desk.traffic.serve()

        assert desk.ask(temperature=0, seed=1).headers["x-goldgate-ignored"] == "seed,temperature"

    @pytest.mark.parametrize("model", ["nobody", "new"])
    def test_of_an_agent_that_is_not_served_is_not_found(self, desk, model):
        """As OpenAI says it, so that its clients raise NotFoundError. `new` is registered and has no champion."""
        desk.traffic.table = Table(routes={"new": Route(agent="new", champion=None)})

        answered = desk.ask(model=model)

        assert answered.status_code == 404
        assert answered.json()["error"]["code"] == "model_not_found"
        assert answered.json()["error"]["type"] == "invalid_request_error"

    def test_that_is_no_question_is_refused(self, desk):
        answered = desk.ask(tools=[])

        assert answered.status_code == 400
        assert answered.json()["error"]["param"] == "tools"

    def test_that_is_too_large_is_refused(self, desk):
        assert desk.ask(messages=[{"role": "user", "content": "x" * 2000}]).status_code == 413

    def test_that_is_too_large_and_does_not_say_so_is_refused(self, desk):
        parts = (b"x" * 500 for _ in range(5))

        assert desk.http.post("/v1/chat/completions", content=parts).status_code == 413

    def test_is_refused_above_the_bound_in_flight(self):
        desk = Desk(Limits(max_in_flight=0))
        desk.traffic.serve()

        answered = desk.ask()

        assert answered.status_code == 429
        assert answered.headers["retry-after"] == "1"
        assert desk.arms.asked == []

    def test_gives_its_place_back_however_it_ends(self, desk):
        desk.ask(tools=[])
        desk.ask()

        assert desk.http.get("/status").json()["in_flight"] == 0


class TestCanary:
    def test_answers_its_share(self, desk):
        desk.traffic.serve(ratio=0.5)

        arms = [desk.ask(user=f"caller-{n}").headers["x-goldgate-arm"] for n in range(200)]

        assert 60 < arms.count("canary") < 140

    def test_answers_the_same_callers_each_time(self, desk):
        desk.traffic.serve(ratio=0.5)

        for n in range(20):
            assert len({desk.ask(user=f"caller-{n}").headers["x-goldgate-arm"] for _ in range(3)}) == 1

    def test_knows_a_caller_by_the_header_before_the_body(self, desk):
        desk.traffic.serve()

        for user in ("x", "y"):
            desk.http.post(
                "/v1/chat/completions", json={**QUESTION, "user": user}, headers={"x-goldgate-caller": "ann"}
            )

        assert {entry.caller_hash for entry in desk.log.written} == {hash_caller("ann", key=b"key")}

    @pytest.mark.parametrize("failure", ["refused", "timeout", "broken", "status", "garbled"])
    def test_that_fails_is_logged_and_the_champion_answers(self, desk, failure):
        desk.traffic.serve(ratio=1.0)
        desk.arms.failing[CANARY] = failure

        answered = desk.ask()

        assert answered.status_code == 200
        assert answered.headers["x-goldgate-arm"] == "champion"
        assert [(e.arm, e.model, e.error) for e in desk.log.written] == [
            ("canary", "helper@2", f"arm: {failure}"),
            ("champion", "helper@1", None),
        ]
        assert len({entry.trace_id for entry in desk.log.written}) == 1

    def test_whose_agent_has_no_proper_answer_leaves_the_caller_to_the_champion(self, desk):
        desk.traffic.serve(ratio=1.0)
        desk.arms.answers[CANARY] = {"error": "timeout", "answer": ""}

        answered = desk.ask()

        assert answered.headers["x-goldgate-arm"] == "champion"
        assert [entry.error for entry in desk.log.written] == ["timeout", None]

    def test_whose_lease_is_over_gets_no_request(self, desk):
        desk.traffic.serve(ratio=1.0)
        desk.clock.advance(timedelta(seconds=20))

        assert desk.ask().headers["x-goldgate-arm"] == "champion"


class TestChampion:
    def test_that_is_dead_is_told_with_a_time_to_try_again(self, desk):
        desk.traffic.serve()
        desk.arms.failing[CHAMPION] = "refused"

        answered = desk.ask()

        assert answered.status_code == 503
        assert answered.headers["retry-after"] == "1"
        assert answered.json()["error"]["code"] == "arm_unavailable"
        assert [entry.error for entry in desk.log.written] == ["arm: refused"]

    def test_that_was_never_ready_is_told_as_well(self, desk):
        desk.traffic.serve(serving=False)

        assert desk.ask().status_code == 503

    def test_without_a_proper_answer_is_a_bad_gateway(self, desk):
        desk.traffic.serve()
        desk.arms.answers[CHAMPION] = {"error": "max_steps", "answer": " "}

        answered = desk.ask()

        assert answered.status_code == 502
        assert answered.headers["x-goldgate-error"] == "max_steps"

    def test_that_refuses_the_question_says_why_to_its_caller(self, desk):
        desk.traffic.serve(ratio=1.0)
        told = "question: found 9 characters with its attachments; expected at most 8"
        desk.arms.answers[CHAMPION] = desk.arms.answers[CANARY] = {"error": told, "answer": ""}

        answered = desk.ask()

        assert answered.status_code == 400
        assert answered.json()["error"] == {
            "message": told,
            "type": "invalid_request_error",
            "param": "messages",
            "code": "question_refused",
        }
        assert [(entry.arm, entry.error) for entry in desk.log.written] == [("canary", told), ("champion", told)]
        assert 'arm="champion",outcome="question_refused"' in desk.http.get("/metrics").text

    def test_that_says_something_in_spite_of_an_error_is_heard(self, desk):
        desk.traffic.serve()
        desk.arms.answers[CHAMPION] = {"error": "tool: ü\r\nx-evil: 1", "answer": "Perhaps 42."}

        answered = desk.ask()

        assert answered.status_code == 200
        assert answered.headers["x-goldgate-error"] == "tool"
        assert "x-evil" not in answered.headers

    @pytest.mark.parametrize(
        ("error", "told"), [("model: who is sk-live-1?", "model"), ("sk-live-1 is no key", "other")]
    )
    def test_tells_the_caller_the_kind_of_an_error_only(self, desk, error, told):
        desk.traffic.serve()
        desk.arms.answers[CHAMPION] = {"error": error, "answer": ""}

        answered = desk.ask()

        assert answered.headers["x-goldgate-error"] == told
        assert "sk-live-1" not in f"{answered.headers}{answered.text}"

    def test_error_is_cut_before_it_is_logged(self, desk):
        desk.traffic.serve()
        desk.arms.answers[CHAMPION] = {"error": "model: " + "x" * 1000}

        desk.ask()

        assert len(desk.log.written[0].error) == 200


class TestViews:
    def test_list_the_agents_that_have_a_champion(self, desk):
        desk.traffic.serve()
        desk.traffic.serve(agent="another", serving=False)

        listed = desk.http.get("/v1/models").json()

        assert [model["id"] for model in listed["data"]] == ["another", "helper"]

    def test_are_ready_when_some_champion_is(self, desk):
        assert desk.http.get("/healthz").status_code == 200
        assert desk.http.get("/readyz").status_code == 503

        desk.traffic.serve()

        assert desk.http.get("/readyz").json() == {"ready": ["helper"]}

    def test_tell_the_state_of_traffic(self, desk):
        desk.traffic.serve(ratio=0.05)
        desk.clock.advance(timedelta(seconds=3))

        status = desk.http.get("/status").json()

        assert status["agents"]["helper"] == {
            "champion": "1",
            "champion_ready": True,
            "serving": "1",
            "is_following": True,
            "previous": None,
            "previous_ready": False,
            "canary": {
                "version": "2",
                "ratio": 0.05,
                "until": "2026-03-01T12:00:20+00:00",
                "ready": False,
                "takes_traffic": True,
            },
        }
        assert status["registry"] == {"age_s": 3.0, "problem": None}
        assert status["request_log"] == {"dropped": 0}

    def test_give_figures_to_prometheus(self, desk):
        desk.traffic.serve(ratio=1.0)
        desk.arms.answers[CANARY] = {"safety_flags": ["out_of_domain"]}
        desk.ask()

        text = desk.http.get("/metrics").text

        labels = 'agent="helper",arm="canary"'
        assert f'goldgate_requests_total{{{labels},outcome="ok",version="2"}} 1\n' in text
        assert f'goldgate_tokens_total{{{labels},direction="in",version="2"}} 10\n' in text
        assert f'goldgate_safety_blocks_total{{{labels},flag="out_of_domain",version="2"}} 1\n' in text
        assert 'goldgate_canary_ratio{agent="helper"} 1.0\n' in text
        assert 'goldgate_serving{agent="helper",version="1"} 1.0\n' in text

    def test_end_with_the_client_closed(self):
        desk = Desk(Limits())

        with desk.http:
            assert not desk.arms.is_closed

        assert desk.arms.is_closed
