import pytest

from goldgate.contracts.base import ContractError
from goldgate.contracts.documents import parse
from goldgate.contracts.llm import LLMSpec
from goldgate.contracts.prices import PriceTable, price_of, price_table
from goldgate.domain.errors import PermanentError

ENTRY = {"provider": "openai", "model": "m-1", "input": 1, "cached": 0.5, "output": 2}
TABLE = {"version": "2026-01-01", "note": "n", "sources": {"openai": "https://prices"}, "entries": [ENTRY]}


def spec(**fields: object) -> LLMSpec:
    return LLMSpec.model_validate({"provider": "openai", "model": "gpt-4.1-mini-2025-04-14", **fields})


class TestPriceOf:
    def test_is_that_of_the_table_and_names_its_version(self):
        known = price_of(spec())

        assert known.price.input_usd_per_million_tokens == 0.4
        assert known.source == f"table {price_table().version}"

    @pytest.mark.parametrize("alias", ["gpt-4.1-mini", "gpt-4.1-mini-2025-04-14"])
    def test_knows_documented_aliases(self, alias):
        assert price_of(spec(model=alias)).price.output_usd_per_million_tokens == 1.6

    @pytest.mark.parametrize(
        "fields",
        [
            {"model": "gpt-4.1-mini-2025-04-14-ft"},
            {"model": "GPT-4.1-mini"},
            {"model": "claude-haiku-4-5"},
            {"provider": None, "baseUrl": "https://gateway/v1"},
            {"provider": "azure"},
            {"provider": "xai", "model": "grok-4-0709"},  # costs twice as much above 128,000 tokens
        ],
    )
    def test_is_never_guessed(self, fields):
        with pytest.raises(PermanentError, match=r"no price for model .* add `price` to the LLM, or `free: true`"):
            price_of(spec(**fields))

    def test_is_nothing_only_where_that_is_said(self):
        known = price_of(spec(model="mine", free=True))

        assert (known.price.input_usd_per_million_tokens, known.source) == (0, "free")

    def test_is_that_of_the_llm_before_that_of_the_table(self):
        own = {"inputUsdPerMillionTokens": 9, "cachedInputUsdPerMillionTokens": 9, "outputUsdPerMillionTokens": 9}

        assert price_of(spec(price=own)).source == "llm"


class TestPriceTable:
    def test_as_it_is_shipped_is_plausible(self):
        """A slip of a comma is a factor of ten: nothing costs less to write than to read, nor more from the cache."""
        for entry in price_table().entries:
            assert 0 < entry.cached <= entry.input <= entry.output <= 200, entry.model

    def test_refuses_a_name_that_means_two_models(self):
        with pytest.raises(ContractError, match="each name of a provider's models once"):
            parse({**TABLE, "entries": [ENTRY, {**ENTRY, "model": "m-2", "aliases": ["m-1"]}]}, PriceTable, where="t")

    def test_refuses_a_price_that_nobody_can_look_up(self):
        with pytest.raises(ContractError, match="a source for openai"):
            parse({**TABLE, "sources": {}}, PriceTable, where="t")
