"""What the tasks of the DAGs tell beyond the records."""

from goldgate.entrypoints.release_tasks import evidence_of
from tests.fakes.release_desk import ReleaseDesk


class TestEvidenceOf:
    def test_names_the_pages_of_evaluation_and_judgement(self):
        desk = ReleaseDesk()
        desk.judged()

        assert evidence_of("r1", desk.store) == {"run_url": "u", "report_url": "u"}

    def test_names_none_for_a_release_that_did_not_come_so_far(self):
        assert evidence_of("r1", ReleaseDesk().store) == {}
