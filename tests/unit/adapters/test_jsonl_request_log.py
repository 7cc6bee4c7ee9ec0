import json
import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from goldgate.adapters.jsonl_request_log import JsonlRequestLog, JsonlRequestLogReader, prune
from goldgate.contracts.request_log import RequestLog
from tests.fakes.in_memory_request_log import request_log

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FILE = "helper/2026-03-01.jsonl"


def write(folder, *entries):
    log = JsonlRequestLog(folder)
    for entry in entries:
        log.add(entry)
    log.close()
    return log


def read(folder, start=START):
    return list(JsonlRequestLogReader(folder).since("helper", start))


class TestJsonlRequestLog:
    def test_writes_the_names_of_the_playbook(self, tmp_path):
        write(tmp_path, request_log(START))

        line = json.loads((tmp_path / FILE).read_text())

        assert {"model_id@version", "prompt_id@version", "hit@k", "retriever_k", "cost_usd"} <= line.keys()

    def test_drops_and_counts_what_the_queue_cannot_take(self, tmp_path):
        is_held, may_go_on = threading.Event(), threading.Event()

        class HoldingUp(RequestLog):
            """Keeps the writer busy until it may go on."""

            def model_dump_json(self, **options: Any) -> str:
                is_held.set()
                may_go_on.wait(30)
                return super().model_dump_json(**options)

        log = JsonlRequestLog(tmp_path, max_queue=2)
        log.add(HoldingUp.model_validate(request_log(START).model_dump()))
        assert is_held.wait(30)

        for _ in range(10):
            log.add(request_log(START))

        assert log.dropped == 8
        may_go_on.set()
        log.close()
        assert len(read(tmp_path)) == 3
        assert JsonlRequestLogReader(tmp_path).lost("helper", START) == 8

    def test_counts_what_the_disk_refuses(self, tmp_path):
        (tmp_path / "helper").write_text("in the way")
        log = JsonlRequestLog(tmp_path)

        for _ in range(100):
            log.add(request_log(START))
        log.close()

        assert log.dropped == 100

    def test_notes_what_was_lost_when_it_can_write_again(self, tmp_path):
        """By itself: no further request need come."""
        (tmp_path / "helper").write_text("in the way")
        log, reader = JsonlRequestLog(tmp_path), JsonlRequestLogReader(tmp_path)
        for seconds in (0, 10):
            log.add(request_log(START + timedelta(seconds=seconds)))
        until = time.monotonic() + 30
        while log.dropped < 2 and time.monotonic() < until:
            time.sleep(0.001)

        (tmp_path / "helper").unlink()

        while not (tmp_path / "helper" / "dropped.jsonl").exists() and time.monotonic() < until:
            time.sleep(0.01)
        log.close()
        assert reader.lost("helper", START) == 2
        assert reader.lost("helper", START + timedelta(minutes=1)) == 0
        assert reader.lost("other", START) == 0

    def test_takes_a_note_that_it_cannot_read_for_a_loss(self, tmp_path):
        (tmp_path / "helper").mkdir()
        (tmp_path / "helper" / "dropped.jsonl").write_text('{"last_at": "20')

        assert JsonlRequestLogReader(tmp_path).lost("helper", START) == 1

    def test_goes_on_after_a_disk_that_refused(self, tmp_path, caplog):
        (tmp_path / "helper").write_text("in the way")
        write(tmp_path, request_log(START))
        (tmp_path / "helper").unlink()

        log = write(tmp_path, request_log(START))

        assert log.dropped == 0
        assert len(read(tmp_path)) == 1
        assert "request_log.dropped" in {record.message for record in caplog.records}

    def test_never_writes_outside_its_folder(self, tmp_path):
        log = write(tmp_path / "log", request_log(START, agent="../../evil"))

        assert log.dropped == 1
        assert list(tmp_path.rglob("*.jsonl")) == []

    def test_loses_only_the_line_that_a_crash_cut(self, tmp_path, caplog):
        first, second = request_log(START), request_log(START + timedelta(seconds=1))
        write(tmp_path, first)
        with (tmp_path / FILE).open("ab") as file:
            file.write(b'{"at": "2026')

        write(tmp_path, second)

        with caplog.at_level(logging.WARNING):
            assert read(tmp_path) == [first, second]
        assert [record.message for record in caplog.records] == ["request_log.unreadable_line"]


class TestJsonlRequestLogReader:
    def test_leaves_a_line_that_is_still_being_written(self, tmp_path, caplog):
        write(tmp_path, request_log(START))
        with (tmp_path / FILE).open("ab") as file:
            file.write(b'{"at": "2026')

        assert len(read(tmp_path)) == 1
        assert caplog.records == []

    @given(
        jumps_s=st.lists(st.floats(-4, 30), max_size=40),
        start_s=st.floats(-10, 300),
        torn=st.sets(st.integers(0, 40)),
    )
    def test_finds_all_and_only_what_it_must(self, tmp_path_factory, jumps_s, start_s, torn):
        """Whatever the gaps, with a clock that goes back a little, and with torn lines in between."""
        folder = tmp_path_factory.mktemp("log")
        (folder / "helper").mkdir()
        at, entries, lines = START, [], []
        latest = START
        for number, jump_s in enumerate(jumps_s):
            at = max(at + timedelta(seconds=jump_s), latest - timedelta(seconds=4))
            latest = max(latest, at)
            entries.append(request_log(at, trace_id=f"{number:032x}"))
            if number in torn:
                lines.append(b'{"torn": \n')
            lines.append(entries[-1].model_dump_json().encode() + b"\n")
        (folder / FILE).write_bytes(b"".join(lines))
        start = START + timedelta(seconds=start_s)

        assert read(folder, start) == [entry for entry in entries if entry.at >= start]


class TestPrune:
    def test_removes_whole_days_that_are_too_old(self, tmp_path):
        for days in (0, 1, 29, 30, 31, 400):
            write(tmp_path, request_log(START - timedelta(days=days)))
        (tmp_path / "helper" / "notes.jsonl").write_text("not a day")
        (tmp_path / "helper" / "2026-99-99.jsonl").write_text("not a day")

        removed = prune(tmp_path, older_than=timedelta(days=30), now=START)

        assert sorted(path.name for path in removed) == ["2025-01-25.jsonl", "2026-01-29.jsonl"]
        assert len(list((tmp_path / "helper").iterdir())) == 6

    def test_finds_nothing_where_nothing_was_logged(self, tmp_path):
        assert prune(tmp_path / "none", older_than=timedelta(days=1), now=START) == []
