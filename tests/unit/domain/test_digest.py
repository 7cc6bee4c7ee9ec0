"""Digests name content, not its accidents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.digest import canonical_json, digest_bytes, digest_json, digest_tree, short

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class TestDigestBytes:
    def test_is_sha_256(self):
        """Source: FIPS 180-2, appendix B.1, the digest of `abc`."""
        assert digest_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


class TestDigestJson:
    @given(st.dictionaries(st.text(), JSON, max_size=5))
    def test_does_not_depend_on_the_order_of_keys(self, value):
        assert digest_json(dict(reversed(value.items()))) == digest_json(value)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_refuses_what_json_cannot_carry(self, value):
        with pytest.raises(ValueError, match="Out of range"):
            canonical_json(value)


class TestDigestTree:
    def test_changes_with_a_name_as_with_a_content(self):
        a, b = digest_bytes(b"a"), digest_bytes(b"b")

        assert len({digest_tree({"x": a}), digest_tree({"x": b}), digest_tree({"y": a})}) == 3


class TestShort:
    def test_keeps_twelve_digits(self):
        assert short(digest_bytes(b"abc")) == "ba7816bf8f01"
