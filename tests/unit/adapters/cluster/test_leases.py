"""What only the holder of a run's lease may do."""

from datetime import timedelta
from typing import Any

import pytest

from goldgate.adapters.cluster.leases import (
    KnownRun,
    conditions_of,
    known_of,
    next_holder,
    require_held,
    taking,
)
from goldgate.adapters.cluster.statuses import held_of
from goldgate.contracts.cluster import HeldStatus
from goldgate.ports.task_runs import Lease, LeaseLostError, RunHeldError
from tests.fakes.frozen_clock import FrozenClock

NOW = FrozenClock().now()
LEASE = Lease(run="run", owner="pod/run-1", epoch=3)
HELD = HeldStatus(holder="pod/run-1", epoch=3, renew_time=NOW, lease_seconds=30)
KNOWN = KnownRun(uid="u", told=0, may_have_parts=False)


def recorded(held: HeldStatus = HELD, *, uid: str = "u", **status: Any) -> dict[str, Any]:
    """A run as the API server holds it."""
    stands = {**status, "held": held.model_dump(mode="json", by_alias=True)}
    return {"metadata": {"name": "run", "uid": uid, "resourceVersion": "7"}, "status": stands}


def expected_in(patch: list[dict[str, Any]]) -> dict[str, Any]:
    """What a patch expects of the object, by the path."""
    return {each["path"]: each["value"] for each in patch if each["op"] == "test"}


def taken(held: HeldStatus, *, after_s: float, dead: frozenset[str] = frozenset()) -> HeldStatus:
    """Take a run as `other`, so much later."""
    now = NOW + timedelta(seconds=after_s)
    return next_holder("run", held=held, owner="other", for_s=15, now=now, is_dead=dead.__contains__)


class TestNextHolder:
    @pytest.mark.parametrize("after_s", [0, 29.9])
    def test_is_nobody_else_while_the_lease_lasts(self, after_s: float):
        with pytest.raises(RunHeldError) as refusal:
            taken(HELD, after_s=after_s)

        assert refusal.value.retry_after == timedelta(seconds=30 - after_s)

    @pytest.mark.parametrize(
        ("held", "after_s", "dead"),
        [
            (HELD, 30, frozenset()),
            (HELD, 0, frozenset({"pod/run-1"})),
            (HELD.model_copy(update={"holder": ""}), 0, frozenset()),
            (HELD.model_copy(update={"renew_time": None}), 0, frozenset()),
        ],
        ids=["ended", "dead", "given back", "never renewed"],
    )
    def test_is_whoever_asks_once_nobody_has_it(self, held: HeldStatus, after_s: float, dead: frozenset[str]):
        now = NOW + timedelta(seconds=after_s)

        holder = taken(held, after_s=after_s, dead=dead)

        assert holder == HeldStatus(holder="other", epoch=4, renew_time=now, lease_seconds=15)


class TestTaking:
    def test_is_refused_by_the_server_after_anything_else_was_written(self):
        patch = taking(recorded(), HELD)

        assert expected_in(patch) == {"/metadata/uid": "u", "/metadata/resourceVersion": "7"}

    @pytest.mark.parametrize("status", [{"phase": "Pending"}, None])
    def test_leaves_the_rest_of_a_record_as_it_is(self, status: dict[str, Any] | None):
        whole = {**recorded(), "status": status}

        written = taking(whole, HELD)[-1]

        held = HELD.model_dump(mode="json", by_alias=True)
        assert (written["path"], written["value"]) == (
            ("/status", {"held": held}) if status is None else ("/status/held", held)
        )


class TestConditions:
    def test_name_epoch_holder_and_the_very_run(self):
        tests = expected_in(conditions_of(LEASE, KNOWN))

        assert tests == {"/status/held/epoch": 3, "/status/held/holder": "pod/run-1", "/metadata/uid": "u"}


class TestKnownOf:
    def test_counts_the_lines_that_others_told_and_those_they_left_out(self):
        known = known_of(recorded(eventsDropped=5, events=[{}, {}]), predecessor=HELD)

        assert known.told == 7

    @pytest.mark.parametrize(("epoch", "may_have_parts"), [(0, False), (1, True)])
    def test_expects_parts_of_whoever_had_it_before(self, epoch: int, may_have_parts: bool):
        known = known_of(recorded(), predecessor=HELD.model_copy(update={"epoch": epoch}))

        assert known == KnownRun(uid="u", told=0, may_have_parts=may_have_parts)


class TestRequireHeld:
    @pytest.mark.parametrize(
        "found",
        [
            None,
            recorded(uid="of another run of that name"),
            recorded(HELD.model_copy(update={"epoch": 4})),
            recorded(HELD.model_copy(update={"holder": "other"})),
            recorded(HELD.model_copy(update={"holder": ""})),
        ],
        ids=["gone", "made anew", "a later epoch", "another holder", "given back"],
    )
    def test_refuses_what_is_not_held_any_more(self, found: dict[str, Any] | None):
        with pytest.raises(LeaseLostError):
            require_held(found, LEASE, KNOWN)

    def test_gives_what_is(self):
        assert held_of(require_held(recorded(), LEASE, KNOWN)) == HELD
