from hypothesis import given
from hypothesis import strategies as st

from goldgate.adapters.mcp_tools.lines import BoundedLines, TooLong


def fed(content: bytes, *, most_bytes: int, chunk: int) -> list[bytes | TooLong]:
    lines = BoundedLines(most_bytes=most_bytes)
    return [line for at in range(0, len(content), chunk) for line in lines.feed(content[at : at + chunk])]


class TestBoundedLines:
    @given(
        st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line)), st.integers(1, 50), st.integers(0, 20)
    )
    def test_give_every_line_however_it_comes_and_none_above_the_bound(self, written, chunk, most):
        content = b"".join(line + b"\n" for line in written)

        given_back = fed(content, most_bytes=most, chunk=chunk)

        assert len(given_back) == len(written)
        for line, got in zip(written, given_back, strict=True):
            if len(line) <= most:
                assert got == line
            else:
                assert (got.size, got.head, got.tail[-20:]) == (len(line), line, line[-20:])

    def test_hold_no_more_than_the_bound(self):
        lines = BoundedLines(most_bytes=1_000)
        for _ in range(100):
            lines.feed(b"x" * 65_536)

        assert lines.pending == 6_553_600
        assert sum(map(len, lines._parts)) + len(lines._head) + len(lines._tail) <= 2_100

    def test_know_which_request_a_line_answers_that_was_too_long(self):
        first = b'{"jsonrpc":"2.0","id":7,"result":"' + b"x" * 5_000 + b'"}'
        last = b'{"result":"' + b'"id": 9,' * 900 + b'"x", "id": 8, "jsonrpc": "2.0"}'
        neither = b"x" * 5_000

        told = fed(b"\n".join([first, last, neither, b""]), most_bytes=1_000, chunk=512)

        assert [line.answers for line in told] == [7, 8, None]
