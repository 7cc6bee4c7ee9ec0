"""What happens to pods and runs, for an event loop: no thread waits for any of them.

An API server ends every watch now and then, and restarts: then everything is listed anew, after a pause. So nothing is
missed but what came and went in between.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final, cast

from httpx2 import Timeout
from lightkube import AsyncClient
from lightkube.generic_resource import create_namespaced_resource
from lightkube.operators import not_exists
from lightkube.resources.core_v1 import PodLog

from goldgate.adapters.cluster.connection import Cluster
from goldgate.adapters.cluster.failures import FAILURES, is_absent, refusal, status_code
from goldgate.adapters.cluster.log_lines import lines_of
from goldgate.adapters.cluster.pod_facts import CONTAINER, facts_of
from goldgate.adapters.cluster.pods import PodResource
from goldgate.contracts.cluster import GROUP, PODS_ANNOTATION, TENDED_LABEL, VERSION
from goldgate.domain.runs.limits import deadline_after
from goldgate.domain.runs.pods import PodFacts, PodPhase
from goldgate.domain.runs.state import Phase
from goldgate.ports.delivery import Clock
from goldgate.ports.pods import AppliedRun, LogLine, RunStands

_log = logging.getLogger(__name__)

_TaskRun: Final = create_namespaced_resource(GROUP, VERSION, "TaskRun", "taskruns")

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 10.0
_WATCH_S: Final = 300
"""After which the server ends a watch, so that one whose other end has silently gone is not waited for for ever."""

_SILENT_S: Final = _WATCH_S + 30.0
_ANSWER_S: Final = 10.0
_LONGEST_LOG_PAUSE_S: Final = 2.0
"""A pod may begin at any time, and is read from its beginning then."""

_NOT_STARTED: Final = 400
"""The server has no log of a container yet."""

_STAMP: Final = re.compile(r"(?P<whole>[^.]*?)(?:\.(?P<part>\d{1,9}))?(?P<zone>Z|[+-]\d\d:\d\d)")

Json = Mapping[str, Any]


class ClusterPodWatch:
    """Watches one namespace. Implements `goldgate.ports.pods.PodWatch`. For the event loop that it is made in."""

    def __init__(self, cluster: Cluster, *, clock: Clock, first_pause_s: float = _FIRST_PAUSE_S) -> None:
        """Open a client.

        Args:
            cluster: The namespace.
            clock: Tells how old pods are.
            first_pause_s: Before the second attempt; each further one waits longer.
        """
        self._client: AsyncClient = cluster.new_async_client()
        self._clock = clock
        self._first_pause_s = first_pause_s

    async def facts(self, pod: str) -> AsyncGenerator[PodFacts | None, None]:
        """Yield how a pod is."""
        last: Json | None = None
        is_first = True
        async with aclosing(self._objects(PodResource, fields={"metadata.name": pod})) as found:
            async for objects in found:
                now = next(iter(objects.values()), None)
                if is_first or now != last:
                    is_first, last = False, now
                    yield None if now is None else facts_of(now, now=self._clock.now())

    async def lines(self, pod: str, *, since: str | None) -> AsyncGenerator[LogLine, None]:
        """Yield what a pod says."""
        pause_s = self._first_pause_s
        while True:
            try:
                async with aclosing(self._said(pod, since=since)) as said:
                    async for line in said:
                        since, pause_s = line.stamp, self._first_pause_s
                        yield line
                if not await self._goes_on(pod):
                    return
            except FAILURES as error:
                if is_absent(error):
                    return
                if status_code(error) != _NOT_STARTED:
                    _log.warning("pod.log_failed", extra={"pod": pod, "error": str(error)})
                elif not await self._may_begin(pod):
                    return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_LOG_PAUSE_S)

    async def rest(self, pod: str, *, since: str | None) -> list[LogLine] | None:
        """Read what a pod said that has ended."""
        try:
            async with aclosing(self._said(pod, since=since, follow=False)) as said:
                return [line async for line in said]
        except FAILURES:
            return None

    async def stands(self, run: str) -> RunStands:
        """Tell how a run stands."""
        try:
            found = await self._client.get(_TaskRun, run)
        except FAILURES as error:
            if is_absent(error):
                return RunStands(is_over=True)
            raise refusal(error, doing=f"read TaskRun `{run}`") from error
        is_leaving = "deletionTimestamp" in found["metadata"]
        return RunStands(is_over=is_leaving or _phase(found).is_terminal, deadline=_deadline(found))

    async def untended(self) -> AsyncGenerator[AppliedRun, None]:
        """Yield runs that nobody tends."""
        known: set[str] = set()
        async with aclosing(self._objects(_TaskRun, labels={TENDED_LABEL: not_exists()})) as found:
            async for objects in found:
                known &= {_uid(each) for each in objects.values()}
                for name, each in sorted(objects.items()):
                    if is_untended(each) and _uid(each) not in known:
                        known.add(_uid(each))
                        yield AppliedRun(name=name, uid=_uid(each))

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.close()

    async def _objects(self, kind: Any, **selectors: Any) -> AsyncGenerator[dict[str, Json], None]:
        """Yield all objects that fit, by name, at once and after every change."""
        pause_s = self._first_pause_s
        while True:
            try:
                listed = self._client.list(kind, **selectors)
                objects: dict[str, Json] = {each["metadata"]["name"]: dict(each) async for each in listed}
                yield objects
                version = listed.resourceVersion
                watched = self._client.watch(kind, resource_version=version, server_timeout=_WATCH_S, **selectors)
                # It is one, and holds a connection.
                async with aclosing(cast("AsyncGenerator[tuple[str, Any], None]", watched)) as events:
                    while True:
                        # Not `wait_for`: in Python 3.11 it swallows a cancellation that comes together with an event,
                        # and whoever cancelled would wait for the next one.
                        async with asyncio.timeout(_SILENT_S):
                            what, each = await anext(events)
                        pause_s = self._first_pause_s
                        _change(objects, what, dict(each))
                        yield objects
            except TimeoutError:
                continue  # nothing happened, or nobody is there any more to tell it
            except FAILURES as error:
                _log.warning("cluster.watch_failed", extra={"kind": kind.__name__, "error": str(error)})
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)

    async def _said(self, pod: str, *, since: str | None, follow: bool = True) -> AsyncGenerator[LogLine, None]:
        known = None if since is None else _order(since)
        async with aclosing(self._log(pod, since=since, follow=follow)) as lines:
            async for line in lines:
                stamp, _, text = line.partition(" ")
                if _STAMP.fullmatch(stamp) and (known is None or _order(stamp) > known):
                    yield LogLine(stamp=stamp, text=text)

    async def _log(self, pod: str, *, since: str | None, follow: bool) -> AsyncGenerator[str, None]:
        """Read a log. lightkube 1.0.1 fails over a refusal: it reads that answer as if there were no event loop."""
        # The server keeps whole seconds of the stamp: what it says again of that second is left out by whoever asks.
        client: Any = self._client._client  # noqa: SLF001 - as above
        params = {"container": CONTAINER, "follow": follow, "timestamps": True, "sinceTime": since}
        asked = client.prepare_request("get", PodLog, name=pod, params=params)
        asked.timeout = Timeout(_ANSWER_S, read=None)
        answer = await client.send(client.build_adapter_request(asked), stream=True)
        try:
            if answer.is_error:
                await answer.aread()
            client.raise_for_status(answer)
            async with aclosing(lines_of(answer.aiter_bytes())) as lines:
                async for line in lines:
                    yield line
        finally:
            await answer.aclose()

    async def _goes_on(self, pod: str) -> bool:
        """Whether a log that came to its end may have more: its connection may have ended in good order."""
        facts = await self._look(pod)
        return facts is not None and facts.is_alive

    async def _may_begin(self, pod: str) -> bool:
        facts = await self._look(pod)
        return facts is not None and facts.phase in {PodPhase.PENDING, PodPhase.RUNNING}

    async def _look(self, pod: str) -> PodFacts | None:
        try:
            found = await self._client.get(PodResource, pod)
        except FAILURES as error:
            if is_absent(error):
                return None
            raise
        return facts_of(found, now=self._clock.now())


def untended_now(cluster: Cluster) -> list[AppliedRun]:
    """Name the runs of a namespace that nobody tends.

    Raises:
        TransientError: The API server cannot be reached.
    """
    try:
        found = list(cluster.client.list(_TaskRun, labels={TENDED_LABEL: not_exists()}))
    except FAILURES as error:
        raise refusal(error, doing="list every TaskRun") from error
    return [AppliedRun(name=each["metadata"]["name"], uid=_uid(each)) for each in found if is_untended(each)]


def is_untended(run: Json) -> bool:
    """Whether nobody has begun a run or counts its pods. What an agent asks of another is that agent's own."""
    annotations = run["metadata"].get("annotations") or {}
    is_below = bool((run.get("spec") or {}).get("depth"))
    is_leaving = "deletionTimestamp" in run["metadata"]
    return _phase(run) is Phase.INITIALIZING and PODS_ANNOTATION not in annotations and not is_below and not is_leaving


def _change(objects: dict[str, Json], what: str, each: Json) -> None:
    name = each["metadata"]["name"]
    if what == "DELETED":
        objects.pop(name, None)
    else:
        objects[name] = each


def _phase(run: Json) -> Phase:
    return Phase((run.get("status") or {}).get("phase") or Phase.INITIALIZING.value)


def _deadline(run: Json) -> datetime | None:
    born = run["metadata"].get("creationTimestamp")
    start = None if born is None else datetime.fromisoformat(born)
    return deadline_after(start, (run.get("spec") or {}).get("deadlineSeconds"))


def _uid(run: Json) -> str:
    return str(run["metadata"]["uid"])


def _order(stamp: str) -> tuple[datetime, int]:
    """Tell stamps apart that differ in nanoseconds, which a `datetime` does not hold."""
    parts = _STAMP.fullmatch(stamp)
    if parts is None:
        return datetime.fromisoformat(stamp), 0
    return datetime.fromisoformat(parts["whole"] + parts["zone"]), int((parts["part"] or "").ljust(9, "0"))
