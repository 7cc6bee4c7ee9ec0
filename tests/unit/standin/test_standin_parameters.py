"""Schemas come from outside: what cannot be read is refused, and nothing else breaks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.standin.arguments import read_arguments
from goldgate.standin.parameters import branches_of, problem_in

NAMES = st.sampled_from(["x", "y", "#/$defs/x", "#/$defs/y"])
WELL_FORMED = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["integer", "number", "boolean", "string", "null", ["null", "integer"]]),
            "enum": st.lists(st.none() | st.integers() | st.sampled_from(["x", "5"])),
            "pattern": st.sampled_from([r"\d", "x", "^$"]),
            "minimum": st.floats(allow_nan=False),
            "$ref": NAMES,
            "required": st.lists(NAMES, max_size=2),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {"properties": st.dictionaries(NAMES, inner, max_size=2)},
        optional={
            "$defs": st.dictionaries(NAMES, inner, max_size=2),
            "anyOf": st.lists(inner, max_size=2),
            "required": st.lists(NAMES, max_size=2),
        },
    ),
    max_leaves=6,
)
ANYTHING = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | WELL_FORMED,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["properties", "$defs", "anyOf"]), inner)
    ),
    max_leaves=5,
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

    @given(WELL_FORMED, st.text(max_size=20))
    def test_lets_through_what_can_be_read(self, schema, text):
        assert problem_in(schema) is None

        read = read_arguments(schema, f"{text} x 5 `x`")

        assert read is None or set(schema.get("required", [])) <= read.keys()

    @given(ANYTHING)
    def test_refuses_all_else(self, schema):
        if (problem := problem_in(schema)) is None:
            read = read_arguments(schema, "x 5")
            assert read is None or read.keys() <= {*schema.get("properties", []), *schema.get("required", [])}
        else:
            assert "`" in problem


class TestBranchesOf:
    def test_ends_on_a_schema_that_refers_to_itself(self):
        root = {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "integer"}]}}}

        branches = list(branches_of({"$ref": "#/$defs/a"}, root=root))

        assert {branch["type"] for branch in branches} == {"integer"}
