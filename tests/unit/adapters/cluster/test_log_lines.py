"""Where a line of a log ends."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.adapters.cluster.log_lines import lines_of


def read(*chunks: bytes, longest_bytes: int = 1_000) -> list[str]:
    async def given() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def all_of() -> list[str]:
        return [line async for line in lines_of(given(), longest_bytes=longest_bytes)]

    return asyncio.run(all_of())


class TestLines:
    @pytest.mark.parametrize("sign", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
    def test_do_not_end_at_a_sign_that_only_python_takes_for_an_end(self, sign: str):
        assert read(f"a{sign}b\nc\n".encode()) == [f"a{sign}b", "c"]

    def test_are_without_the_carriage_return_before_their_end(self):
        assert read(b"a\r\n\r\nb") == ["a", "", "b"]

    def test_that_are_too_long_say_how_much_is_left_out(self):
        assert read(b"abc", b"def\nnext\n", longest_bytes=4) == ["abcd … (2 bytes of this line left out)", "next"]

    def test_that_are_no_text_are_read_all_the_same(self):
        assert read(b"\xff\xfe\n") == ["\ufffd\ufffd"]

    @given(log=st.binary(max_size=40), cuts=st.lists(st.integers(min_value=0, max_value=40)))
    def test_are_the_same_however_the_log_is_cut(self, log: bytes, cuts: list[int]):
        edges = [0, *sorted(cuts), len(log)]

        pieces = [log[start:end] for start, end in itertools.pairwise(edges)]

        assert read(*pieces) == read(log)
