"""Every check across the fields of a resource has a rule for the API server, and the documents of the tests show it."""

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from goldgate.contracts.admission_rules import DEMANDS
from goldgate.contracts.foreign import CallableName
from goldgate.contracts.resource_parts import RelativePath
from goldgate.contracts.resources import Term
from tests.fakes.resource_documents import ACCEPTED, REFUSED
from tests.fakes.whole_resources import CONTRACTS, WHOLE, contract_of


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models_in(field.annotation)
    elif get_origin(annotation) in (Union, UnionType, Annotated, list, dict):
        for inner in get_args(annotation):
            yield from models_in(inner)


MODELS = {model for contract in CONTRACTS for model in models_in(contract)}


def own_checks(model: type[BaseModel]) -> set[str]:
    return {name for name in model.__pydantic_decorators__.model_validators if name in vars(model)}


class TestDemands:
    @pytest.mark.parametrize(
        "model", sorted((each for each in MODELS if own_checks(each)), key=lambda each: each.__name__)
    )
    def test_has_rules_for_every_contract_that_checks_more_than_single_fields(self, model):
        assert len(DEMANDS[model.__name__].rules) >= len(own_checks(model))

    def test_names_contracts_of_resources_only(self):
        assert DEMANDS.keys() - {model.__name__ for model in MODELS} == set()


class TestDocuments:
    @pytest.mark.parametrize("name", [*WHOLE, *ACCEPTED])
    def test_that_are_accepted_keep_their_contract(self, name):
        written = {**WHOLE, **ACCEPTED}[name]

        assert contract_of(written).model_validate(written).metadata.name  # type: ignore[attr-defined]

    @pytest.mark.parametrize("name", REFUSED)
    def test_that_are_refused_break_their_contract(self, name):
        with pytest.raises(ValidationError):
            contract_of(REFUSED[name]).model_validate(REFUSED[name])


def pattern_of(annotation: object) -> str:
    return str(TypeAdapter(annotation).json_schema()["pattern"])


def matches(pattern: str, text: str) -> bool:
    """Match as an API server does, and not as Python: `$` is the end of the text."""
    adapter = TypeAdapter(Annotated[str, Field(pattern=pattern)])
    try:
        adapter.validate_python(text)
    except ValidationError:
        return False
    return True


def is_accepted(annotation: object, text: str) -> bool:
    try:
        TypeAdapter(annotation).validate_python(text)
    except ValidationError:
        return False
    return True


class TestPatterns:
    """A check in Python and the pattern that a schema gives in its place say the same."""

    @given(st.text(alphabet="a./\\\n", max_size=9))
    def test_of_paths(self, text):
        assert matches(pattern_of(RelativePath), text) == is_accepted(RelativePath, text)

    @given(st.text(alphabet="aZ0_.:- é\n", max_size=9))
    def test_of_callables(self, text):
        assert matches(pattern_of(CallableName), text) == is_accepted(CallableName, text)

    @given(st.one_of(st.text(max_size=3), st.text(alphabet=" \t\v\x1c\x1f\x85\u00a0\u2003\u2028\u200b", max_size=3)))
    def test_of_words_to_refuse(self, text):
        assert matches(pattern_of(Term), text) == bool(text.strip())
