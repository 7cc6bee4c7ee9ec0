import json
from datetime import UTC, datetime

import pytest

from goldgate.adapters.cluster.launch_counts import launches_in, written
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.pods import Launches

AT = datetime(2026, 1, 1, tzinfo=UTC)


class TestLaunchesIn:
    def test_reads_what_was_written(self):
        count = Launches().next("ask", now=AT).next("ask", now=AT, lost=1)

        assert launches_in(written(count), run="ask") == count

    @pytest.mark.parametrize(
        "made_up",
        [
            {"launched": 2_000_000_000, "pod": "ask-2000000000"},
            {"launched": -1, "pod": "ask--1"},
            {"launched": 1, "pod": "goldgate-router-7d9f"},
            {"launched": 1, "pod": "../../services/goldgate-router"},
            {"pod": "other-1"},
        ],
    )
    def test_refuses_a_count_that_somebody_made_up(self, made_up: dict[str, object]):
        """Whoever applies a TaskRun may write its annotations."""
        with pytest.raises(PermanentError, match="expected the count of its pods"):
            launches_in(json.dumps(made_up), run="ask")
