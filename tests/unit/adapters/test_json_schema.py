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
        [
            {"type": "nope"},
            {"$ref": "http://nowhere.example/x"},
            {"$ref": "file:///etc/hostname"},
            {"properties": {"a": {"$ref": "#/$defs/gone"}}},
            {"$schema": "http://nowhere.example/draft"},
            {"$schema": "http://json-schema.org/draft-03/schema#"},
            {"pattern": "("},
            {"required": "a"},
            {"const": "\ud800"},
            {"minimum": float("nan")},
        ],
    )
    def test_refuses_what_is_no_schema_and_fetches_nothing(self, schema):
        with pytest.raises(PermanentError, match="no JSON Schema"):
            compile_schema(schema)


class TestTheDraft:
    """Every required test of the public suite that asks for no remote document passes, for drafts 4 to 2020-12."""

    @pytest.mark.parametrize(
        ("schema", "value", "fits"),
        [
            (True, 1, True),
            (False, 1, False),
            ({"type": "integer"}, 1.0, True),
            ({"type": "integer", "maximum": 5}, 10**400, False),
            ({"prefixItems": [{"type": "string"}]}, [1], False),
            ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]}, [1], False),
            ({"$schema": "http://json-schema.org/draft-07/schema#", "prefixItems": [{"type": "string"}]}, [1], True),
            ({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": True}, 1, False),
            ({"$schema": "http://json-schema.org/draft-07/schema#", "format": "email"}, "x", False),
            ({"format": "email"}, "x", True),
            ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, {"type": "nope"}, False),
            ({"properties": {"a": {"$ref": "#"}}, "additionalProperties": False}, {"a": {"b": 1}}, False),
        ],
    )
    def test_is_the_one_that_the_schema_names(self, schema, value, fits):
        assert (compile_schema(schema)(value) == []) is fits


class TestAnotherDialect:
    @pytest.mark.parametrize(
        ("schema", "said"),
        [
            ({"type": "dict"}, "- `type`: found `dict`, expected `object`."),
            ({"properties": {"a": {"type": "float"}}}, "- `properties.a.type`: found `float`, expected `number`."),
            ({"items": {"type": "String"}}, "- `items.type`: found `String`, expected `string`."),
            (
                {"anyOf": [{"type": "any"}]},
                "- `anyOf[0].type`: found `any`, expected no `type`, which lets any value pass.",
            ),
            ({"type": ["tuple"]}, "- `type`: found `tuple`, expected `array`, with `prefixItems` or `uniqueItems`."),
            (
                {"type": "Foo"},
                "- `type`: found `Foo`, expected one of array, boolean, integer, null, number, object, string.",
            ),
            (
                {"properties": {"a": {"type": "string", "required": True}}},
                "- `properties.a.required`: found `true`, expected the object above to name it in its list `required`.",
            ),
            (
                {"city": {"type": "str, optional"}},
                (
                    "- the schema: found only `city`, which say nothing to a checker; expected keywords of JSON "
                    "Schema, such as `type: object` with `properties`."
                ),
            ),
        ],
    )
    def test_is_refused_with_path_and_the_right_word(self, schema, said):
        with pytest.raises(PermanentError) as raised:
            compile_schema(schema)

        assert str(raised.value) == f"Found a schema that is no JSON Schema; correct the tool:\n{said}"

    def test_is_told_in_all_its_places_but_for_a_bounded_number(self):
        schema = {"type": "dict", "properties": {f"p{n}": {"type": "float"} for n in range(50)}}

        with pytest.raises(PermanentError) as raised:
            compile_schema(schema)

        assert len(str(raised.value).splitlines()) == 11

    def test_is_no_matter_where_a_schema_holds_data(self):
        data = {"type": "dict"}

        assert compile_schema({"enum": [data], "default": data, "examples": [data]})(data) == []
        assert compile_schema({"properties": {"type": {"type": "string"}}})({"type": "dict"}) == []
        assert compile_schema({})({}) == []
        assert compile_schema({"description": "Anything.", "default": 1})({}) == []

    def test_is_not_the_wrapping_that_a_model_endpoint_wants(self):
        """Its `parameters` are the schema; taken for one itself, it would let everything pass."""
        wrapped = {"name": "add", "description": "Add.", "parameters": {"type": "object"}}

        with pytest.raises(PermanentError, match="found only `name`, `parameters`, which say nothing"):
            compile_schema(wrapped)


class TestAHostileSchema:
    def doubling(self, levels: int) -> dict[str, object]:
        defs: dict[str, object] = {"a0": {"type": "string"}}
        for n in range(1, levels):
            defs[f"a{n}"] = {"allOf": [{"$ref": f"#/$defs/a{n - 1}"}, {"$ref": f"#/$defs/a{n - 1}"}]}
        return {"$ref": f"#/$defs/a{levels - 1}", "$defs": defs}

    def nested(self, levels: int) -> dict[str, object]:
        schema: dict[str, object] = {"type": "string"}
        for _ in range(levels):
            schema = {"properties": {"a": schema}}
        return schema

    def chained(self, length: int) -> dict[str, object]:
        defs = {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(length)}
        return {"$ref": "#/$defs/a0", "$defs": {**defs, f"a{length}": {}}}

    def test_that_doubles_itself_is_refused(self):
        with pytest.raises(PermanentError, match="schemas for one value, expected at most 10000"):
            compile_schema(self.doubling(60))

    def test_that_doubles_itself_by_names_is_refused(self):
        named = self.doubling(60)
        named["$defs"]["x"] = {"$id": "http://x.example/y"}

        with pytest.raises(PermanentError, match="references by name, expected at most 24"):
            compile_schema(named)

    def test_that_doubles_itself_within_the_bound_is_told_of_once(self):
        assert compile_schema(self.doubling(12))(1)[1:] == ["and perhaps more"]

    @pytest.mark.parametrize("levels", [200, 5_000])
    def test_that_is_too_deep_is_refused(self, levels):
        with pytest.raises(PermanentError, match="JSON Schema"):
            compile_schema(self.nested(levels))

    def test_that_is_too_large_is_refused(self):
        with pytest.raises(PermanentError, match="expected at most 512000 bytes"):
            compile_schema({"enum": list(range(200_000))})

    @pytest.mark.parametrize("schema", [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}, {"not": {"anyOf": [{"$ref": "#"}]}}])
    def test_that_never_ends_is_refused(self, schema):
        with pytest.raises(PermanentError, match="comes back to itself"):
            compile_schema(schema)

    def test_that_refers_on_and_on_is_refused_or_ends(self):
        with pytest.raises(PermanentError):
            compile_schema(self.chained(4_000))
        assert compile_schema(self.chained(100))(1) == []

    @pytest.mark.parametrize("pattern", ["^(a+)+$", "^(?=(a+)+$)b", r"^(?:(a+)+)\1$", "(a*)*b(?!x)"])
    def test_with_a_pattern_that_goes_back_for_ever_ends(self, pattern):
        """It would take the age of the universe; the limit of the test is its time."""
        assert len(compile_schema({"pattern": pattern})("a" * 60 + "!")) == 1

    def test_tells_a_bounded_text_of_much(self):
        schema = {"items": {"enum": [f"value-{n}" for n in range(20_000)]}}
        problems = compile_schema(schema)(["x" * 10_000] * 2_000)

        assert len("\n".join(problems)) < 3_000
        assert problems[-1] == "and perhaps more"

    def test_counts_many_problems_only_so_far(self):
        assert compile_schema({"items": {"type": "string"}})([1] * 2_000)[-1] == "and 95+ more"

    @pytest.mark.parametrize("value", ["\ud800", {"a": "\ud800"}])
    def test_is_not_needed_to_refuse_a_value_that_is_no_json(self, value):
        assert (
            "no JSON" in compile_schema({"type": ["string", "object"], "properties": {"a": {"minLength": 1}}})(value)[0]
        )
