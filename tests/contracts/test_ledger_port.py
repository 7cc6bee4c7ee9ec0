"""Every ledger of the port chains its entries and refuses to build on a broken chain."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goldgate.adapters.file_ledger import FileLedger
from goldgate.adapters.file_locks import FileLocks
from goldgate.domain.chain import GENESIS
from goldgate.domain.errors import PermanentError
from goldgate.ports.records import Ledger
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_ledger import InMemoryLedger

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(params=["memory", "file"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    if request.param == "memory":
        return InMemoryLedger()
    return FileLedger(tmp_path / "ledger.jsonl", clock=FrozenClock(), locks=FileLocks(tmp_path / "locks"))


def add(ledger: Ledger, *, agent: str = "a", outcome: str = "opened", **evidence):
    return ledger.append(agent=agent, release_id="r1", step="open", outcome=outcome, by="me", evidence=evidence)


class TestLedger:
    def test_begins_empty_and_sound(self, ledger: Ledger):
        assert ledger.entries() == []
        assert ledger.verify() == []

    def test_gives_back_what_was_added_in_order(self, ledger: Ledger):
        added = [add(ledger, outcome=f"o{number}", figure=number / 3) for number in range(5)]

        assert ledger.entries() == added
        assert [entry.seq for entry in added] == [0, 1, 2, 3, 4]

    def test_chains_each_entry_to_the_one_before(self, ledger: Ledger):
        first, second = add(ledger), add(ledger)

        assert first.previous == GENESIS
        assert second.previous == first.hash != second.hash

    def test_finds_the_entries_of_one_agent(self, ledger: Ledger):
        add(ledger, agent="a")
        of_b = add(ledger, agent="b")

        assert ledger.entries(agent="b") == [of_b]
        assert ledger.entries(agent="c") == []

    def test_refuses_evidence_that_json_cannot_carry(self, ledger: Ledger):
        with pytest.raises(PermanentError):
            add(ledger, figure=float("nan"))

        assert ledger.entries() == []

    @given(evidence=st.dictionaries(st.text(), ANY_JSON, max_size=4))
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_keeps_any_evidence_and_stays_sound(self, ledger: Ledger, evidence):
        added = ledger.append(agent="a", release_id="r", step="open", outcome="o", by="b", evidence=evidence)

        assert ledger.entries()[-1] == added
        assert ledger.verify() == []
