"""Whatever happens to its pod or its cluster, a run comes to its answer, and what acts acts once."""

import pytest

from tests.cluster.faults import FAULTS, Fault, outcome_of
from tests.cluster.tending import Tended
from tests.cluster.world import Place

CALM = [fault for fault in FAULTS if not fault.needs_node]
DISRUPTIVE = [fault for fault in FAULTS if fault.needs_node]


def named(fault: Fault) -> str:
    return fault.name.replace(" ", "-").replace(":", "").replace(",", "")


class TestARunComesToItsAnswer:
    @pytest.mark.parametrize("fault", CALM, ids=named)
    def test_when(self, place: Place, fault: Fault):
        tended = Tended(place, "r1")

        fault.act(place, tended)

        assert outcome_of(place, tended) == fault.expected

    @pytest.mark.disruptive
    @pytest.mark.parametrize("fault", DISRUPTIVE, ids=named)
    def test_even_when(self, place: Place, fault: Fault):
        """The same, of faults that everybody on the cluster feels."""
        assert place.cluster.one_node.is_running("kubelet")
        tended = Tended(place, "r1")

        fault.act(place, tended)

        assert outcome_of(place, tended) == fault.expected
