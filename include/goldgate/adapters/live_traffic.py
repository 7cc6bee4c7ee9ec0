"""Live traffic for demonstrations: many callers ask an agent through the router, at a steady rate."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import httpx

_WITHIN_S: Final = 20.0
_THREADS: Final = 24
"""Enough for 50 requests a second at 400 ms each."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question as the router takes it."""

    question: str
    context: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class TrafficCount:
    """How requests went so far."""

    sent: int
    answered: int
    not_served: int
    """Told that nothing serves this agent (404, 503)."""
    failed: int
    by_version: dict[str, int]


class LiveTraffic:
    """Asks until it is stopped. The rate is kept however long answers take, as callers do not wait for each other.

    Args:
        router_url: Where to ask.
        agent: Whom to ask.
        questions: Asked in turn, for ever.
        per_second: Requests a second.
        callers: How many callers take turns.
    """

    def __init__(
        self, router_url: str, *, agent: str, questions: Sequence[Asked], per_second: float, callers: int
    ) -> None:
        self._agent = agent
        self._questions = questions
        self._gap_s = 1 / per_second
        self._callers = callers
        self._count: Counter[str] = Counter()
        self._versions: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._next = 0
        self._began_s = time.monotonic()
        limits = httpx.Limits(max_connections=_THREADS, max_keepalive_connections=_THREADS)
        self._client = httpx.Client(base_url=router_url, timeout=_WITHIN_S, limits=limits, trust_env=False)
        self._threads = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(_THREADS)]

    def start(self) -> None:
        """Begin."""
        self._began_s = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> TrafficCount:
        """End, and wait for the answers under way."""
        self._ending.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_WITHIN_S)
        self._client.close()
        return self.count()

    def count(self) -> TrafficCount:
        """How it went so far."""
        with self._lock:
            return TrafficCount(
                sent=self._count.total(),
                answered=self._count["answered"],
                not_served=self._count["not_served"],
                failed=self._count["failed"],
                by_version=dict(self._versions),
            )

    def _ask_on(self) -> None:
        while not self._ending.is_set():
            with self._lock:
                number = self._next
                self._next += 1
            due_s = self._began_s + number * self._gap_s
            if self._ending.wait(max(0.0, due_s - time.monotonic())):
                return
            outcome, version = self._ask(number)
            with self._lock:
                self._count[outcome] += 1
                if version:
                    self._versions[version] += 1

    def _ask(self, number: int) -> tuple[str, str | None]:
        asked = self._questions[number % len(self._questions)]
        # 7919 is prime: callers and questions do not fall into step.
        caller = f"caller-{number * 7919 % self._callers}"
        return ask(self._client, agent=self._agent, asked=asked, caller=caller)


def ask(client: httpx.Client, *, agent: str, asked: Asked, caller: str) -> tuple[str, str | None]:
    """Ask once.

    Returns:
        `answered`, `not_served` or `failed`; and the version that answered, if one did.
    """
    body = {
        "model": agent,
        "messages": [{"role": "user", "content": asked.question}],
        "context": list(asked.context),
    }
    try:
        got = client.post("/v1/chat/completions", json=body, headers={"x-goldgate-caller": caller})
    except httpx.HTTPError:
        return "failed", None
    if got.is_success:
        return "answered", got.headers.get("x-goldgate-version")
    nothing_there = {httpx.codes.NOT_FOUND, httpx.codes.SERVICE_UNAVAILABLE}
    return ("not_served" if got.status_code in nothing_there else "failed"), None


class VersionProbe:
    """Notes when the router first answers with a version, asking as fast as answers come.

    Args:
        router_url: Where to ask.
        agent: Whom to ask.
        asked: What.
        version: The version that is waited for.
    """

    def __init__(self, router_url: str, *, agent: str, asked: Asked, version: str) -> None:
        self._client = httpx.Client(base_url=router_url, timeout=_WITHIN_S, trust_env=False)
        self._agent = agent
        self._asked = asked
        self._version = version
        self._ending = threading.Event()
        self._seen_at: float | None = None
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def seen_at(self, *, within_s: float) -> float | None:
        """Unix time at which it was first seen, waiting for it if need be; None if it was not. Ends the probe."""
        self._thread.join(within_s)
        self._ending.set()
        self._thread.join(_WITHIN_S)
        self._client.close()
        return self._seen_at

    def _look_on(self) -> None:
        while not self._ending.is_set():
            _, version = ask(self._client, agent=self._agent, asked=self._asked, caller="probe")
            if version == self._version:
                self._seen_at = time.time()
                return
            self._ending.wait(0.01)
