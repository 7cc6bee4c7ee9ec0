"""Back to an earlier champion, by the ledger's memory, and never to what was rolled back from."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from goldgate.contracts.release import Promotion
from goldgate.domain.errors import PermanentError
from goldgate.ports.registry import CanaryTraffic
from goldgate.release.promote import promote
from goldgate.release.rollback import rollback
from tests.fakes.failing_port import Countdown, FailingPort, KilledError
from tests.fakes.meeting_ledger import MeetingLedger
from tests.fakes.release_desk import ReleaseDesk


def champions(count: int) -> ReleaseDesk:
    """An agent that was released so many times: versions 1, 2, ..., the last one champion."""
    desk = ReleaseDesk()
    for number in range(1, count + 1):
        desk.ready(f"r{number}", champion=str(number - 1) if number > 1 else None)
        promote(
            f"r{number}",
            registry=desk.registry,
            store=desk.store,
            ledger=desk.ledger,
            clock=desk.clock,
            locks=desk.locks,
        )
    return desk


def back(desk: ReleaseDesk, to: str | None = None, *, request_id: str | None = None, **ports) -> Promotion:
    return rollback(
        "a",
        to=to,
        by="op",
        reason="it was bad",
        registry=ports.get("registry", desk.registry),
        ledger=ports.get("ledger", desk.ledger),
        clock=desk.clock,
        locks=desk.locks,
        request_id=request_id,
    )


class TestRollback:
    def test_goes_to_the_champion_before(self):
        desk = champions(3)

        promotion = back(desk)

        assert (promotion.outcome, promotion.version, promotion.previous) == ("rolled_back", "2", "3")
        assert desk.registry.traffic("a").champion == "2"
        assert desk.ledger.story()[-2:] == [("rollback", "intent"), ("rollback", "rolled_back")]

    def test_again_goes_further_back_and_never_to_what_was_left(self):
        desk = champions(3)

        assert [back(desk).version, back(desk).version] == ["2", "1"]
        with pytest.raises(PermanentError, match="Name the version to go to"):
            back(desk)

    def test_goes_to_the_version_named(self):
        desk = champions(3)

        assert back(desk, "1").version == "1"

    def test_can_go_forward_by_name_to_what_was_left(self):
        desk = champions(2)
        back(desk)

        assert back(desk, "2").version == "2"
        assert back(desk).version == "1"

    def test_ends_the_canary(self):
        desk = champions(2)
        desk.registry.set_canary("a", CanaryTraffic(version="1", ratio=0.05, until=desk.clock.now()))

        back(desk)

        assert desk.registry.traffic("a").canary is None

    def test_refuses_a_version_that_never_was_champion(self):
        desk = champions(2)
        desk.registry.add("a", "3")

        with pytest.raises(PermanentError, match=r"never was champion.*so far: 1, 2"):
            back(desk, "3")

        assert desk.registry.traffic("a").champion == "2"

    def test_refuses_the_version_that_is_champion(self):
        with pytest.raises(PermanentError, match="champion already"):
            back(champions(2), "2")

    def test_refuses_where_there_is_no_champion(self):
        with pytest.raises(PermanentError, match="no champion"):
            back(ReleaseDesk())

    def test_refuses_where_there_is_none_before(self):
        with pytest.raises(PermanentError, match="first champion"):
            back(champions(1))

    def test_leaves_a_champion_that_the_ledger_does_not_know(self):
        """Moved by another hand: back to the last champion that the ledger knows."""
        desk = champions(2)
        desk.registry.add("a", "3", champion=True)

        assert back(desk).version == "2"

    def test_moves_nothing_on_a_history_that_was_changed(self):
        desk = champions(3)
        desk.ledger.written[1]["by"] = "eve"
        told = desk.ledger.story()

        with pytest.raises(PermanentError, match="entry 1 was changed"):
            back(desk)

        assert desk.registry.traffic("a").champion == "3"
        assert desk.ledger.story() == told

    def test_asked_twice_with_one_request_id_happens_once(self):
        desk = champions(3)

        assert back(desk, request_id="run-1") == back(desk, request_id="run-1")
        assert desk.registry.traffic("a").champion == "2"
        assert back(desk, request_id="run-2").version == "1"

    def test_asked_twice_at_once_happens_once(self):
        desk = champions(3)
        ledger = MeetingLedger(desk.ledger)

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda _: back(desk, request_id="run-1", ledger=ledger), range(2))

        assert first == second
        assert desk.registry.traffic("a").champion == "2"
        assert desk.ledger.story().count(("rollback", "intent")) == 1


def _calls() -> int:
    countdown = Countdown(None)
    _back_counted(champions(3), countdown)
    return countdown.position


def _back_counted(desk: ReleaseDesk, countdown: Countdown) -> Promotion:
    ports = {"registry": FailingPort(desk.registry, countdown), "ledger": FailingPort(desk.ledger, countdown)}
    return back(desk, request_id="run-1", **ports)


class TestKilledRollback:
    @pytest.mark.parametrize("kill_at", range(_calls()))
    def test_is_finished_by_the_next_run_with_one_move(self, kill_at: int):
        desk = champions(3)
        desk.registry.moves.clear()

        with pytest.raises(KilledError):
            _back_counted(desk, Countdown(kill_at))
        promotion = back(desk, request_id="run-1")

        assert (promotion.outcome, promotion.version, promotion.previous) == ("rolled_back", "2", "3")
        assert desk.registry.moves == [("a", "3", "2")]
        assert desk.ledger.story().count(("rollback", "rolled_back")) == 1
        assert desk.ledger.verify() == []
