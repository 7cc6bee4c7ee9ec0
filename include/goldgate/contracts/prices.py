"""What models charge: a table with a version, or what the LLM itself says."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import Field, model_validator

from goldgate.contracts.base import Contract
from goldgate.contracts.documents import read_json
from goldgate.contracts.llm import LLMSpec, Price, ProviderName
from goldgate.domain.errors import PermanentError

PRICE_TABLE = Path(__file__).with_name("price_table.json")


class PriceEntry(Contract):
    """The list price of one model, in US dollars for a million tokens."""

    provider: ProviderName
    model: str = Field(min_length=1)
    aliases: list[str] = Field(default_factory=list)
    """Other names of the very same model in its provider's documentation."""
    input: float = Field(ge=0)
    cached: float = Field(ge=0)
    output: float = Field(ge=0)


class PriceTable(Contract):
    """All prices that are known, as of one date."""

    version: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    """The day on which the prices stood so."""
    note: str
    sources: dict[ProviderName, str]
    """The page that each provider's prices are from."""
    entries: list[PriceEntry]

    @model_validator(mode="after")
    def _is_clear(self) -> "PriceTable":
        named = [(entry.provider, name) for entry in self.entries for name in (entry.model, *entry.aliases)]
        if len(set(named)) != len(named):
            msg = "each name of a provider's models once"
            raise ValueError(msg)
        if missing := {entry.provider for entry in self.entries} - self.sources.keys():
            msg = f"a source for {', '.join(sorted(missing))}"
            raise ValueError(msg)
        return self

    def find(self, provider: ProviderName, model: str) -> Price | None:
        """Find a price by provider and exact name; a name that only begins alike is another model."""
        for entry in self.entries:
            if entry.provider == provider and model in (entry.model, *entry.aliases):
                return Price(
                    input_usd_per_million_tokens=entry.input,
                    cached_input_usd_per_million_tokens=entry.cached,
                    output_usd_per_million_tokens=entry.output,
                )
        return None


@dataclass(frozen=True, kw_only=True)
class KnownPrice:
    """What a model charges, and who says so."""

    price: Price
    source: str
    """`llm` (its `price`), `free`, or `table <version>`."""


@cache
def price_table() -> PriceTable:
    """Read the table once."""
    return read_json(PRICE_TABLE, PriceTable)


def price_of(spec: LLMSpec) -> KnownPrice:
    """Tell what a model charges.

    Raises:
        PermanentError: Nobody knows. A cost that is guessed would be worse than none.
    """
    if spec.price is not None:
        return KnownPrice(price=spec.price, source="llm")
    if spec.free:
        nothing = Price(
            input_usd_per_million_tokens=0, cached_input_usd_per_million_tokens=0, output_usd_per_million_tokens=0
        )
        return KnownPrice(price=nothing, source="free")
    table = price_table()
    found = table.find(spec.provider, spec.model) if spec.provider is not None else None
    if found is None:
        whose = f"provider `{spec.provider}`" if spec.provider is not None else "no provider"
        raise PermanentError(
            f"Found no price for model `{spec.model}` of {whose}: the price table of {table.version} does not know it. "
            f"Expected one: add `price` to the LLM, or `free: true` if it charges nothing."
        )
    return KnownPrice(price=found, source=f"table {table.version}")
