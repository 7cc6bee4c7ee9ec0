"""Every store of parts gives back what was put, whole or not at all, and keeps apart what it is for."""

from datetime import UTC, datetime

import pytest

from goldgate.contracts.cluster import StoredText
from goldgate.ports.parts import PartMissingError, PartStore
from tests.fakes.in_memory_parts import InMemoryParts

TEXTS = ["", "short", "ä\n\u2028\x00\U0001f600 <&> \"'\\", '{"json": [1, 2]}\n' * 60_000]


@pytest.fixture
def parts() -> PartStore:
    return InMemoryParts()


class TestTexts:
    @pytest.mark.parametrize("text", TEXTS)
    def test_are_read_as_they_were_put(self, parts: PartStore, text: str):
        stored = parts.put(text)

        assert parts.get(stored) == text
        assert stored.size_bytes == len(text.encode())

    def test_are_told_by_what_is_in_them(self, parts: PartStore):
        stored = parts.put("text")

        assert parts.put("text") == stored
        assert parts.put("text", owner_run="r1", use="rows") == stored
        assert parts.put("other").digest != stored.digest

    @pytest.mark.parametrize("text", TEXTS)
    def test_are_described_before_they_are_put_as_they_are_then_found(self, parts: PartStore, text: str):
        assert parts.described(text) == parts.put(text)

    def test_describing_one_stores_nothing(self, parts: PartStore):
        with pytest.raises(PartMissingError):
            parts.get(parts.described("never put"))

    def test_are_gone_once_they_are_removed(self, parts: PartStore):
        stored = parts.put("text")

        parts.remove(stored)
        parts.remove(stored)

        with pytest.raises(PartMissingError):
            parts.get(stored)

    def test_stay_for_others_and_for_what_else_they_are_for(self, parts: PartStore):
        stored = parts.put("text", owner_run="r1", use="rows")
        parts.put("text", owner_run="r1", use="results")

        parts.remove(stored, owner_run="r1", use="rows")
        parts.remove(stored, owner_run="r2", use="results")
        parts.remove(stored)

        assert parts.get(stored) == "text"

    def test_that_nobody_needs_are_swept_by_their_use_and_age(self, parts: PartStore):
        stored = parts.put("text", use="left")
        kept = [parts.put("owned", owner_run="r1", use="left"), parts.put("other", use="wanted")]

        early = parts.sweep("left".__eq__, before=datetime(2020, 1, 1, tzinfo=UTC))
        late = parts.sweep("left".__eq__, before=datetime(2100, 1, 1, tzinfo=UTC))

        assert (early, late) == (0, 1)
        assert [parts.get(each) for each in kept] == ["owned", "other"]
        with pytest.raises(PartMissingError):
            parts.get(stored)

    def test_that_were_never_put_are_missing(self, parts: PartStore):
        with pytest.raises(PartMissingError):
            parts.get(StoredText(digest="0" * 64, size_bytes=3, parts=1))
