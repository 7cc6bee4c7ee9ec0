"""What every client of arms holds to. The real one is held to it against a real server."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse

from goldgate.adapters.http_arm import HttpArmClient
from goldgate.contracts.prediction import PredictRequest
from goldgate.ports.delivery import ArmClient, ArmFailedError
from tests.fakes.scripted_arm_client import ScriptedArmClient, response

REQUEST = PredictRequest(question="Why?", trace_id="a" * 32)


@dataclass
class Arms:
    """A client, and where each kind of arm is."""

    client: ArmClient
    good: str
    failing: dict[str, str]


def application() -> FastAPI:
    app = FastAPI()

    @app.post("/good/predict", response_model=None)
    async def good(body: dict[str, object]) -> Response:
        found = response(trace_id=str(body["trace_id"]))
        return Response(found.model_dump_json(), media_type="application/json")

    @app.post("/status/predict", response_model=None)
    async def status() -> Response:
        return Response(status_code=500)

    @app.post("/garbled/predict", response_model=None)
    async def garbled() -> Response:
        return Response('{"answer": 1}', media_type="application/json")

    @app.post("/timeout/predict", response_model=None)
    async def hang() -> Response:
        await asyncio.sleep(30)
        return Response()

    @app.post("/dripping/predict", response_model=None)
    async def drip() -> Response:
        async def drops() -> AsyncIterator[bytes]:
            for _ in range(600):
                yield b" "
                await asyncio.sleep(0.05)

        return StreamingResponse(drops(), media_type="application/json")

    return app


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(application(), log_config=None, lifespan="off", timeout_graceful_shutdown=0)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address that is bound, so that nobody else gets it, and not listened to."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def cutter() -> Iterator[str]:
    """Accepts, reads, and hangs up without a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def cut() -> None:
            accepted, _ = listener.accept()
            accepted.recv(65536)
            accepted.close()

        thread = threading.Thread(target=cut)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(timeout=30)


@pytest.fixture
def real(server, nobody) -> Arms:
    failing = {"refused": nobody, **{kind: f"{server}/{kind}" for kind in ("status", "garbled", "timeout")}}
    return Arms(HttpArmClient(), good=f"{server}/good", failing=failing)


@pytest.fixture
def scripted() -> Arms:
    client = ScriptedArmClient()
    client.failing = {f"http://{kind}": kind for kind in ("refused", "status", "garbled", "timeout")}
    return Arms(client, good="http://good", failing={kind: address for address, kind in client.failing.items()})


@pytest.fixture(params=["real", "scripted"])
def arms(request) -> Arms:
    return request.getfixturevalue(request.param)


def ask(client: ArmClient, address: str, *, within_s: float = 30):
    async def once():
        try:
            return await client.predict(address, REQUEST, within_s=within_s)
        finally:
            await client.close()

    return asyncio.run(once())


class TestArmClient:
    def test_brings_the_answer_back(self, arms):
        answer = ask(arms.client, arms.good)

        assert (answer.answer, answer.trace_id) == ("42", REQUEST.trace_id)

    @pytest.mark.parametrize("failure", ["refused", "status", "garbled", "timeout"])
    def test_tells_how_an_arm_failed(self, arms, failure):
        with pytest.raises(ArmFailedError) as caught:
            ask(arms.client, arms.failing[failure], within_s=0.2 if failure == "timeout" else 30)

        assert caught.value.failure == failure


class TestHttpArmClient:
    def test_tells_a_connection_that_broke(self, cutter):
        with pytest.raises(ArmFailedError) as caught:
            ask(HttpArmClient(), cutter)

        assert caught.value.failure == "broken"

    @pytest.mark.timeout(20)
    def test_waits_no_longer_for_an_arm_that_drips(self, server):
        with pytest.raises(ArmFailedError) as caught:
            ask(HttpArmClient(), f"{server}/dripping", within_s=0.5)

        assert caught.value.failure == "timeout"
