"""Pods and applied runs as an event loop sees them, on a real API server."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import httpx2
import pytest
from lightkube import AsyncClient
from lightkube.config.client_adapter import verify_cluster

from goldgate.adapters.cluster.pod_watch import ClusterPodWatch, untended_now
from goldgate.contracts.cluster import TENDED_LABEL
from goldgate.entrypoints.pod_watch import PodFollower, Watched
from goldgate.ports.pods import AppliedRun
from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.pod_bench import SLEEPS, WITHIN_S, PodBench, benched
from tests.cluster.stores import emptied

SPEAKS = "import time\nfor n in range(20):\n    print('line', n, flush=True)\n    time.sleep(0.1)"


@pytest.fixture(scope="module")
def shared(shared_cluster: ClusterUnderTest) -> Iterator[PodBench]:
    with benched(shared_cluster) as bench:
        yield bench


@pytest.fixture
def bench(shared: PodBench) -> PodBench:
    emptied(shared.reached)
    return shared


@asynccontextmanager
async def watching(bench: PodBench) -> AsyncGenerator[ClusterPodWatch, None]:
    watch = ClusterPodWatch(bench.reached, clock=bench.clock, first_pause_s=0.05)
    try:
        yield watch
    finally:
        await watch.close()


def followed(
    bench: PodBench,
    name: str,
    pod: str,
    *,
    meanwhile: Callable[["Said"], Awaitable[None]] | None = None,
    since: str | None = None,
    look_every_s: float = 15.0,
) -> tuple[Watched, list[str]]:
    """Follow a pod until there is something to do, and do something meanwhile."""
    said = Said()

    async def follow() -> Watched:
        async with watching(bench) as watch:
            follower = PodFollower(
                watch=watch,
                run=name,
                pod=pod,
                policy=bench.launcher().policy,
                clock=bench.clock,
                say=said.append,
                log_until=since,
                look_every_s=look_every_s,
            )
            doing = asyncio.ensure_future(meanwhile(said) if meanwhile else asyncio.sleep(0))
            watched = await asyncio.wait_for(follower.follow(), WITHIN_S)
            await doing
            return watched

    return asyncio.run(follow()), said


class Said(list[str]):
    """What was said, and a way to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.something = asyncio.Event()

    def append(self, line: str) -> None:
        super().append(line)
        self.something.set()


class TestFollow:
    def test_says_all_that_a_pod_says_from_before_it_began_to_its_end(self, bench):
        name = bench.make()
        pod = bench.launcher(SPEAKS).tend(name).pod

        watched, said = followed(bench, name, pod)

        assert [line for line in said if line.startswith("line")] == [f"line {n}" for n in range(20)]
        assert watched.reason == f"Pod `{pod}`: Ended"

    def test_says_all_of_a_line_whatever_signs_are_in_it(self, bench):
        name = bench.make()
        shows = "print('10 %\\r20 %\\r', 'a\\u2028b', chr(27) + '[1m', flush=True)\nprint('x' * 100_000)\nprint('end')"
        pod = bench.launcher(shows).tend(name).pod

        _, said = followed(bench, name, pod)

        assert said[-3:] == ["10 %\r20 %\r a\u2028b \x1b[1m", "x" * 100_000, "end"]

    def test_says_nothing_twice_to_who_goes_on_where_another_stopped(self, bench):
        name = bench.make()
        pod = bench.launcher(SPEAKS).tend(name).pod
        _, first = followed(bench, name, pod)
        stamps = asyncio.run(self.stamps(bench, pod))

        _, rest = followed(bench, name, pod, since=stamps[9])

        assert len(first) == 20
        assert rest == [f"line {n}" for n in range(10, 20)]

    def test_can_be_asked_for_the_rest_of_what_has_ended_until_it_is_gone(self, bench):
        name = bench.make()
        pod = bench.launcher(SPEAKS).tend(name).pod
        followed(bench, name, pod)
        stamps = asyncio.run(self.stamps(bench, pod))

        rest = asyncio.run(self.rest(bench, pod, since=stamps[9]))
        bench.cluster.kubectl("delete", "pod", pod, "--wait=true")
        gone = asyncio.run(self.rest(bench, pod, since=stamps[9]))

        assert rest == [f"line {n}" for n in range(10, 20)]
        assert gone is None

    async def rest(self, bench: PodBench, pod: str, *, since: str) -> list[str] | None:
        async with watching(bench) as watch:
            found = await watch.rest(pod, since=since)
        return None if found is None else [line.text for line in found]

    async def stamps(self, bench: PodBench, pod: str) -> list[str]:
        async with watching(bench) as watch, aclosing(watch.lines(pod, since=None)) as lines:
            return [line.stamp async for line in lines]

    def test_tells_at_once_that_a_pod_was_deleted(self, bench):
        name = bench.make()
        pod = bench.running(bench.launcher("print('here', flush=True)\n" + SLEEPS), name)

        async def delete(said: Said) -> None:
            await said.something.wait()
            bench.cluster.kubectl("delete", "pod", pod, "--grace-period=0", "--force")

        watched, _ = followed(bench, name, pod, meanwhile=delete)

        assert watched.reason == f"Pod `{pod}` is not there."

    def test_says_what_keeps_a_pod_from_starting(self, bench):
        name = bench.make()
        pod = bench.launcher(image="localhost/nowhere:1").tend(name).pod

        async def delete(said: Said) -> None:
            await said.something.wait()
            bench.cluster.kubectl("delete", "pod", pod)

        _, said = followed(bench, name, pod, meanwhile=delete)

        assert "ErrImageNeverPull" in said[0]

    def test_tells_that_the_run_ended_elsewhere(self, bench):
        name = bench.make()
        pod = bench.running(bench.launcher(), name)

        async def end(_: Said) -> None:
            await asyncio.to_thread(bench.launcher().recorder.abandon, name, "not needed")

        watched, _ = followed(bench, name, pod, meanwhile=end, look_every_s=0.2)

        assert watched.reason == "The run is over."

    def test_outlives_the_end_of_its_connections(self, bench):
        """Every answer of the API server is cut off after a while, in the middle of a watch and of a log."""
        name = bench.make()
        cut = replace(bench, reached=replace(bench.reached, new_async_client=lambda: cutting(bench)))
        pod = bench.launcher(SPEAKS).tend(name).pod

        watched, said = followed(cut, name, pod)

        assert [line for line in said if line.startswith("line")] == [f"line {n}" for n in range(20)]
        assert watched.reason == f"Pod `{pod}`: Ended"


class Cut(httpx2.AsyncByteStream):
    """An answer that ends with its connection after so many pieces."""

    def __init__(self, stream: httpx2.AsyncByteStream, pieces: int) -> None:
        self._stream, self._pieces = stream, pieces

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        left = self._pieces
        async for piece in self._stream:
            if left == 0:
                raise httpx2.ReadError("cut")
            left -= 1
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


class CutTransport(httpx2.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await super().handle_async_request(request)
        if {"watch", "follow"} & set(request.url.params):
            answer.stream = Cut(answer.stream, 15)
        return answer


def cutting(bench: PodBench) -> AsyncClient:
    config = bench.reached.client.config
    context = verify_cluster(config.cluster, config.user, config.abs_file)
    return AsyncClient(config, namespace=bench.reached.namespace, transport=CutTransport(verify=context))


def applied(bench: PodBench, name: str, **metadata: object) -> None:
    spec = {"agentRef": "main", "userMessage": "Do it."}
    run = {
        "apiVersion": "goldgate.dev/v1alpha1",
        "kind": "TaskRun",
        "metadata": {"name": name, **metadata},
        "spec": {**spec, **({"depth": 1} if name == "below" else {})},
    }
    # As a program: a person who writes depth or label by hand is told that nobody would work on that.
    bench.cluster.kubectl("create", "--field-manager=tests", "-f", "-", stdin=json.dumps(run))


class TestUntended:
    def test_names_what_is_there_and_what_comes_each_once(self, bench):
        applied(bench, "before")
        applied(bench, "below")
        applied(bench, "mine", labels={TENDED_LABEL: "airflow"})

        found = asyncio.run(self.seen(bench, 3))

        assert [each.name for each in found] == ["before", "after", "before"]
        assert len({each.uid for each in found}) == 3

    async def seen(self, bench: PodBench, count: int) -> list[AppliedRun]:
        found: list[AppliedRun] = []
        async with watching(bench) as watch, aclosing(watch.untended()) as untended:
            async for each in untended:
                found.append(each)
                if len(found) == count:
                    return found
                await asyncio.to_thread(self.go_on, bench, len(found))
        raise AssertionError(found)

    def go_on(self, bench: PodBench, seen: int) -> None:
        if seen == 1:
            bench.launcher().tend("before")
            applied(bench, "after")
        else:
            bench.cluster.kubectl("delete", "taskrun", "before")
            applied(bench, "before")

    def test_forgets_what_somebody_tends(self, bench):
        applied(bench, "mine")
        applied(bench, "yours")
        bench.launcher().tend("mine")

        found = untended_now(bench.reached)

        assert [each.name for each in found] == ["yours"]
