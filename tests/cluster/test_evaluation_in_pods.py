"""Gold sets that are asked by pods of a real cluster: whole, apart from each other, and gone when nobody wants them."""

import pytest

from goldgate.domain.errors import PermanentError
from tests.cluster.evaluating import ROWS, Evaluations
from tests.waiting import until


class TestEvaluationsInPods:
    def test_of_the_same_champion_at_once_take_nothing_from_each_other(self, evaluations: Evaluations):
        answering = evaluations.place.world.answering
        with answering.held():
            first = evaluations.begin("first")
            answering.await_one()
            second = evaluations.begin("second")
            answering.await_one()

        found = [each.result(timeout=240)["champion"] for each in (first, second)]

        expected = [(row.id, repeat) for row in ROWS for repeat in (0, 1)]
        assert [[(row.row_id, row.repeat) for row in rows] for rows in found] == [expected, expected]
        assert evaluations.parts() == set()
        until(lambda: not evaluations.pods_of("first") and not evaluations.pods_of("second"))

    def test_are_asked_again_in_another_pod_when_theirs_is_gone_with_all_it_was_given(self, evaluations: Evaluations):
        asked = evaluations.begin_and_lose("lost")

        assert len(asked.result(timeout=240)["champion"]) == 6

    def test_leave_nothing_behind_when_nobody_waits_for_them_any_more(self, evaluations: Evaluations):
        answering = evaluations.place.world.answering
        # So long a pod might go on that does not hear that it is to end.
        evaluations.change_pods(maxLosses=0, graceSeconds=600)
        with answering.held():
            asked = evaluations.begin("unwanted")
            answering.await_one()

            evaluations.forget("unwanted")

            with pytest.raises(PermanentError, match=r"did not come to its end: (it vanished|ended with)"):
                asked.result(timeout=120)

        assert evaluations.parts() == set()
        until(lambda: not evaluations.pods_of("unwanted"))
