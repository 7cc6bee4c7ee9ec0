"""One release of an agent at a time, and the second is told why."""

import pytest

from goldgate.contracts.release import Closing, ReleaseOrder
from goldgate.domain.errors import PermanentError
from goldgate.release.open import ReleaseRefusedError, open_release
from tests.fakes.release_desk import AT, ReleaseDesk


def open_it(desk: ReleaseDesk, order: ReleaseOrder) -> ReleaseOrder:
    return open_release(order, store=desk.store, ledger=desk.ledger)


class TestOpenRelease:
    def test_claims_the_agent_and_keeps_the_order(self):
        desk = ReleaseDesk()

        assert open_it(desk, desk.order()) == desk.store.read("r1", ReleaseOrder) == desk.order()
        assert desk.store.open_release("a", "r2", by="me", at=AT) == "r1"
        assert desk.ledger.story() == [("open", "opened")]

    def test_goes_on_with_a_release_that_is_open(self):
        desk = ReleaseDesk()
        first = open_it(desk, desk.order())

        later = desk.order().model_copy(update={"opened_at": AT.replace(year=2027)})

        assert open_it(desk, later) == first
        assert desk.ledger.story() == [("open", "opened")]

    def test_refuses_a_second_release_and_says_how_to_get_out(self):
        desk = ReleaseDesk()
        open_it(desk, desk.order("r1"))

        with pytest.raises(ReleaseRefusedError, match="goldgate release close r1") as caught:
            open_it(desk, desk.order("r2"))

        assert (caught.value.agent, caught.value.held_by) == ("a", "r1")
        assert desk.store.read("r2", ReleaseOrder) is None
        assert desk.ledger.story() == [("open", "opened"), ("open", "refused")]

    def test_refuses_an_id_that_is_closed(self):
        desk = ReleaseDesk()
        desk.store.write("r1", Closing(outcome="blocked", step="judge", reason="r", champion=None, at=AT))

        with pytest.raises(PermanentError, match="is closed: blocked at `judge`"):
            open_it(desk, desk.order())

        assert desk.store.open_release("a", "r2", by="me", at=AT) is None

    def test_refuses_an_id_that_was_used_for_another_source(self):
        desk = ReleaseDesk()
        open_it(desk, desk.order(source="git:v1"))

        with pytest.raises(PermanentError, match="git:v1"):
            open_it(desk, desk.order(source="git:v2"))
