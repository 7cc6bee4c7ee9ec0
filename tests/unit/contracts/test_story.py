"""Stories of releases, and the patches that make them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from goldgate.contracts.base import ContractError
from goldgate.contracts.documents import parse
from goldgate.contracts.story import Story, merge_patch

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
WITHOUT_NULL = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def _story(**changes: object) -> dict[str, object]:
    release = {"name": "first", "reason": "a first version", "expect": "promoted"}
    live = {"path": "live.jsonl", "requests_per_second": 10, "callers": 50}
    return {"version": 1, "live": live, "releases": [release], **changes}


class TestMergePatch:
    @pytest.mark.parametrize(
        ("target", "patch", "merged"),
        [
            ({"a": "b"}, {"a": "c"}, {"a": "c"}),
            ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
            ({"a": "b"}, {"a": None}, {}),
            ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
            ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
            ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
            ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
            ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
            (["a", "b"], ["c", "d"], ["c", "d"]),
            ({"a": "b"}, ["c"], ["c"]),
            ({"a": "foo"}, None, None),
            ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
            ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
            ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ],
    )
    def test_does_what_the_standard_says(self, target: JsonValue, patch: JsonValue, merged: JsonValue):
        """Source: RFC 7396, appendix A."""
        assert merge_patch(target, patch) == merged

    @given(target=JSON, patch=JSON)
    def test_changes_nothing_more_when_applied_again(self, target: JsonValue, patch: JsonValue):
        once = merge_patch(target, patch)

        assert merge_patch(once, patch) == once

    @given(target=WITHOUT_NULL)
    def test_with_an_empty_patch_changes_no_object(self, target: JsonValue):
        document = {"spec": target}

        assert merge_patch(document, {}) == document


class TestStory:
    def test_takes_a_release_without_changes(self):
        story = parse(_story(), Story, where="story.yaml")

        assert story.releases[0].patch == {}

    def test_refuses_two_releases_of_one_name(self):
        release = {"name": "first", "reason": "again", "expect": "blocked"}

        with pytest.raises(ContractError, match="names that differ"):
            parse(_story(releases=[release, release]), Story, where="story.yaml")

    def test_refuses_an_outcome_that_no_release_has(self):
        release = {"name": "first", "reason": "hope", "expect": "success"}

        with pytest.raises(ContractError, match="promoted"):
            parse(_story(releases=[release]), Story, where="story.yaml")

    def test_refuses_traffic_from_outside_the_folder(self):
        live = {"path": "../live.jsonl", "requests_per_second": 10, "callers": 50}

        with pytest.raises(ContractError, match="inside the agent's folder"):
            parse(_story(live=live), Story, where="story.yaml")
