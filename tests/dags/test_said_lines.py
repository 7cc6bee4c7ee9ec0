"""What a trigger hands on of what it said."""

from hypothesis import given
from hypothesis import strategies as st

from goldgate_airflow.said_lines import SaidLines


def said(*lines: str, most_chars: int) -> list[str]:
    kept = SaidLines(most_chars=most_chars)
    for line in lines:
        kept.keep(line)
    return kept.lines("run-1")


class TestSaidLines:
    def test_are_all_while_there_is_room(self):
        assert said("one", "two", most_chars=6) == ["one", "two"]

    def test_are_the_last_ones_and_tell_how_many_are_left_out(self):
        assert said("one", "two", "three", most_chars=8) == [
            "Earlier lines left out: 1 (kubectl logs run-1)",
            "two",
            "three",
        ]

    @given(lines=st.lists(st.text(min_size=1, max_size=20)), most_chars=st.integers(min_value=0, max_value=60))
    def test_are_as_many_of_the_last_ones_as_have_room(self, lines: list[str], most_chars: int):
        kept = said(*lines, most_chars=most_chars)

        fitting = next(lines[start:] for start in range(len(lines) + 1) if len("".join(lines[start:])) <= most_chars)
        assert kept[len(kept) - len(fitting) :] == fitting
        assert len(kept) - len(fitting) == (fitting != lines)
