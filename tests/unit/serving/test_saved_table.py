import logging
from datetime import UTC, datetime

import pytest

from goldgate.ports.registry import CanaryTraffic
from goldgate.serving.saved_table import encode_table, read_table, save_table
from goldgate.serving.traffic_table import Route, Serving, Table

ROUTE = Route(
    agent="a",
    champion="2",
    serving=Serving(version="1", address="http://1"),
    previous="1",
    canary=CanaryTraffic(version="3", ratio=0.05, until=datetime(2026, 3, 1, tzinfo=UTC)),
    canary_address="http://3",
)
TABLE = Table(
    routes={"a": ROUTE, "b": Route(agent="b", champion=None)}, release_ids={("a", "1"): "r-1", ("a", "2"): "r-2"}
)


class TestSavedTable:
    def test_comes_back_as_it_was(self, tmp_path):
        save_table(tmp_path / "router" / "traffic.json", encode_table(TABLE))

        assert read_table(tmp_path / "router" / "traffic.json") == TABLE

    def test_is_empty_at_first(self, tmp_path):
        assert read_table(tmp_path / "traffic.json") == Table()

    @pytest.mark.parametrize("text", ["", "{", '{"routes": 1}', '{"routes": [], "more": 1}'])
    def test_that_is_damaged_is_told_and_not_used(self, tmp_path, caplog, text):
        (tmp_path / "traffic.json").write_text(text)

        with caplog.at_level(logging.WARNING):
            assert read_table(tmp_path / "traffic.json") == Table()

        assert [record.message for record in caplog.records] == ["router.table.unreadable"]
