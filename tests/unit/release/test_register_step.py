"""Only what was judged fit is registered, with all that it was judged on."""

import pytest

from goldgate.contracts.release import Registration
from goldgate.domain.errors import PermanentError
from goldgate.domain.verdict import Verdict
from goldgate.release.records import StepMissingError
from goldgate.release.register import register_candidate
from tests.fakes.release_desk import ReleaseDesk


def register(desk: ReleaseDesk) -> Registration:
    return register_candidate("r1", store=desk.store, registry=desk.registry, ledger=desk.ledger)


class TestRegisterCandidate:
    def test_makes_a_version_that_names_its_evidence(self):
        desk = ReleaseDesk()
        desk.judged(champion="7")

        registration = register(desk)

        tags = desk.registry.version("a", registration.version).tags
        assert tags["release_id"] == "r1"
        assert tags["bundle_digest"] == b"r1".hex().rjust(64, "0")
        assert (tags["gold_digest"], tags["image_digest"], tags["run_id"]) == ("g" * 64, "sha256:1", "run")
        assert tags["policy_digest"] == "p" * 64
        assert (tags["verdict"], tags["champion_judged_against"]) == ("pass", "7")
        assert desk.ledger.story() == [("register", "registered")]

    def test_names_the_head_of_the_ledger(self):
        desk = ReleaseDesk()
        desk.judged()
        entry = desk.ledger.append(agent="a", release_id="r1", step="judge", outcome="pass", by="me", evidence={})

        version = register(desk).version

        assert desk.registry.version("a", version).tags["ledger_head"] == entry.hash

    def test_makes_one_version_however_often_it_runs(self):
        desk = ReleaseDesk()
        desk.judged()

        assert register(desk) == register(desk)
        with pytest.raises(PermanentError):
            desk.registry.version("a", "2")
        assert desk.ledger.story() == [("register", "registered")]

    @pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.UNDECIDED])
    def test_refuses_what_was_not_judged_fit(self, verdict: Verdict):
        desk = ReleaseDesk()
        desk.judged(verdict=verdict)

        with pytest.raises(PermanentError, match=f"judged `{verdict.value}`"):
            register(desk)

        assert desk.registry.agents() == []
        assert desk.ledger.story() == [("register", "failed")]

    def test_refuses_a_pass_on_results_that_are_not_valid(self):
        desk = ReleaseDesk()
        desk.judged(results_valid=False)

        with pytest.raises(PermanentError, match="not valid"):
            register(desk)

        assert desk.registry.agents() == []

    def test_refuses_evidence_of_another_bundle(self):
        desk = ReleaseDesk()
        desk.judged(answering="e" * 64)

        with pytest.raises(PermanentError, match="evaluated bundle eeeeeeeeeeee"):
            register(desk)

        assert desk.registry.agents() == []

    def test_refuses_a_release_that_was_not_judged(self):
        desk = ReleaseDesk()
        desk.store.write("r1", desk.order())

        with pytest.raises(StepMissingError, match="Judgement"):
            register(desk)
