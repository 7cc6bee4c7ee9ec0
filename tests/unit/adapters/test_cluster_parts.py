import json
from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from goldgate.adapters.cluster.failures import Patience
from goldgate.adapters.cluster.parts import PART_BYTES, ClusterPartStore, part_name, pieces_of, written_bytes
from goldgate.contracts.cluster import PART_CHARS
from goldgate.domain.errors import TransientError
from tests.fakes.scripted_api_server import as_json, cluster_that, refused

TEXTS = st.text(max_size=40).flatmap(lambda unit: st.integers(1, 60_000).map(lambda times: unit * times))


def as_the_server_writes_it(text: str) -> int:
    """Write as Go does: UTF-8, but `<`, `>`, `&` and the line separators by their number."""
    written = json.dumps(text, ensure_ascii=False)
    for sign in "<>&\u2028\u2029":
        written = written.replace(sign, f"\\u{ord(sign):04x}")
    return len(written.encode()) - 2


class TestPieces:
    @given(TEXTS)
    @example("")
    @example("\U0001f600" * PART_CHARS)
    @example("<" * (PART_CHARS + 1))
    @example("a" * PART_CHARS)
    def test_are_the_text_again_and_each_fits_into_an_object(self, text: str):
        pieces = list(pieces_of(text))

        assert "".join(pieces) == text
        assert len(pieces) >= 1
        assert all(len(piece) <= PART_CHARS and written_bytes(piece) <= PART_BYTES for piece in pieces)

    def test_are_no_more_than_needed(self):
        assert [len(piece) for piece in pieces_of("a" * (PART_CHARS + 1))] == [PART_CHARS, 1]

    @given(st.text())
    @example('"\\<>&\u2028\u2029\x00\x1f\x7f\n\t\b\u00e4\U0001f600')
    def test_are_never_written_larger_than_they_are_measured(self, text: str):
        assert as_the_server_writes_it(text) <= written_bytes(text)


class TestPartNames:
    @pytest.mark.parametrize("run", [None, "r", "a" * 63, "a" * 30 + "-" * 8 + "b"])
    @pytest.mark.parametrize("use", ["text", "status-1234567890"])
    def test_are_dns_labels(self, run: str | None, use: str):
        name = part_name("0" * 64, 9999, owner_run=run, use=use)

        assert len(name) <= 63
        assert name[0].isalnum()
        assert name.endswith("-0000000000000000-9999")

    def test_tell_long_names_apart(self):
        one, two = (part_name("0" * 64, 0, owner_run="a" * 60 + end, use="text") for end in "xy")

        assert one != two


class TestAPartOfARunThatIsGone:
    def test_makes_way_for_one_of_its_namesake(self):
        """It is of the same text and name, and would soon follow its own run."""
        asked: list[str] = []
        lying: list[dict[str, Any]] = []

        def answer(request: httpx2.Request) -> httpx2.Response:
            asked.append(request.method)
            if request.url.path.endswith("/taskruns/r1"):
                return as_json({"metadata": {"name": "r1", "uid": "new"}})
            if request.method == "GET":
                return as_json(lying[0])
            if request.method == "DELETE":
                assert json.loads(request.content)["preconditions"] == {"uid": "part-1"}
                lying.clear()
                return as_json({})
            part = json.loads(request.content)
            if lying or len(asked) == 2:
                old = {**part["metadata"], "uid": "part-1", "ownerReferences": [{"uid": "old"}]}
                lying[:] = [{**part, "metadata": old}]
                return refused(409, "already exists")
            return as_json(part)

        ClusterPartStore(cluster_that(answer), patience=Patience(within_s=0)).put("text", owner_run="r1")

        assert asked == ["GET", "POST", "GET", "DELETE", "POST"]

    def test_that_something_holds_back_is_not_waited_for_without_end(self):
        deleted: list[str] = []

        def answer(request: httpx2.Request) -> httpx2.Response:
            if request.url.path.endswith("/taskruns/r1"):
                return as_json({"metadata": {"name": "r1", "uid": "new"}})
            if request.method == "POST":
                part.update(json.loads(request.content))
                return refused(409, "already exists")
            if request.method == "DELETE":
                deleted.append(request.url.path)
                return as_json({})
            return as_json({**part, "metadata": {**part["metadata"], "uid": "1", "ownerReferences": [{"uid": "old"}]}})

        part: dict[str, Any] = {}
        store = ClusterPartStore(cluster_that(answer), patience=Patience(within_s=0))

        with pytest.raises(TransientError, match=r"still there, though it was deleted.*finalizers"):
            store.put("text", owner_run="r1")

        assert len(deleted) == 1
