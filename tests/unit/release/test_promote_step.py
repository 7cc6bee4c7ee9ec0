"""The alias moves once for a release, only on evidence, and only from the champion that was judged against."""

import threading
from pathlib import Path

import pytest

from goldgate.adapters.file_ledger import FileLedger
from goldgate.adapters.file_locks import FileLocks
from goldgate.adapters.file_release_store import FileReleaseStore
from goldgate.contracts.release import CanaryRecord, Promotion
from goldgate.domain.verdict import Verdict
from goldgate.ports.records import Ledger, Locks, ReleaseStore
from goldgate.ports.registry import Registry
from goldgate.release.promote import promote
from goldgate.release.records import StepMissingError
from goldgate.release.rollback import rollback
from tests.fakes.failing_port import Countdown, FailingPort, KilledError
from tests.fakes.meeting_ledger import MeetingLedger
from tests.fakes.release_desk import ReleaseDesk


def run(
    desk: ReleaseDesk,
    release_id: str = "r1",
    *,
    registry: Registry | None = None,
    store: ReleaseStore | None = None,
    ledger: Ledger | None = None,
    locks: Locks | None = None,
) -> Promotion:
    return promote(
        release_id,
        registry=registry or desk.registry,
        store=store or desk.store,
        ledger=ledger or desk.ledger,
        clock=desk.clock,
        locks=locks or desk.locks,
    )


class TestPromote:
    def test_makes_the_first_champion(self):
        desk = ReleaseDesk()
        version = desk.ready()

        promotion = run(desk)

        assert (promotion.outcome, promotion.version, promotion.previous) == ("promoted", version, None)
        assert desk.registry.traffic("a").champion == version
        assert desk.ledger.story() == [("promote", "intent"), ("promote", "promoted")]

    def test_follows_the_champion_that_was_judged_against(self):
        desk = ReleaseDesk()
        desk.registry.add("a", "1", champion=True)
        version = desk.ready(champion="1")

        promotion = run(desk)

        assert (promotion.outcome, promotion.previous) == ("promoted", "1")
        assert desk.registry.moves == [("a", "1", version)]

    def test_reports_the_version_that_won_meanwhile(self):
        """Promotion is compare-and-set: the alias is never taken from a version we did not judge against."""
        desk = ReleaseDesk()
        desk.registry.add("a", "2", champion=True)
        desk.ready(champion="1")

        promotion = run(desk)

        assert (promotion.outcome, promotion.previous) == ("superseded", "2")
        assert "judged against version `1`, but version `2` is champion now" in promotion.reason
        assert desk.registry.traffic("a").champion == "2"
        assert desk.ledger.story() == [("promote", "intent"), ("promote", "superseded")]

    def test_decides_once_however_often_it_runs(self):
        desk = ReleaseDesk()
        desk.ready()

        assert run(desk) == run(desk)
        assert len(desk.registry.moves) == 1
        assert desk.ledger.story() == [("promote", "intent"), ("promote", "promoted")]

    @pytest.mark.parametrize("canary", ["aborted", "undecided"])
    def test_refuses_what_the_canary_did_not_bear_out(self, canary):
        desk = ReleaseDesk()
        desk.registry.add("a", "1", champion=True)
        desk.ready(champion="1", canary=canary)

        promotion = run(desk)

        assert promotion.outcome == "refused"
        assert canary in promotion.reason
        assert desk.registry.moves == []

    def test_refuses_a_skipped_canary_where_there_was_a_champion(self):
        desk = ReleaseDesk()
        desk.registry.add("a", "1", champion=True)
        desk.ready(champion="1", canary="skipped")

        assert run(desk).outcome == "refused"
        assert desk.registry.moves == []

    @pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.UNDECIDED])
    def test_refuses_what_was_not_judged_fit(self, verdict: Verdict):
        desk = ReleaseDesk()
        desk.ready(verdict=verdict)

        promotion = run(desk)

        assert (promotion.outcome, promotion.reason) == ("refused", f"the candidate was judged `{verdict.value}`")
        assert desk.registry.moves == []

    def test_refuses_a_pass_on_results_that_are_not_valid(self):
        desk = ReleaseDesk()
        desk.ready(results_valid=False)

        assert run(desk).outcome == "refused"
        assert desk.registry.moves == []

    def test_is_an_error_before_the_canary(self):
        desk = ReleaseDesk()
        desk.judged()

        with pytest.raises(StepMissingError, match=CanaryRecord.__name__):
            run(desk)

    def test_does_not_undo_a_rollback_that_came_between(self):
        """Killed after the move, then rolled back by a person: the retry leaves the alias where they put it."""
        desk = ReleaseDesk()
        desk.ready("r0")
        run(desk, "r0")
        desk.ready("r1", champion="1")
        with pytest.raises(KilledError):
            run(desk, store=_killed_at_write(desk))
        assert desk.registry.traffic("a").champion == "2"
        rollback(
            "a",
            to=None,
            by="op",
            reason="bad",
            registry=desk.registry,
            ledger=desk.ledger,
            clock=desk.clock,
            locks=desk.locks,
        )

        promotion = run(desk)

        assert promotion.outcome == "superseded"
        assert "`op` (rollback)" in promotion.reason
        assert desk.registry.traffic("a").champion == "1"


class _StoreKilledAtWrite:
    def __init__(self, store: ReleaseStore) -> None:
        self._store = store
        self.read = store.read

    def write(self, release_id: str, record: object) -> None:  # noqa: ARG002 - the port's signature
        raise KilledError


def _killed_at_write(desk: ReleaseDesk) -> ReleaseStore:
    return _StoreKilledAtWrite(desk.store)  # type: ignore[return-value] # promote only reads and writes


def _calls() -> int:
    """Count the points at which a whole promotion can be killed."""
    countdown, desk = Countdown(None), ReleaseDesk()
    desk.ready()
    _run_counted(desk, countdown)
    return countdown.position


def _run_counted(desk: ReleaseDesk, countdown: Countdown) -> Promotion:
    ports = {
        name: FailingPort(port, countdown)
        for name, port in {"registry": desk.registry, "store": desk.store, "ledger": desk.ledger}.items()
    }
    return run(desk, **ports)  # type: ignore[arg-type] # each passes every call on


class TestKilledPromotion:
    @pytest.mark.parametrize("champion", [None, "1"])
    @pytest.mark.parametrize("kill_at", range(_calls()))
    def test_is_finished_by_the_next_run_with_one_move(self, kill_at: int, champion: str | None):
        desk = ReleaseDesk()
        if champion:
            desk.registry.add("a", champion, champion=True)
        version = desk.ready(champion=champion)

        with pytest.raises(KilledError):
            _run_counted(desk, Countdown(kill_at))
        promotion = run(desk)

        assert (promotion.outcome, promotion.previous) == ("promoted", champion)
        assert desk.registry.moves == [("a", champion, version)]
        assert desk.store.read("r1", Promotion) == promotion
        assert desk.ledger.story() == [("promote", "intent"), ("promote", "promoted")]
        assert desk.ledger.verify() == []


class TestConcurrentPromotions:
    """Two releases judged against the same champion: one wins, the other is told by whom it was superseded."""

    def test_of_two_releases_in_memory_let_one_win(self):
        for _ in range(20):
            _race(ReleaseDesk(), None, None, None)

    def test_of_two_releases_on_real_files_let_one_win(self, tmp_path: Path):
        desk, locks = ReleaseDesk(), FileLocks(tmp_path / "locks")
        ledger = FileLedger(tmp_path / "ledger.jsonl", clock=desk.clock, locks=locks)

        _race(desk, FileReleaseStore(tmp_path / "releases"), ledger, locks)

        assert ledger.verify() == []

    def test_of_the_same_release_move_once(self, tmp_path: Path):
        desk, locks = ReleaseDesk(), FileLocks(tmp_path / "locks")
        desk.ready("r1")

        results = _together(
            lambda: run(desk, "r1", locks=locks), lambda: run(desk, "r1", locks=FileLocks(tmp_path / "locks"))
        )

        assert results[0] == results[1]
        assert len(desk.registry.moves) == 1

    def test_of_the_same_release_mean_it_once(self):
        desk = ReleaseDesk()
        desk.ready("r1")
        ledger = MeetingLedger(desk.ledger)

        results = _together(lambda: run(desk, "r1", ledger=ledger), lambda: run(desk, "r1", ledger=ledger))

        assert results[0] == results[1]
        assert desk.ledger.story() == [("promote", "intent"), ("promote", "promoted")]


def _race(desk: ReleaseDesk, store: ReleaseStore | None, ledger: Ledger | None, locks: Locks | None) -> None:
    target = desk if store is None else ReleaseDesk(registry=desk.registry, store=store)  # type: ignore[arg-type]
    versions = {release_id: target.ready(release_id) for release_id in ("r1", "r2")}

    first, second = _together(
        *(lambda release=release: run(desk, release, store=store, ledger=ledger, locks=locks) for release in versions)
    )

    winner, loser = sorted((first, second), key=lambda promotion: promotion.outcome)
    assert (winner.outcome, loser.outcome) == ("promoted", "superseded")
    assert winner.previous is None
    assert loser.previous == winner.version == desk.registry.traffic("a").champion
    assert desk.registry.moves == [("a", None, winner.version)]


def _together(*acts) -> list[Promotion]:
    results: list[Promotion] = []
    gate = threading.Barrier(len(acts))

    def act_at_once(act) -> None:
        gate.wait()
        results.append(act())

    threads = [threading.Thread(target=act_at_once, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == len(acts)
    return results
