"""What a trigger hands on of what it said."""

import json

from hypothesis import given
from hypothesis import strategies as st

from goldgate_airflow.said_lines import MOST_BYTES, SaidLines


def said(*lines: str, most_bytes: int) -> list[str]:
    kept = SaidLines(most_bytes=most_bytes)
    for line in lines:
        kept.keep(line)
    return kept.lines("run-1")


class TestSaidLines:
    def test_are_all_while_there_is_room(self):
        assert said("one", "two", "three", "four", most_bytes=36) == ["one", "two", "three", "four"]

    def test_are_the_last_ones_and_tell_how_many_are_left_out(self):
        assert said("one", "two", "three", "four", "five", most_bytes=38) == [
            "Earlier lines left out: 1 (kubectl logs run-1)",
            "two",
            "three",
            "four",
            "five",
        ]

    def test_are_not_without_end_though_they_are_empty(self):
        assert len(said(*[""] * 100, most_bytes=40)) == 11

    def test_have_the_beginning_of_a_very_long_one_and_what_stands_beside_it(self):
        [first, long, last] = said("first", "x" * 1_000_000, "last", most_bytes=MOST_BYTES)

        assert (first, last) == ("first", "last")
        assert long.startswith("xxxx")
        assert long.endswith("characters left out)")

    @given(lines=st.lists(st.text(max_size=20)), most_bytes=st.integers(min_value=0, max_value=400))
    def test_are_the_last_ones_and_fit_as_json(self, lines: list[str], most_bytes: int):
        kept = said(*lines, most_bytes=most_bytes)

        left_out = bool(kept) and kept[0].startswith("Earlier lines left out")
        assert len(json.dumps(kept[left_out:])) <= max(most_bytes, len("[]"))
        assert len(kept) - left_out == len(lines) or left_out
