"""What the ledger's file suffers, and what the ledger says of it."""

import json
import multiprocessing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goldgate.adapters.file_ledger import FileLedger, LedgerBrokenError
from goldgate.adapters.file_locks import FileLocks
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.sync_witness import SyncWitness


def ledger_in(folder: Path) -> FileLedger:
    return FileLedger(folder / "ledger.jsonl", clock=FrozenClock(), locks=FileLocks(folder / "locks"))


def filled(folder: Path, count: int = 4) -> tuple[FileLedger, Path]:
    ledger = ledger_in(folder)
    for number in range(count):
        add(ledger, f"o{number}")
    return ledger, folder / "ledger.jsonl"


def add(ledger: FileLedger, outcome: str) -> None:
    ledger.append(agent="a", release_id="r", step="open", outcome=outcome, by="me", evidence={})


def append_many(folder: Path, count: int) -> None:
    ledger = ledger_in(folder)
    for number in range(count):
        add(ledger, f"o{number}")


class TestFileLedger:
    def test_survives_being_opened_again(self, tmp_path: Path):
        ledger, _ = filled(tmp_path)

        add(ledger_in(tmp_path), "later")

        assert [entry.outcome for entry in ledger.entries()] == ["o0", "o1", "o2", "o3", "later"]
        assert ledger.verify() == []

    def test_has_an_entry_on_disk_before_its_head(self, tmp_path: Path):
        path, head = tmp_path / "ledger.jsonl", tmp_path / "head.json"
        synced = SyncWitness(head)
        ledger = FileLedger(path, clock=FrozenClock(), locks=FileLocks(tmp_path / "locks"), sync=synced)

        add(ledger, "one")
        first_size, first_head = path.stat().st_size, head.read_bytes()
        add(ledger, "two")

        assert synced.seen[:2] == [(f"file of {first_size} bytes", None), ("folder", None)]
        assert synced.seen[3:5] == [("folder", first_head), (f"file of {path.stat().st_size} bytes", first_head)]
        assert synced.seen[-1] == ("folder", head.read_bytes())

    def test_is_chained_by_several_processes_at_once(self, tmp_path: Path):
        context = multiprocessing.get_context("spawn")
        processes = [context.Process(target=append_many, args=(tmp_path, 10)) for _ in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()

        assert [process.exitcode for process in processes] == [0, 0]
        assert len(ledger_in(tmp_path).entries()) == 20
        assert ledger_in(tmp_path).verify() == []

    def test_reads_lines_longer_than_a_block(self, tmp_path: Path):
        ledger = ledger_in(tmp_path)
        for letter in "abc":
            ledger.append(agent="a", release_id="r", step="s", outcome="o", by="b", evidence={"long": letter * 100_000})

        assert ledger.verify() == []


class TestHalfWrittenLine:
    @given(cut=st.integers(min_value=1, max_value=300))
    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_is_told_then_taken_away_by_the_next_append(self, tmp_path: Path, cut: int):
        folder = tmp_path / str(cut)
        ledger, path = filled(folder)
        line = path.read_bytes().splitlines()[-1]
        with path.open("ab") as file:
            file.write(line[:cut])

        problems = ledger.verify()
        assert len(problems) == 1
        assert "Line 5 is half-written" in problems[0]
        assert len(ledger.entries()) == 4

        add(ledger, "after")
        assert ledger.verify() == []
        assert [entry.outcome for entry in ledger.entries()] == ["o0", "o1", "o2", "o3", "after"]

    def test_is_told_in_the_log_when_it_is_taken_away(self, tmp_path: Path, caplog: pytest.LogCaptureFixture):
        ledger, path = filled(tmp_path)
        with path.open("ab") as file:
            file.write(b'{"seq": 4')

        add(ledger, "after")

        assert [(record.message, record.cut_bytes) for record in caplog.records] == [("ledger.tail_repaired", 9)]

    def test_that_was_acknowledged_is_not_taken_away(self, tmp_path: Path):
        """Without its newline a good entry looks half-written, but the head knows it."""
        ledger, path = filled(tmp_path)
        path.write_bytes(path.read_bytes()[:-1])
        before = path.read_bytes()

        with pytest.raises(LedgerBrokenError, match="The end is missing"):
            add(ledger, "after")

        assert path.read_bytes() == before
        assert "it was acknowledged" in ledger.verify()[-1]
        assert not any("never acknowledged" in problem for problem in ledger.verify())


class TestCrashBetweenEntryAndHead:
    def test_is_no_problem_and_the_next_append_goes_on(self, tmp_path: Path):
        ledger, _ = filled(tmp_path)
        head = (tmp_path / "head.json").read_bytes()
        add(ledger, "acknowledged or not")
        (tmp_path / "head.json").write_bytes(head)

        assert ledger.verify() == []
        add(ledger, "after")
        assert ledger.verify() == []
        assert len(ledger.entries()) == 6

    def test_is_no_problem_at_the_first_entry(self, tmp_path: Path):
        ledger, _ = filled(tmp_path, count=1)
        (tmp_path / "head.json").unlink()

        assert ledger.verify() == []
        add(ledger, "after")
        assert ledger.verify() == []


class TestTampering:
    def test_with_the_last_entry_stops_the_next(self, tmp_path: Path):
        ledger, path = filled(tmp_path)
        path.write_text(path.read_text().replace('"o3"', '"xx"'))

        assert any("entry 3 was changed" in problem for problem in ledger.verify())
        with pytest.raises(LedgerBrokenError, match="nothing was added"):
            add(ledger, "after")

    def test_with_an_early_entry_is_told_and_stops_the_next(self, tmp_path: Path):
        ledger, path = filled(tmp_path)
        path.write_text(path.read_text().replace('"o1"', '"xx"'))
        before = path.read_bytes()

        assert any("Line 2: entry 1 was changed" in problem for problem in ledger.verify())
        with pytest.raises(LedgerBrokenError, match="Line 2: entry 1 was changed"):
            add(ledger, "after")
        assert path.read_bytes() == before

    @pytest.mark.parametrize("kept", [0, 1, 3])
    def test_by_cutting_the_end_off_is_told_and_stops_the_next(self, tmp_path: Path, kept: int):
        ledger, path = filled(tmp_path)
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:kept]))

        assert any("missing" in problem for problem in ledger.verify())
        with pytest.raises(LedgerBrokenError, match="missing"):
            add(ledger, "after")

    def test_by_deleting_the_head_is_told_and_stops_the_next(self, tmp_path: Path):
        ledger, _ = filled(tmp_path)
        (tmp_path / "head.json").unlink()

        assert any("not added by the ledger" in problem for problem in ledger.verify())
        with pytest.raises(LedgerBrokenError, match="not added by the ledger"):
            add(ledger, "after")

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"seq": "x", "hash": 1}'])
    def test_with_the_head_itself_is_told(self, tmp_path: Path, text: str):
        ledger, _ = filled(tmp_path)
        (tmp_path / "head.json").write_text(text)

        assert any("head.json" in problem for problem in ledger.verify())

    @pytest.mark.parametrize("line", ["", "not json", "{}", "[1]"])
    def test_by_a_line_that_is_no_entry_is_told_by_its_number(self, tmp_path: Path, line: str):
        ledger, path = filled(tmp_path)
        lines = path.read_text().splitlines()
        path.write_text("\n".join([lines[0], line, *lines[1:]]) + "\n")

        assert any("ledger.jsonl:2 is not an entry" in problem for problem in ledger.verify())
        with pytest.raises(LedgerBrokenError, match=r"ledger\.jsonl:2"):
            ledger.entries()

    def test_by_a_key_that_is_there_twice_is_told(self, tmp_path: Path):
        """The first of two keys is what a person reads, the last is what a program reads."""
        ledger, path = filled(tmp_path)
        first, rest = path.read_text().split("\n", 1)
        path.write_text('{"outcome":"forged",' + first[1:] + "\n" + rest)

        assert ledger.verify() == ["Line 1: entry 0 is not written the way the ledger writes."]

    def test_by_an_unknown_field_is_told(self, tmp_path: Path):
        ledger, path = filled(tmp_path, count=1)
        path.write_text(json.dumps({**json.loads(path.read_text()), "note": "x"}) + "\n")

        assert any("unknown field" in problem for problem in ledger.verify())
