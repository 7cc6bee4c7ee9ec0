"""The chain shows whatever was done to it."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.chain import GENESIS, Head, problems_of_chain, seal


def chain(length: int) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = []
    previous = GENESIS
    for seq in range(length):
        entry: dict[str, object] = {"seq": seq, "what": f"decision {seq}", "previous": previous}
        entry["hash"] = previous = seal(entry)
        entries.append(entry)
    return entries


def head_of(entries: list[dict[str, object]]) -> Head | None:
    return Head(seq=int(str(entries[-1]["seq"])), hash=str(entries[-1]["hash"])) if entries else None


LENGTHS = st.integers(min_value=1, max_value=8)


class TestProblemsOfChain:
    @given(length=st.integers(min_value=0, max_value=8))
    def test_are_none_for_a_chain_as_it_was_written(self, length: int):
        entries = chain(length)

        assert problems_of_chain(entries, head=head_of(entries)) == []

    @given(length=LENGTHS, data=st.data())
    def test_show_a_changed_entry(self, length: int, data: st.DataObject):
        entries = chain(length)
        head = head_of(entries)
        at = data.draw(st.integers(0, length - 1))
        entries[at]["what"] = "another decision"

        problems = problems_of_chain(entries, head=head)

        assert any(f"entry {at} was changed" in problem for problem in problems)

    @given(length=LENGTHS, data=st.data())
    def test_show_a_changed_entry_that_was_sealed_again(self, length: int, data: st.DataObject):
        """Whoever changes an entry and its hash must change all after it, and then the head tells."""
        entries = chain(length)
        head = head_of(entries)
        at = data.draw(st.integers(0, length - 1))
        entries[at]["what"] = "another decision"
        previous = entries[at]["previous"]
        for entry in entries[at:]:
            entry["previous"] = previous
            entry["hash"] = previous = seal(entry)

        assert problems_of_chain(entries, head=head) == [
            f"Entry {length - 1} is another one than the head remembers ({head.hash[:12] if head else ''})."
        ]

    @given(length=LENGTHS, data=st.data())
    def test_show_a_missing_entry(self, length: int, data: st.DataObject):
        entries = chain(length)
        head = head_of(entries)
        del entries[data.draw(st.integers(0, length - 1))]

        assert any("missing" in problem for problem in problems_of_chain(entries, head=head))

    @given(length=st.integers(2, 8), data=st.data())
    def test_show_entries_that_were_moved(self, length: int, data: st.DataObject):
        entries = chain(length)
        head = head_of(entries)
        moved = data.draw(st.permutations(entries).filter(lambda order: order != entries))

        assert problems_of_chain(moved, head=head)

    @given(length=LENGTHS, data=st.data())
    def test_show_an_entry_that_is_there_twice(self, length: int, data: st.DataObject):
        entries = chain(length)
        head = head_of(entries)
        at = data.draw(st.integers(0, length - 1))
        entries.insert(at, copy.deepcopy(entries[at]))

        assert any("moved, or there twice" in problem for problem in problems_of_chain(entries, head=head))

    def test_show_an_entry_of_another_chain(self):
        entries = chain(3)
        entries[1] = {"seq": 1, "what": "forged", "previous": GENESIS}
        entries[1]["hash"] = seal(entries[1])

        problems = problems_of_chain(entries, head=head_of(entries))

        assert [problem[:40] for problem in problems] == [
            "Line 2: entry 1 is chained to 0000000000",
            f"Line 3: entry 2 is chained to {str(entries[2]['previous'])[:10]}",
        ]

    def test_count_the_gap(self):
        entries = chain(6)
        del entries[2:5]

        assert "Line 3: entries 2 to 4 are missing before entry 5." in problems_of_chain(entries, head=head_of(entries))


class TestHead:
    def test_may_be_one_behind_after_a_crash_between_the_two_writes(self):
        entries = chain(3)

        assert problems_of_chain(entries, head=head_of(entries[:2])) == []
        assert problems_of_chain(entries[:1], head=None) == []

    @pytest.mark.parametrize(("known", "said"), [(1, "entry 0"), (0, "nothing")])
    def test_shows_entries_added_by_another_hand(self, known: int, said: str):
        entries = chain(3)

        problems = problems_of_chain(entries, head=head_of(entries[:known]))

        assert problems == [
            f"Entries up to 2 are there, but the head remembers {said}: they were not added by the ledger."
        ]

    def test_shows_that_all_is_gone(self):
        assert problems_of_chain([], head=head_of(chain(3))) == ["All entries are missing: the head remembers entry 2."]

    def test_shows_that_the_end_is_gone(self):
        entries = chain(5)

        assert problems_of_chain(entries[:3], head=head_of(entries)) == [
            "The end is missing: the last entry is 2, but the head remembers entry 4."
        ]
