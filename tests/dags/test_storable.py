"""What Airflow's database can take."""

import json

from hypothesis import given
from hypothesis import strategies as st

from goldgate_airflow.storable import storable

SIGNS = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    SIGNS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SIGNS, inner, max_size=3),
)


class TestStorable:
    @given(value=VALUES)
    def test_has_no_sign_that_postgresql_refuses(self, value: object):
        text = json.dumps(storable(value), ensure_ascii=False)

        assert "\\u0000" not in text.replace("\\\\", "")
        assert text.encode("utf-8")

    @given(value=st.recursive(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), st.lists))
    def test_leaves_all_else_as_it_is(self, value: object):
        assert storable(value) == value
