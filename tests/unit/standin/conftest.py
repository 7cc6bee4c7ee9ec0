"""A stand-in that really serves, and the real client that asks it."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import openai
import pytest
import uvicorn

from goldgate.standin.server import create_app
from goldgate.standin.settings import StandinSettings

NOW_S = 1_700_000_000


@dataclass
class FrozenSleep:
    """Waits for nothing, and remembers how long it should have."""

    slept_s: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        """Return at once."""
        self.slept_s.append(seconds)


@dataclass(frozen=True, kw_only=True)
class RunningStandin:
    """A server, and clients of it."""

    url: str
    sleep: FrozenSleep
    client: openai.OpenAI
    http: httpx.Client

    def set_faults(self, **settings: float) -> httpx.Response:
        """Replace settings."""
        return self.http.put("/admin/faults", json=settings)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningStandin]:
    """One server for all tests of a module."""
    sleep = FrozenSleep()
    app = create_app(StandinSettings(), sleep=sleep, clock=lambda: NOW_S)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=2))
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        stack.callback(thread.join)
        stack.callback(setattr, server, "should_exit", True)
        client = stack.enter_context(openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0))
        http = stack.enter_context(httpx.Client(base_url=url))
        yield RunningStandin(url=url, sleep=sleep, client=client, http=http)


@pytest.fixture
def standin(running: RunningStandin) -> RunningStandin:
    """The running stand-in, as it was when it started."""
    running.set_faults().raise_for_status()
    running.sleep.slept_s.clear()
    return running
