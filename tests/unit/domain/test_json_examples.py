import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.adapters.json_schema import compile_schema
from goldgate.domain.json_examples import example_of
from goldgate.domain.pattern_examples import matching


def shown(schema):
    check = compile_schema(schema)
    return example_of(schema, fits=lambda value: not check(value))


LEAVES = st.one_of(
    st.builds(
        lambda low, span: {"type": "integer", "minimum": low, "maximum": low + span}, st.integers(), st.integers(0)
    ),
    st.builds(lambda least: {"type": "string", "minLength": least}, st.integers(0, 20)),
    st.builds(lambda format_: {"type": "string", "format": format_}, st.sampled_from(["date", "email", "uri", "uuid"])),
    st.builds(lambda values: {"enum": values}, st.lists(st.integers() | st.text(), min_size=1)),
    st.just({"type": "boolean"}),
    st.just({"type": ["null", "string"]}),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda item, least: {"type": "array", "items": item, "minItems": least}, inner, st.integers(0, 3)),
        st.builds(
            lambda parts: {"type": "object", "properties": parts, "required": list(parts)},
            st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
        ),
        st.builds(lambda one, other: {"anyOf": [one, other]}, inner, inner),
    ),
    max_leaves=6,
)


class TestExampleOf:
    @given(SCHEMAS)
    def test_fits_every_ordinary_schema(self, schema):
        """`compile_schema` holds it to the schema: a None where null is allowed is an example as well."""
        check = compile_schema(schema)
        seen = []
        example_of(schema, fits=lambda value: seen.append(value) or True)

        assert len(seen) == 1
        assert check(seen[0]) == []

    @pytest.mark.parametrize(
        ("schema", "example"),
        [
            ({"type": "string", "default": "a", "examples": ["b"]}, "a"),
            ({"type": "string", "examples": ["b"]}, "b"),
            ({"const": 3}, 3),
            ({"type": "integer", "exclusiveMinimum": 2, "multipleOf": 5}, 5),
            ({"type": "number", "exclusiveMaximum": 0}, -1),
            ({"allOf": [{"required": ["a"]}, {"properties": {"a": {"type": "integer"}}}], "type": "object"}, {"a": 1}),
            ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "boolean"}}}, True),
            ({"type": "string", "pattern": r"^(common\.io|core)\.[a-z]+$"}, "common.io.a"),
            ({"prefixItems": [{"type": "integer"}, {"type": "string"}], "type": "array"}, [1, "text"]),
        ],
    )
    def test_shows_what_the_schema_shows_else_the_least_it_asks_for(self, schema, example):
        assert shown(schema) == example

    @pytest.mark.parametrize(
        "schema",
        [
            {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
            {"type": "string", "not": {"type": "string"}},
            {"type": "string", "pattern": r"(?<=x)\bé"},
            {"type": "array", "minItems": 1_000_000},
            {"type": "integer", "multipleOf": 0.3, "minimum": 0.1, "maximum": 0.2},
            False,
        ],
    )
    def test_shows_nothing_rather_than_what_does_not_fit(self, schema):
        assert shown(schema) is None


class TestMatching:
    @pytest.mark.parametrize(
        "pattern",
        [
            r"^\d{4}-\d\d$",
            "^[^a-z]+$",
            "a|b",
            "(?:x{2,3}y)?z",
            "^[A-Z][a-z_]*$",
            r"^\w+@\w+\.org$",
            ".*",
            "",
            "[^aA]",
            "a+?",
        ],
    )
    def test_writes_a_text_that_the_pattern_finds(self, pattern):
        assert re.search(pattern, matching(pattern))

    @pytest.mark.parametrize("pattern", ["(", r"(a)\1(?=x)", "a{1000000}", "[^\\s\\S]", "(?P<x>a)(?P=x)", "x" * 300])
    def test_gives_up_on_what_it_cannot_turn_round(self, pattern):
        assert matching(pattern) is None
