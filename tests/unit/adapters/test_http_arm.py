import asyncio

from goldgate.adapters.http_arm import HttpArmClient
from goldgate.contracts.prediction import PredictRequest
from tests.fakes.scripted_arm_client import response
from tests.fakes.scripted_web import ScriptedWeb, Told

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def traceparent_of(request: PredictRequest, **under: str) -> str | None:
    """Ask an arm once, and return the header that it got."""

    async def ask(url: str) -> None:
        client = HttpArmClient()
        await client.predict(url, request, within_s=5, **under)  # type: ignore[arg-type] # one optional text
        await client.close()

    with ScriptedWeb(lambda _: Told(body=response(trace_id=TRACE).model_dump(mode="json"))) as web:
        asyncio.run(ask(web.url))
        return web.asked[0].headers.get("traceparent")


class TestHttpArmClient:
    def test_hands_on_the_span_of_the_question(self):
        assert traceparent_of(PredictRequest(question="Why?", trace_id=TRACE), parent_span_id=SPAN) == (
            f"00-{TRACE}-{SPAN}-01"
        )

    def test_says_nothing_of_a_trace_that_is_none(self):
        assert traceparent_of(PredictRequest(question="Why?", trace_id=TRACE)) is None
        assert traceparent_of(PredictRequest(question="Why?"), parent_span_id=SPAN) is None
