import logging

import pytest

from goldgate.domain.rate_limit import Rate
from goldgate.entrypoints.declared_rates import DeclaredRates


def write(tmp_path, text: str) -> None:
    (tmp_path / "helper" / "1").mkdir(parents=True)
    (tmp_path / "helper" / "1" / "agent.yaml").write_text(text)


class TestDeclaredRates:
    def test_are_those_of_the_bundle(self, tmp_path):
        write(tmp_path, "kind: LLM\n---\nkind: Agent\nspec: {safety: {rateLimit: {requestsPerMinute: 30, burst: 4}}}\n")

        assert DeclaredRates(tmp_path).of("helper", "1") == Rate(per_minute=30, burst=4)

    def test_are_none_where_none_is_declared_or_no_bundle_is(self, tmp_path):
        write(tmp_path, "kind: Agent\nspec: {}\n")

        assert DeclaredRates(tmp_path).of("helper", "1") is None
        assert DeclaredRates(tmp_path).of("helper", "2") is None

    def test_are_read_as_soon_as_the_bundle_is_there(self, tmp_path):
        rates = DeclaredRates(tmp_path)
        rates.of("helper", "1")

        write(tmp_path, "spec: {safety: {rateLimit: {requestsPerMinute: 30}}}\n")

        assert rates.of("helper", "1") == Rate(per_minute=30, burst=10)

    @pytest.mark.parametrize("text", ["spec: {safety: {rateLimit: {burst: 0}}}", "{", "spec: [1]"])
    def test_that_cannot_be_read_are_told(self, tmp_path, caplog, text):
        write(tmp_path, text)

        with caplog.at_level(logging.WARNING):
            assert DeclaredRates(tmp_path).of("helper", "1") is None

        assert [record.message for record in caplog.records] == ["router.rate_limit.unreadable"]
