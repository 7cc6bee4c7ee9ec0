"""JSON Schemas as an API server wants them."""

import re
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, JsonValue

from goldgate.contracts.base import ResourceContract
from goldgate.domain.structural_schemas import ANYTHING, RULES, Demands, NotStructuralError, Rule, cel_text, structural

Key = Annotated[str, Field(pattern="^[A-Z]+$")]


class Inner(ResourceContract):
    """What stands inside."""

    count: int = Field(default=3, gt=0, le=9)
    """How many."""


class Outer(ResourceContract):
    """All that a contract may say."""

    kind: Literal["Outer"]
    inner: Inner
    """Read first."""
    other: Inner | None = None
    ratio: float = Field(default=0.5, ge=0, lt=1)
    words: list[str] = Field(default_factory=list, max_length=4)
    settings: dict[Key, str] = Field(default_factory=dict, max_length=7)
    anything: dict[str, JsonValue] = Field(default_factory=dict)
    choice: Literal["a", "b"] | None = None
    name: str = Field(pattern="^[a-z]+$", max_length=63)


def written(schema=None, *, demands=None):
    return structural(schema or Outer.model_json_schema(by_alias=True), name="Outer", demands=demands or {})


def field(name: str):
    return written()["properties"][name]


class TestStructural:
    def test_names_what_must_be_there(self):
        assert written()["required"] == ["kind", "inner", "name"]

    def test_writes_references_out_with_the_words_of_the_field_before_those_of_the_contract(self):
        assert field("inner")["description"] == "Read first."
        assert field("other")["description"] == "What stands inside."
        assert field("inner")["properties"] == field("other")["properties"]

    def test_lets_a_value_be_null_where_the_contract_does(self):
        assert field("other")["nullable"]
        assert "nullable" not in field("inner")

    def test_lets_no_choice_be_null_which_no_enum_can_say(self):
        assert field("choice") == {"type": "string", "enum": ["a", "b"]}

    def test_writes_one_value_as_a_choice_of_one(self):
        assert field("kind") == {"type": "string", "enum": ["Outer"]}

    def test_writes_an_open_bound_as_a_flag_beside_it(self):
        count = field("inner")["properties"]["count"]

        assert (count["minimum"], count["exclusiveMinimum"], count["maximum"]) == (0, True, 9)
        assert (field("ratio")["maximum"], field("ratio")["exclusiveMaximum"]) == (1, True)
        assert "exclusiveMinimum" not in field("ratio")

    def test_holds_the_keys_of_a_map_by_a_rule(self):
        settings = field("settings")

        assert settings["additionalProperties"] == {"type": "string"}
        assert settings["maxProperties"] == 7
        assert settings[RULES] == [
            {"rule": "self.all(key, key.matches('^[A-Z]+$'))", "message": "expected keys that match `^[A-Z]+$`"}
        ]

    def test_keeps_unknown_fields_only_where_any_value_may_stand(self):
        assert field("anything")["additionalProperties"] == ANYTHING
        assert str(written()).count("x-kubernetes-preserve-unknown-fields") == 1

    def test_gives_no_defaults_and_tells_them(self):
        assert "'default'" not in str(written())
        assert field("ratio")["description"] == "Default: 0.5"
        assert field("inner")["properties"]["count"]["description"] == "How many. Default: 3"

    def test_says_nothing_that_no_structural_schema_may_say(self):
        said = str(written())

        assert [
            word
            for word in ("$ref", "$defs", "anyOf", "title", "const", "'additionalProperties': False")
            if word in said
        ] == []

    def test_adds_what_is_demanded_wherever_the_contract_stands(self):
        rule = Rule(cel="self.count > 1", message="2", at=".count", reason="FieldValueRequired")
        demands = {"Inner": Demands(rules=[rule], schema={"properties": {"count": {"not": {"enum": [5]}}}})}

        properties = written(demands=demands)["properties"]

        for name in ("inner", "other"):
            assert properties[name][RULES] == [
                {
                    "rule": "self.count > 1",
                    "message": "expected 2",
                    "fieldPath": ".count",
                    "reason": "FieldValueRequired",
                }
            ]
            assert properties[name]["properties"]["count"]["not"] == {"enum": [5]}
            assert properties[name]["properties"]["count"]["maximum"] == 9

    def test_shortens_a_long_description(self):
        described = written({"type": "string", "description": "word " * 200})["description"]

        assert len(described) == 400
        assert described.endswith("…")

    @pytest.mark.parametrize(
        "schema",
        [
            {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            {"type": ["string", "null"]},
            {"type": "string", "pattern": "^(?!a)b"},
            {"type": "string", "pattern": r"(a)\1"},
            {"type": "object", "patternProperties": {"^(?=a)": {"type": "string"}}},
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/A"}}}},
        ],
        ids=lambda schema: str(schema)[:40],
    )
    def test_refuses_what_it_cannot_say(self, schema):
        with pytest.raises(NotStructuralError):
            written(schema)


class TestCelText:
    @given(st.text(alphabet=st.characters(blacklist_categories=["Cs"])))
    def test_reads_back_as_the_text(self, text):
        literal = cel_text(text)

        inside = literal.removeprefix("'").removesuffix("'")
        assert re.fullmatch(r"(?:[^'\\\n]|\\.)*", inside)
        unescaped = re.sub(r"\\(.)", lambda escape: "\n" if escape[1] == "n" else escape[1], inside)
        assert unescaped == text
