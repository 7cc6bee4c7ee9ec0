"""Several schemas of one kind, merged."""

import pytest

from goldgate.domain.schema_variants import Variant, merged
from goldgate.domain.structural_schemas import RULES, NotStructuralError


def thing(properties, *required, **more):
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {}), **more}


def merge(special, general):
    variants = [
        Variant(name="a special one", key="special", schema=special),
        Variant(name="a general one", key=None, schema=general),
    ]
    return merged(variants)


TEXT = {"type": "string"}
SPECIAL = {"special": TEXT}


class TestMerged:
    def test_has_the_fields_of_all(self):
        whole = merge(thing({"a": TEXT, **SPECIAL}, "a", "special"), thing({"a": TEXT, "b": TEXT}, "a"))

        assert whole["properties"] == {"a": TEXT, "special": TEXT, "b": TEXT}
        assert whole["required"] == ["a"]

    def test_forbids_a_field_where_it_does_not_belong(self):
        (rule,) = merge(thing(SPECIAL, "special"), thing({"b": TEXT}))[RULES][1:]

        assert rule == {
            "rule": "!has(self.b) || (!has(self.special))",
            "message": "expected `b` only in a general one",
            "fieldPath": ".b",
            "reason": "FieldValueForbidden",
        }

    def test_requires_a_field_where_it_is_required(self):
        rules = merge(thing(SPECIAL, "special"), thing({"b": TEXT}, "b"))[RULES]

        assert {
            "rule": "(has(self.special)) || (has(self.b))",
            "message": "expected `b`, required in a general one",
            "fieldPath": ".b",
            "reason": "FieldValueRequired",
        } in rules

    def test_does_not_require_the_field_that_chooses(self):
        rules = merge(thing(SPECIAL, "special"), thing({}))[RULES]

        assert [rule for rule in rules if rule.get("reason") == "FieldValueRequired"] == []

    def test_merges_what_stands_inside(self):
        one = thing({**SPECIAL, "limits": thing({"x": TEXT})}, "special")

        whole = merge(one, thing({"limits": thing({"x": TEXT, "y": TEXT})}))

        assert whole["properties"]["limits"]["properties"] == {"x": TEXT, "y": TEXT}
        assert "!has(self.limits) || !has(self.limits.y) || (!has(self.special))" in {
            rule["rule"] for rule in whole[RULES]
        }

    def test_says_a_limit_of_one_by_a_rule(self):
        limited = {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 9}

        whole = merge(thing({**SPECIAL, "a": limited}), thing({"a": {"type": "number", "maximum": 9}}))

        assert whole["properties"]["a"] == {"type": "number", "maximum": 9}
        assert {
            "rule": "!has(self.a) || (!has(self.special)) || (self.a > 0.0)",
            "message": "expected a value > 0 in a special one",
            "fieldPath": ".a",
        } in whole[RULES]

    def test_says_a_length_of_one_by_a_rule(self):
        whole = merge(thing({**SPECIAL, "a": {"type": "string", "minLength": 1, "nullable": True}}), thing({"a": TEXT}))

        assert whole["properties"]["a"] == {"type": "string", "nullable": True}
        assert "!has(self.a) || (!has(self.special)) || (size(self.a) >= 1)" in {rule["rule"] for rule in whole[RULES]}

    def test_keeps_a_rule_of_all_and_lifts_a_rule_of_one(self):
        shared = {"rule": "self.x != 'self'", "message": "shared"}
        own = {"rule": "has(self.x)", "message": "expected own", "fieldPath": ".x", "reason": "FieldValueRequired"}
        one = thing({**SPECIAL, "in": thing({"x": TEXT}, **{RULES: [shared, own]})})

        whole = merge(one, thing({"in": thing({"x": TEXT, "y": TEXT}, **{RULES: [shared]})}))

        assert whole["properties"]["in"][RULES] == [shared]
        assert {
            "rule": "!has(self.in) || (!has(self.special)) || (has(self.in.x))",
            "message": "expected own",
            "fieldPath": ".in.x",
            "reason": "FieldValueRequired",
        } in whole[RULES]

    def test_tells_what_each_says_of_a_value(self):
        one, other = {**TEXT, "description": "Default: a"}, {**TEXT, "description": "Default: b"}

        whole = merge(thing({**SPECIAL, "a": one}), thing({"a": other}))

        assert whole["properties"]["a"]["description"] == "In a special one: Default: a In a general one: Default: b"

    def test_describes_an_object_as_all_variants_do(self):
        whole = merge(thing(SPECIAL, description="It calls."), thing({"a": TEXT}, description="It answers."))

        assert whole["description"] == "In a special one: It calls. In a general one: It answers."

    def test_refuses_one_name_for_two_things(self):
        with pytest.raises(NotStructuralError, match=r"`\.a`"):
            merge(thing({**SPECIAL, "a": TEXT}), thing({"a": {"type": "integer"}}))
