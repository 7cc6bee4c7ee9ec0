import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta

from fastapi.testclient import TestClient

from goldgate.contracts.prediction import PredictRequest, PredictResponse
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.serving.arm import create_arm
from tests.fakes.scripted_arm_client import response


def echo(request: PredictRequest) -> PredictResponse:
    return response(trace_id=request.trace_id, answer=request.question.upper())


def arm(predict, **changes) -> TestClient:
    return TestClient(create_arm(lambda request, **_: predict(request), agent="helper", version="7", **changes))


class TestArm:
    def test_answers_by_its_contract(self):
        answered = arm(echo).post("/predict", json={"question": "why", "trace_id": "a" * 32})

        assert answered.status_code == 200
        assert PredictResponse.model_validate_json(answered.content).answer == "WHY"

    def test_says_who_it_is(self):
        assert arm(echo).get("/healthz").json() == {"agent": "helper", "version": "7"}

    def test_refuses_what_breaks_the_contract(self):
        answered = arm(echo).post("/predict", json={"question": "why", "more": 1})

        assert answered.status_code == 400
        assert "`more`: found an unknown field" in answered.json()["error"]

    def test_passes_on_how_long_to_wait(self):
        def busy(_: PredictRequest) -> PredictResponse:
            raise TransientError("The model is busy.", retry_after=timedelta(seconds=2.5))

        answered = arm(busy).post("/predict", json={"question": "why"})

        assert (answered.status_code, answered.headers["retry-after"]) == (503, "3")

    def test_does_not_tell_callers_what_broke_inside(self, caplog):
        def broken(_: PredictRequest) -> PredictResponse:
            raise PermanentError("key=sk-123 is wrong")

        answered = arm(broken).post("/predict", json={"question": "why"})

        assert answered.status_code == 500
        assert "sk-123" not in answered.text
        assert [record.message for record in caplog.records if record.name.startswith("goldgate")] == [
            "arm.predict.failed"
        ]

    def test_refuses_more_than_its_threads_and_a_short_queue_can_take(self):
        release, begun = threading.Event(), threading.Semaphore(0)

        def slow(request: PredictRequest) -> PredictResponse:
            begun.release()
            release.wait(30)
            return echo(request)

        with arm(slow, max_threads=1) as client, ThreadPoolExecutor(6) as callers:
            asked = [callers.submit(client.post, "/predict", json={"question": "why"}) for _ in range(6)]
            assert begun.acquire(timeout=30)
            refused = next(as_completed(asked, timeout=30)).result()
            release.set()
            codes = sorted(one.result().status_code for one in asked)

        assert refused.status_code == 503
        assert codes == [200] * 5 + [503]


class TestTraceOfAnArm:
    """W3C Trace Context: the caller's trace goes on."""

    TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

    def asked(self, **question: str) -> tuple[str | None, str | None]:
        seen: list[tuple[str | None, str | None]] = []

        def predict(request: PredictRequest, *, parent_span_id: str | None) -> PredictResponse:
            seen.append((request.trace_id, parent_span_id))
            return response(trace_id=request.trace_id)

        http = TestClient(create_arm(predict, agent="helper", version="7"))
        headers = {"traceparent": f"00-{self.TRACE}-{self.SPAN}-01"}
        http.post("/predict", json={"question": "why", **question}, headers=headers).raise_for_status()
        return seen[0]

    def test_goes_on_below_the_span_of_the_question(self):
        assert self.asked(trace_id=self.TRACE) == (self.TRACE, self.SPAN)

    def test_takes_the_trace_of_who_calls_it_directly(self):
        assert self.asked() == (self.TRACE, self.SPAN)

    def test_takes_no_span_of_another_trace_for_its_parent(self):
        assert self.asked(trace_id="a" * 32) == ("a" * 32, None)

    def test_says_how_many_spans_were_lost(self):
        assert "goldgate_traces_dropped 3\n" in arm(echo, spans_dropped=lambda: 3).get("/metrics").text
