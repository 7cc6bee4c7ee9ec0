"""Whoever stops following a pod is let go at once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from goldgate.adapters.cluster.pod_watch import ClusterPodWatch
from goldgate.ports.pods import RunStands
from tests.fakes.frozen_clock import FrozenClock

POD = {"metadata": {"name": "p", "creationTimestamp": datetime(2026, 1, 1, tzinfo=UTC).isoformat()}, "status": {}}


class Listed:
    """What a list of one pod gives."""

    resourceVersion = "1"  # noqa: N815 - as lightkube names it

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        yield POD


class OneEvent:
    """A client whose watch tells of one change, when it may, and then of nothing."""

    def __init__(self) -> None:
        self.may_tell = asyncio.Event()

    def list(self, *_: object, **__: object) -> Listed:
        return Listed()

    async def watch(self, *_: object, **__: object) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        await self.may_tell.wait()
        yield "MODIFIED", {**POD, "status": {"phase": "Running"}}
        await asyncio.Event().wait()


class TestFacts:
    def test_are_no_longer_followed_by_whoever_is_cancelled_as_a_change_comes(self):
        async def is_let_go(turns: int) -> bool:
            client = OneEvent()
            watch = ClusterPodWatch(SimpleNamespace(new_async_client=lambda: client), clock=FrozenClock())

            async def follow() -> None:
                async for _ in watch.facts("p"):
                    pass

            following = asyncio.ensure_future(follow())
            for _ in range(20):
                await asyncio.sleep(0)
            client.may_tell.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            following.cancel()
            for _ in range(20):
                await asyncio.sleep(0)
            return following.done()

        assert [asyncio.run(is_let_go(turns)) for turns in range(6)] == [True] * 6


class OneRun:
    """A client that reads one run."""

    def __init__(self, run: dict[str, Any]) -> None:
        self.run = run

    async def get(self, *_: object) -> dict[str, Any]:
        return self.run


class TestStands:
    @pytest.mark.parametrize("status", [{}, {"startTime": "2026-01-01T00:05:00Z"}])
    def test_counts_the_time_of_a_run_from_its_creation_begun_or_not(self, status: dict[str, str]):
        metadata = {"name": "r", "creationTimestamp": "2026-01-01T00:00:00Z"}
        client = OneRun({"metadata": metadata, "spec": {"deadlineSeconds": 60}, "status": status})
        watch = ClusterPodWatch(SimpleNamespace(new_async_client=lambda: client), clock=FrozenClock())

        stands = asyncio.run(watch.stands("r"))

        assert stands == RunStands(deadline=datetime(2026, 1, 1, 0, 1, tzinfo=UTC))
