"""Secrets are not found in what others wrote."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.secret_text import SecretText

KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nSECOND-LINE-OF-THE-KEY\n-----END KEY-----"


class TestSecretText:
    def test_cuts_a_secret_out(self):
        assert SecretText(["s3cr3t"]).cut_from("it is s3cr3t, s3cr3t") == "it is [secret], [secret]"

    @pytest.mark.parametrize("printed", [KEY, repr(KEY), json.dumps({"key": KEY})])
    def test_cuts_every_line_of_a_key_however_it_is_printed(self, printed):
        left = "\n".join(SecretText([KEY]).cut_from(line) for line in printed.splitlines())

        assert "MIIE" not in left
        assert "SECOND" not in left

    @given(st.integers(0, 3000), st.integers(0, 3000))
    def test_cuts_what_is_left_of_a_long_secret_on_a_line_that_was_cut(self, start, end):
        secret = "".join(f"{number:04d}" for number in range(750))
        part = secret[min(start, end) : max(start, end)]

        left = SecretText([secret]).cut_from(part)

        assert len(left.replace("[secret]", "")) < 64

    @pytest.mark.parametrize("secret", ["", "abc", "\n"])
    def test_leaves_what_stands_in_any_text_by_chance(self, secret):
        assert SecretText([secret]).cut_from("abc\n") == "abc\n"
