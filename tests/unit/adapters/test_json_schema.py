import pytest

from goldgate.adapters.json_schema import compile_schema
from goldgate.domain.errors import PermanentError

SCHEMA = {
    "type": "object",
    "properties": {
        "count": {"type": "integer", "minimum": 3},
        "mode": {"enum": ["fast", "slow"]},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "names": {"type": "array", "items": {"type": "string", "pattern": "^z"}},
    },
    "required": ["count"],
    "additionalProperties": False,
}


class TestCompileSchema:
    def test_finds_nothing_wrong_with_what_fits(self):
        assert compile_schema(SCHEMA)({"count": 3, "mode": "fast", "note": None, "names": ["zoe"]}) == []

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ({}, "- the arguments: found `{}`, expected the field `count`."),
            ({"count": 1}, "- `count`: found `1`, expected minimum 3."),
            ({"count": "3"}, '- `count`: found `"3"`, expected type integer.'),
            ({"count": 3, "mode": "idle"}, '- `mode`: found `"idle"`, expected one of ["fast", "slow"].'),
            ({"count": 3, "names": ["zoe", "bob"]}, '- `names[1]`: found `"bob"`, expected pattern "^z".'),
            (
                {"count": 3, "note": 1},
                (
                    "- `note`: found `1`, expected one of its schemas "
                    '(1 is not of type "null"; 1 is not of type "string").'
                ),
            ),
            ({"count": 3, "x": 1}, '- the arguments: found `{"count": 3, "x": 1}`, expected no field `x`.'),
        ],
    )
    def test_tells_path_found_and_expected(self, arguments, sentence):
        assert compile_schema(SCHEMA)(arguments) == [sentence]

    def test_tells_several_problems_and_counts_the_rest(self):
        problems = compile_schema(SCHEMA)({"count": 3, "names": ["a"] * 9})

        assert len(problems) == 6
        assert problems[-1] == "and 4 more"

    @pytest.mark.parametrize(
        "schema",
        [{"type": "nope"}, {"$ref": "http://nowhere.example/x"}, {"properties": {"a": {"$ref": "#/$defs/gone"}}}],
    )
    def test_refuses_what_is_no_schema_and_fetches_nothing(self, schema):
        with pytest.raises(PermanentError, match="no JSON Schema"):
            compile_schema(schema)
