"""What every request log holds to, whatever keeps it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from goldgate.adapters.jsonl_request_log import JsonlRequestLog, JsonlRequestLogReader
from goldgate.ports.records import RequestLogReader, RequestLogWriter
from tests.fakes.in_memory_request_log import InMemoryRequestLog, request_log

START = datetime(2026, 3, 1, 23, 59, 50, tzinfo=UTC)


@dataclass(frozen=True)
class Kept:
    """Both ends of one log."""

    writer: RequestLogWriter
    reader: RequestLogReader


def jsonl(tmp_path: Any) -> Kept:
    return Kept(JsonlRequestLog(tmp_path), JsonlRequestLogReader(tmp_path))


def in_memory(_: Any) -> Kept:
    log = InMemoryRequestLog()
    return Kept(log, log)


@pytest.fixture(params=[jsonl, in_memory])
def kept(request, tmp_path):
    made: Callable[[Any], Kept] = request.param
    kept = made(tmp_path)
    yield kept
    kept.writer.close()


def entries(count: int, **changes: Any):
    return [request_log(START + timedelta(seconds=n), **changes) for n in range(count)]


class TestRequestLog:
    def test_gives_back_what_was_added_in_its_order(self, kept):
        """Twenty seconds, with midnight in the middle."""
        added = entries(20)
        for entry in added:
            kept.writer.add(entry)
        kept.writer.close()

        assert list(kept.reader.since("helper", START)) == added

    @pytest.mark.parametrize("skipped", [0, 1, 7, 10, 11, 19, 20])
    def test_begins_at_the_time_asked_for(self, kept, skipped):
        added = entries(20)
        for entry in added:
            kept.writer.add(entry)
        kept.writer.close()

        assert list(kept.reader.since("helper", START + timedelta(seconds=skipped))) == added[skipped:]

    def test_understands_other_time_zones(self, kept):
        for entry in entries(20):
            kept.writer.add(entry)
        kept.writer.close()
        elsewhere = (START + timedelta(seconds=15)).astimezone(timezone(timedelta(hours=9)))

        assert len(list(kept.reader.since("helper", elsewhere))) == 5

    def test_keeps_agents_apart(self, kept):
        [ours], [theirs] = entries(1), entries(1, agent="other", model="other@1")
        kept.writer.add(ours)
        kept.writer.add(theirs)
        kept.writer.close()

        assert list(kept.reader.since("other", START)) == [theirs]

    def test_is_empty_for_an_agent_that_was_never_asked(self, kept):
        assert list(kept.reader.since("nobody", START)) == []

    def test_has_lost_nothing_that_it_kept(self, kept):
        kept.writer.add(entries(1)[0])
        kept.writer.close()

        assert kept.reader.lost("helper", START) == 0

    def test_counts_what_comes_after_its_end(self, kept):
        kept.writer.close()

        kept.writer.add(entries(1)[0])

        assert kept.writer.dropped == 1

    def test_may_be_closed_twice(self, kept):
        kept.writer.close()
        kept.writer.close()

        assert kept.writer.dropped == 0
