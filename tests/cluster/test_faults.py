"""Whatever happens to its pod or its cluster, a run comes to its answer, and what acts acts once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.faults import FAULTS, Fault, outcome_of
from tests.cluster.tending import Tended, settings_of
from tests.cluster.world import Place, World, settle

CALM = [fault for fault in FAULTS if not fault.needs_node]
DISRUPTIVE = [fault for fault in FAULTS if fault.needs_node]


def named(fault: Fault) -> str:
    return fault.name.replace(" ", "-").replace(":", "").replace(",", "")


@pytest.fixture
def place(cluster: ClusterUnderTest, tmp_path: Path) -> Iterator[Place]:
    world = World(cluster.host)
    place = settle(cluster, world, tmp_path)
    with settings_of(place):
        yield place
    world.close()


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
