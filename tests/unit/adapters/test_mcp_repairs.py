"""Messages that are almost messages."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.adapters.mcp_tools.repairs import answer_for, whole


class TestWhole:
    @given(st.text())
    def test_leaves_whole_characters_as_they_are(self, text):
        for line in (json.dumps(text).encode(), json.dumps(text, ensure_ascii=False).encode()):
            assert json.loads(whole(line)) == text

    @given(st.text(alphabet=st.characters(codec=None, categories=["Cs", "Ll", "So"])))
    def test_leaves_no_half_character(self, text):
        """JSON carries them as escapes; a text in UTF-8 cannot hold them."""
        mended = json.loads(whole(json.dumps(text).encode()))

        assert isinstance(mended.encode(), bytes)

    def test_takes_no_escaped_backslash_for_the_beginning_of_an_escape(self):
        assert whole(rb'"\\ud83d"') == rb'"\\ud83d"'

    def test_replaces_bytes_that_are_no_utf8(self):
        assert whole(b'"caf\xe9"').decode() == '"caf\ufffd"'


class TestAnAnswer:
    @pytest.mark.parametrize(
        "line",
        [
            b"Listening on port 1",
            b"[]",
            b'{"id": true, "result": 1}',
            b'{"id": "a", "result": 1}',
            b'{"id": 1, "method": "roots/list", "params": 1}',
            b'{"jsonrpc": "2.0", "id": 1, "method": "x", "params": ' + b"[" * 100_000,
        ],
    )
    def test_is_stood_in_for_only_where_somebody_waits(self, line):
        assert answer_for(line) is None
