"""What steps share: the ledger is written once, and a failure keeps its reason."""

import pytest

from goldgate.domain.errors import PermanentError, TransientError
from goldgate.release.records import failure_noted, find_entry, note_once, reason_of
from tests.fakes.release_desk import ReleaseDesk


def fail(desk: ReleaseDesk, reason: str) -> None:
    with pytest.raises(PermanentError, match=reason), failure_noted(desk.ledger, desk.order(), step="check"):
        raise PermanentError(reason)


class TestNoteOnce:
    def test_adds_an_outcome_once_for_each_release(self):
        desk = ReleaseDesk()
        for release_id in ("r1", "r1", "r2"):
            note_once(desk.ledger, desk.order(release_id), step="check", outcome="sound", evidence={})

        assert [entry.release_id for entry in desk.ledger.entries()] == ["r1", "r2"]


class TestFailureNoted:
    def test_keeps_the_last_reason_and_each_reason_once(self):
        desk = ReleaseDesk()
        for reason in ("one", "one", "two"):
            fail(desk, reason)

        assert [reason_of(entry) for entry in desk.ledger.entries()] == ["one", "two"]
        last = find_entry(desk.ledger, desk.order(), step="check", outcome="failed")
        assert last is not None
        assert reason_of(last) == "two"

    def test_does_not_note_what_may_pass(self):
        desk = ReleaseDesk()
        with pytest.raises(TransientError), failure_noted(desk.ledger, desk.order(), step="check"):
            raise TransientError("later")

        assert desk.ledger.entries() == []

    def test_cuts_a_reason_that_is_too_long(self):
        desk = ReleaseDesk()
        fail(desk, "x" * 5000)

        assert len(reason_of(desk.ledger.entries()[0])) == 1000
