import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.agent.tools.arguments import read_arguments

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class TestReadArguments:
    @given(st.dictionaries(st.text(), JSON))
    def test_reads_every_object_as_it_was_written(self, value):
        assert read_arguments(json.dumps(value)) == (value, None)

    @pytest.mark.parametrize(
        ("raw", "said"),
        [
            ("{", "which is not JSON"),
            ("[1]", "a JSON array; expected one JSON object"),
            ("true", "a JSON boolean"),
            ("null", "a JSON null"),
            ('{"a": 1, "a": 2}', "the field `a` stands there twice"),
            ('{"a": {"b": 1, "b": 1}}', "the field `b` stands there twice"),
            ('{"a": NaN}', "NaN is no number of JSON"),
            ('{"a": -Infinity}', "-Infinity is no number"),
            ('{"a": 1e999}', "1e999 is too large a number"),
            ('{"a": "\\ud83d"}', "half a surrogate pair"),
            ('{"\\udc00": 1}', "half a surrogate pair"),
            ('{"a":' * 65 + "1" + "}" * 65, "more than 64 levels"),
            ("[" * 200_000, "more than 64 levels"),
            ('{"a": "' + "x" * 1_000_001 + '"}', "at most 1000000 are read"),
            ('{"a": ' + "9" * 5_000 + "}", "not JSON"),
            ("{'a': 1}", "not JSON"),
        ],
    )
    def test_refuses_what_json_leaves_open(self, raw, said):
        arguments, problem = read_arguments(raw)

        assert arguments == {}
        assert said in problem
        assert len(problem) < 400

    def test_keeps_a_number_as_it_was_written(self):
        arguments, _ = read_arguments('{"a": 1.0, "b": 123456789012345678901234567890}')

        assert (arguments, type(arguments["a"])) == ({"a": 1.0, "b": 123456789012345678901234567890}, float)

    def test_takes_a_whole_surrogate_pair(self):
        assert read_arguments('{"a": "\\ud83d\\ude00"}') == ({"a": "😀"}, None)
