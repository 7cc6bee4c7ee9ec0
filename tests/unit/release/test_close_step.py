"""However a release ended: it says so, its canary ends, and the agent is free."""

import pytest

from goldgate.contracts.policy import CanaryPlan
from goldgate.contracts.release import (
    Build,
    CanaryRecord,
    Closing,
    GateResult,
    ImageUnavailable,
    Judgement,
    Promotion,
    Registration,
)
from goldgate.domain.errors import PermanentError
from goldgate.domain.verdict import Verdict
from goldgate.ports.registry import CanaryTraffic
from goldgate.release.canary import start_canary
from goldgate.release.close import close_release
from goldgate.release.open import ReleaseRefusedError, open_release
from goldgate.release.promote import promote
from goldgate.release.records import ReleaseClosedError, failure_noted
from goldgate.release.register import register_candidate
from tests.fakes.failing_port import Countdown, FailingPort, KilledError
from tests.fakes.release_desk import AT, ReleaseDesk


def close(desk: ReleaseDesk, release_id: str = "r1", *, failed_step: str | None = None, **ports) -> Closing:
    return close_release(
        release_id,
        store=ports.get("store", desk.store),
        registry=ports.get("registry", desk.registry),
        ledger=ports.get("ledger", desk.ledger),
        clock=desk.clock,
        locks=desk.locks,
        failed_step=failed_step,
    )


def promote_it(desk: ReleaseDesk, **ports) -> Promotion:
    return promote(
        "r1",
        registry=ports.get("registry", desk.registry),
        store=ports.get("store", desk.store),
        ledger=desk.ledger,
        clock=desk.clock,
        locks=desk.locks,
    )


def is_free(desk: ReleaseDesk) -> bool:
    return desk.store.open_release("a", "another", by="me", at=AT) is None


class TestCloseRelease:
    def test_tells_of_a_promotion_and_frees_the_agent(self):
        desk = ReleaseDesk()
        version = desk.ready()
        promote_it(desk)

        closing = close(desk)

        assert (closing.outcome, closing.step, closing.champion) == ("promoted", "promote", version)
        assert desk.ledger.story()[-1] == ("close", "promoted")
        assert is_free(desk)

    def test_tells_which_gates_blocked(self):
        desk = ReleaseDesk()
        desk.store.write("r1", desk.order())
        gate = GateResult(
            gate="quality >= 0.80",
            metric="quality",
            against="absolute",
            verdict=Verdict.FAIL,
            candidate=None,
            champion=None,
            difference=None,
            bound=0.8,
            reason="0.41 to 0.63",
        )
        judgement = Judgement(
            verdict=Verdict.FAIL,
            gates=[
                gate.model_copy(update={"verdict": Verdict.UNDECIDED, "gate": "safety >= 0.80"}),
                gate,
                gate.model_copy(update={"verdict": Verdict.PASS, "gate": "cost"}),
            ],
            broken_rows=[],
            results_valid=True,
            report_url="u",
        )
        desk.store.write("r1", judgement)

        closing = close(desk)

        assert (closing.outcome, closing.step) == ("blocked", "judge")
        assert closing.reason == ("quality >= 0.80: fail (0.41 to 0.63); safety >= 0.80: undecided (0.41 to 0.63)")

    @pytest.mark.parametrize("canary", ["aborted", "undecided"])
    @pytest.mark.parametrize("asked_to_promote", [True, False])
    def test_tells_of_a_canary_that_did_not_hold(self, canary, asked_to_promote: bool):
        desk = ReleaseDesk()
        desk.registry.add("a", "1", champion=True)
        desk.ready(champion="1", canary=canary)
        if asked_to_promote:
            promote_it(desk)

        closing = close(desk)

        assert (closing.outcome, closing.step, closing.reason) == ("aborted", "canary", f"it {canary}")
        assert closing.champion == "1"

    def test_tells_of_a_promotion_that_came_too_late(self):
        desk = ReleaseDesk()
        desk.registry.add("a", "2", champion=True)
        desk.ready(champion="1")
        promote_it(desk)

        closing = close(desk)

        assert (closing.outcome, closing.step, closing.champion) == ("blocked", "promote", "2")

    def test_tells_of_an_image_that_was_required(self):
        desk = ReleaseDesk()
        desk.store.write("r1", desk.order())
        desk.store.write(
            "r1", Build(model_uri="m", signature_digest="s", image=ImageUnavailable(reason="no container builder"))
        )
        evidence = {"reason": "no container builder"}
        desk.ledger.append(agent="a", release_id="r1", step="build", outcome="blocked", by="me", evidence=evidence)

        closing = close(desk)

        assert (closing.outcome, closing.step, closing.reason) == ("blocked", "build", "no container builder")

    def test_tells_why_a_step_failed(self):
        desk = ReleaseDesk()
        order = open_release(desk.order(), store=desk.store, ledger=desk.ledger)
        with pytest.raises(PermanentError), failure_noted(desk.ledger, order, step="check"):
            raise PermanentError("a secret in agent.yaml:3")

        closing = close(desk)

        assert (closing.outcome, closing.step, closing.reason) == ("failed", "check", "a secret in agent.yaml:3")
        assert is_free(desk)

    def test_names_the_step_that_the_caller_knows(self):
        desk = ReleaseDesk()
        desk.judged()

        closing = close(desk, failed_step="register")

        assert (closing.outcome, closing.step) == ("failed", "register")
        assert "its log says why" in closing.reason

    def test_ends_its_own_canary(self):
        desk = ReleaseDesk()
        desk.registry.add("a", "1", champion=True)
        version = desk.ready(champion="1", canary="aborted")
        desk.registry.set_canary("a", CanaryTraffic(version=version, ratio=0.05, until=AT))

        close(desk)

        assert desk.registry.traffic("a").canary is None

    def test_leaves_the_canary_of_another_release(self):
        desk = ReleaseDesk()
        desk.registry.add("a", "1", champion=True)
        desk.ready(champion="1", canary="aborted")
        other = CanaryTraffic(version="1", ratio=0.05, until=AT)
        desk.registry.set_canary("a", other)

        close(desk)

        assert desk.registry.traffic("a").canary == other

    def test_changes_nothing_the_second_time(self):
        desk = ReleaseDesk()
        desk.ready()
        promote_it(desk)
        first = close(desk)
        desk.store.open_release("a", "r2", by="me", at=AT)

        assert close(desk) == first
        assert desk.ledger.story().count(("close", "promoted")) == 1
        assert not is_free(desk)

    def test_of_a_refused_release_leaves_the_other_one_open(self):
        desk = ReleaseDesk()
        open_release(desk.order("r1"), store=desk.store, ledger=desk.ledger)
        with pytest.raises(ReleaseRefusedError):
            open_release(desk.order("r2"), store=desk.store, ledger=desk.ledger)

        closing = close(desk, "r2")

        assert (closing.outcome, closing.step) == ("failed", "open")
        assert "`r1` held the agent" in closing.reason
        assert not is_free(desk)
        assert desk.store.read("r2", Closing) is None

    def test_of_a_release_that_nobody_asked_for_is_an_error(self):
        with pytest.raises(PermanentError, match="never opened"):
            close(ReleaseDesk(), "r9")

    def test_finishes_a_promotion_that_was_killed_after_the_move(self):
        desk = ReleaseDesk()
        version = desk.ready()
        registry = FailingPort(desk.registry, Countdown(_position_after_move()))
        with pytest.raises(KilledError):
            promote_it(desk, registry=registry)
        assert desk.registry.traffic("a").champion == version
        assert desk.store.read("r1", Promotion) is None

        closing = close(desk)

        assert (closing.outcome, closing.champion) == ("promoted", version)
        assert desk.ledger.story() == [("promote", "intent"), ("promote", "promoted"), ("close", "promoted")]


def _position_after_move() -> int:
    """The last call that a promotion makes to the registry is the move."""
    desk, countdown = ReleaseDesk(), Countdown(None)
    desk.ready()
    promote_it(desk, registry=FailingPort(desk.registry, countdown))
    return countdown.position - 1


def _close_counted(desk: ReleaseDesk, countdown: Countdown) -> Closing:
    ports = {"registry": desk.registry, "store": desk.store, "ledger": desk.ledger}
    return close(desk, **{name: FailingPort(port, countdown) for name, port in ports.items()})


def _aborted() -> ReleaseDesk:
    desk = ReleaseDesk()
    desk.registry.add("a", "1", champion=True)
    version = desk.ready(champion="1", canary="aborted")
    desk.registry.set_canary("a", CanaryTraffic(version=version, ratio=0.05, until=AT))
    return desk


def _calls() -> int:
    countdown = Countdown(None)
    _close_counted(_aborted(), countdown)
    return countdown.position


class TestKilledClosing:
    @pytest.mark.parametrize("kill_at", range(_calls()))
    def test_is_finished_by_the_next_run(self, kill_at: int):
        desk = _aborted()

        with pytest.raises(KilledError):
            _close_counted(desk, Countdown(kill_at))
        closing = close(desk)

        assert (closing.outcome, closing.step) == ("aborted", "canary")
        assert desk.registry.traffic("a").canary is None
        assert desk.ledger.story().count(("close", "aborted")) == 1
        assert is_free(desk)
        assert desk.store.read("r1", CanaryRecord) is not None
        assert desk.store.read("r1", Registration) is not None


class TestClosedRelease:
    """Somebody closed it by hand while a task was still at work: what is closed moves nothing any more."""

    def test_is_not_promoted(self):
        desk = ReleaseDesk()
        desk.ready()
        close(desk)

        with pytest.raises(ReleaseClosedError, match=r"Release `r1` was closed at .* does nothing"):
            promote_it(desk)

        assert desk.registry.traffic("a").champion is None
        assert desk.ledger.story()[-1][0] == "close"

    def test_is_not_registered(self):
        desk = ReleaseDesk()
        desk.judged()
        close(desk)

        with pytest.raises(ReleaseClosedError):
            register_candidate("r1", store=desk.store, registry=desk.registry, ledger=desk.ledger)

    def test_gets_no_canary_traffic(self):
        desk = ReleaseDesk()
        desk.judged()
        register_candidate("r1", store=desk.store, registry=desk.registry, ledger=desk.ledger)
        close(desk)

        with pytest.raises(ReleaseClosedError):
            start_canary(
                "r1",
                plan=CanaryPlan(),
                store=desk.store,
                registry=desk.registry,
                ledger=desk.ledger,
                clock=desk.clock,
            )

        assert desk.registry.traffic("a").canary is None

    def test_still_shows_what_it_did(self):
        """A step that left its record returns it, as ever."""
        desk = ReleaseDesk()
        desk.ready()
        done = promote_it(desk)
        close(desk)

        assert promote_it(desk) == done
