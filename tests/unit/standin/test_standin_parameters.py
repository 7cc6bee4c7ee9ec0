"""Schemas come from outside: what cannot be read is refused, and nothing else breaks."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from goldgate.standin.arguments import read_arguments
from goldgate.standin.parameters import branches_of, problem_in

KEYWORDS = [
    "properties",
    "required",
    "$defs",
    "$ref",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "type",
    "pattern",
    "minimum",
    "x",
]
LEAVES = st.none() | st.integers() | st.sampled_from(["integer", "string", "null", "#/$defs/x", "[", r"\d", "x"])
SCHEMAS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4)
)


class TestProblemIn:
    @pytest.mark.parametrize(
        ("schema", "told"),
        [
            ([], "an object at `parameters`"),
            ({"required": True}, "`required` at `parameters`"),
            ({"required": [1]}, "names in `required`"),
            ({"properties": {"a": {"pattern": "("}}}, "`parameters.properties.a`"),
            ({"properties": {"a": {"anyOf": [{"enum": 1}]}}}, "`parameters.properties.a.anyOf[0]`"),
            ({"$defs": {"d": 1}}, "`parameters.$defs.d`"),
        ],
    )
    def test_tells_what_is_wrong_and_where(self, schema, told):
        assert told in problem_in(schema)

    def test_leaves_alone_what_it_does_not_read(self):
        assert problem_in({"type": "object", "properties": {"pattern": {"items": 5, "x": 1}}}) is None

    @given(st.dictionaries(st.sampled_from(KEYWORDS), SCHEMAS, max_size=4), st.text(max_size=20))
    def test_lets_through_only_what_can_be_read(self, schema, text):
        assume(problem_in(schema) is None)

        read = read_arguments(schema, f"{text} x 5 `x`")

        assert read is None or set(schema.get("required", [])) <= read.keys()


class TestBranchesOf:
    def test_ends_on_a_schema_that_refers_to_itself(self):
        root = {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "integer"}]}}}

        branches = list(branches_of({"$ref": "#/$defs/a"}, root=root))

        assert {branch["type"] for branch in branches} == {"integer"}
