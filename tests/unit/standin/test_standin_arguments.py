"""Arguments are read off, never made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.standin.arguments import read_arguments

CRON = r"^\S+ \S+ \S+ \S+ \S+$"


def schema(required=None, /, **properties):
    return {"type": "object", "properties": properties, "required": list(properties) if required is None else required}


class TestReadArguments:
    @pytest.mark.parametrize(
        ("parameter", "text", "value"),
        [
            ({"type": "string", "pattern": CRON}, "When does 0 3 * * 1-5 fire?", "0 3 * * 1-5"),
            ({"type": "string", "pattern": CRON}, "When does `@ b c d e` fire?", "@ b c d e"),
            ({"type": "string", "pattern": r"^[a-z]+\.[a-z_]+$"}, "Is core.dags_folder, old?", "core.dags_folder"),
            ({"type": "string", "pattern": r"^[A-Z]{3}$"}, "Convert to USD, please.", "USD"),
            ({"type": "string", "pattern": r"^[a-z]+$"}, 'Translate "hello" for me', "hello"),
            ({"enum": ["day", "week"]}, "What is used by WEEK?", "week"),
            ({"const": "day"}, "Every day?", "day"),
            ({"type": "integer"}, "Give me the next 3 runs", 3),
            ({"type": "integer", "minimum": 10}, "Between 5 and 50 runs", 50),
            ({"type": "number"}, "Raise it to 2.5 seconds", 2.5),
            ({"type": "boolean"}, "Set it to TRUE", True),
            ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "Give me 4", 4),
            ({"type": ["null", "integer"]}, "Give me 4", 4),
        ],
    )
    def test_reads_a_value_by_its_schema(self, parameter, text, value):
        assert read_arguments(schema(x=parameter), text) == {"x": value}

    @pytest.mark.parametrize(
        ("parameter", "text"),
        [
            ({"type": "string"}, "Look up `this`"),
            ({"type": "string", "pattern": r"^[a-z]+$"}, "translate hello for me"),
            ({"type": "string", "pattern": CRON}, "when does the job start next"),
            ({"enum": ["day"]}, "On Monday or today?"),
            ({"type": "integer"}, "On 2026-11-21 at 10:30 or 1.5"),
            ({"type": "integer", "maximum": 5}, "Give me 50"),
            ({"type": "array", "items": {"type": "integer"}}, "1 2 3"),
        ],
    )
    def test_gives_up_on_what_the_text_does_not_hold(self, parameter, text):
        assert read_arguments(schema(x=parameter), text) is None

    def test_uses_no_words_twice(self):
        both = schema(low={"type": "integer"}, high={"type": "integer"})

        assert read_arguments(both, "from 3 to 7") == {"low": 3, "high": 7}
        assert read_arguments(both, "only 3") is None

    def test_does_not_count_inside_another_value(self):
        parameters = schema(["cron"], cron={"type": "string", "pattern": CRON}, count={"type": "integer"})

        assert read_arguments(parameters, "When does 0 3 * * 1 fire?") == {"cron": "0 3 * * 1"}
        assert read_arguments(parameters, "The next 2 times of 0 3 * * 1?") == {"cron": "0 3 * * 1", "count": 2}

    def test_fills_null_where_a_required_value_may_be_missing(self):
        assert read_arguments(schema(x={"anyOf": [{"type": "integer"}, {"type": "null"}]}), "none") == {"x": None}

    def test_follows_local_references(self):
        parameters = {**schema(x={"$ref": "#/$defs/Unit"}), "$defs": {"Unit": {"enum": ["day"]}}}

        assert read_arguments(parameters, "one day") == {"x": "day"}

    def test_needs_nothing_for_a_tool_without_parameters(self):
        assert read_arguments({}, "anything") == {}

    @given(st.text(max_size=80))
    def test_only_reads_what_stands_there(self, text):
        read = read_arguments(schema(x={"type": "string", "pattern": r"\d"}, y={"type": "integer"}), text)

        assert read is None or (read["x"] in text and str(read["y"]) in text.replace("-0", "0"))
