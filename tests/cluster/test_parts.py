"""Texts in parts, on a real API server: what every store does, each piece small enough, gone with their run."""

from collections.abc import Iterator

import pytest
from lightkube.types import PatchType

from goldgate.adapters.cluster.connection import Cluster
from goldgate.adapters.cluster.parts import ClusterPartStore
from goldgate.adapters.cluster.task_runs import ClusterTaskRunStore
from goldgate.domain.errors import PermanentError
from goldgate.ports.parts import PartMissingError
from tests.cluster.stores import BRIEF, PART, TASK_RUN, opened, over_a_wire, parts_in
from tests.contracts.test_part_store_port import TestTexts
from tests.contracts.test_task_run_store_port import run
from tests.fakes.frozen_clock import FrozenClock
from tests.waiting import until

__all__ = ["TestTexts"]

LONG = 'two parts, äöü <&> "quoted" \u2028 \x00 \U0001f600\n' * 50_000


@pytest.fixture
def runs(empty: Cluster) -> Iterator[ClusterTaskRunStore]:
    with opened(empty, clock=FrozenClock()) as store:
        store.create(run("r1"))
        store.create(run("r2"))
        yield store


@pytest.fixture
def parts(empty: Cluster, runs: ClusterTaskRunStore) -> ClusterPartStore:  # noqa: ARG001 - the runs are there
    return ClusterPartStore(empty, patience=BRIEF)


def names_in(cluster: Cluster) -> list[str]:
    return sorted(part["metadata"]["name"] for part in parts_in(cluster))


class TestATextInParts:
    @pytest.mark.parametrize("text", [LONG, "<" * 1_500_000, "\x01" * 400_000])
    def test_is_read_as_it_was_put(self, parts: ClusterPartStore, text: str):
        stored = parts.put(text)

        assert parts.get(stored) == text
        assert stored.size_bytes == len(text.encode())

    def test_is_there_once_however_often_it_is_put(self, empty: Cluster, parts: ClusterPartStore):
        first = parts.put(LONG)
        before = {part["metadata"]["uid"] for part in parts_in(empty)}

        again = parts.put(LONG)

        assert again == first
        assert {part["metadata"]["uid"] for part in parts_in(empty)} == before

    def test_is_there_once_when_the_answers_are_lost(self, empty: Cluster):
        with over_a_wire(empty) as (cut, wire):
            wire.lost_answers = 2

            stored = ClusterPartStore(cut, patience=BRIEF).put(LONG)

            assert len(names_in(empty)) == stored.parts
            assert ClusterPartStore(cut, patience=BRIEF).get(stored) == LONG

    def test_can_be_removed_again(self, empty: Cluster, parts: ClusterPartStore):
        stored = parts.put(LONG)

        parts.remove(stored)
        parts.remove(stored)

        assert names_in(empty) == []

    def test_of_which_a_part_is_gone_says_which(self, empty: Cluster, parts: ClusterPartStore):
        stored = parts.put(LONG)
        empty.client.delete(PART, names_in(empty)[1])

        with pytest.raises(PartMissingError, match=rf"Found {stored.parts - 1} of {stored.parts} parts.* missing: 1\."):
            parts.get(stored)

    def test_that_is_not_what_its_digest_says_is_refused(self, empty: Cluster, parts: ClusterPartStore):
        stored = parts.put("pay nothing")
        (part,) = parts_in(empty)
        empty.client.delete(PART, part["metadata"]["name"])
        part["spec"]["text"] = "pay it alll"
        part["metadata"] = {key: part["metadata"][key] for key in ("name", "labels")}
        empty.client.create(part)

        with pytest.raises(PartMissingError, match="Somebody changed them"):
            parts.get(stored)
        with pytest.raises(PartMissingError, match="Somebody changed it"):
            parts.put("pay nothing")

    @pytest.mark.parametrize("name", ["a-forged-0", "zz-forged-0", "text-{}-7"])
    def test_is_read_beside_what_somebody_else_passes_off_as_it(
        self, empty: Cluster, parts: ClusterPartStore, name: str
    ):
        stored = parts.put(LONG)
        forged = parts_in(empty)[0]
        forged["metadata"] = {"name": name.format(stored.digest[:16]), "labels": forged["metadata"]["labels"]}
        forged["spec"] |= {"index": 0, "text": "forged"}
        empty.client.create(forged)

        assert parts.get(stored) == LONG

    def test_cannot_be_changed_where_it_lies(self, empty: Cluster, parts: ClusterPartStore):
        parts.put("as it is")

        with pytest.raises(Exception, match="cannot be changed"):
            empty.client.patch(PART, names_in(empty)[0], {"spec": {"text": "other"}}, patch_type=PatchType.MERGE)


class TestPartsOfARun:
    def test_lie_beside_those_of_others_and_are_removed_alone(self, empty: Cluster, parts: ClusterPartStore):
        stored = parts.put("shared", owner_run="r1", use="rows")
        parts.put("shared", owner_run="r2", use="rows")
        parts.put("shared", owner_run="r1", use="results")
        parts.put("shared")

        parts.remove(stored, owner_run="r1", use="rows")

        digest = stored.digest[:16]
        assert names_in(empty) == [f"r1-results-{digest}-0", f"r2-rows-{digest}-0", f"text-{digest}-0"]
        assert parts.get(stored) == "shared"

    def test_go_with_it(self, empty: Cluster, parts: ClusterPartStore):
        parts.put(LONG, owner_run="r1")
        kept = parts.put("kept", owner_run="r2")

        empty.client.delete(TASK_RUN, "r1")

        assert until(lambda: names_in(empty) == [f"r2-text-{kept.digest[:16]}-0"])

    def test_of_a_run_that_is_gone_are_not_taken_for_those_of_its_namesake(
        self, empty: Cluster, parts: ClusterPartStore, runs: ClusterTaskRunStore
    ):
        """Parts of a run that was deleted may lie there for a while, and would take the new text with them."""
        parts.put("again", owner_run="r1")
        before = parts_in(empty)[0]["metadata"]["uid"]
        empty.client.delete(TASK_RUN, "r1")
        runs.create(run("r1"))

        stored = parts.put("again", owner_run="r1")

        (part,) = parts_in(empty)
        assert part["metadata"]["uid"] != before
        owner = empty.client.get(TASK_RUN, "r1")["metadata"]["uid"]
        assert part["metadata"]["ownerReferences"][0]["uid"] == owner
        assert parts.get(stored) == "again"

    def test_of_an_unknown_run_are_refused(self, parts: ClusterPartStore):
        with pytest.raises(PermanentError, match="no TaskRun `nobody`"):
            parts.put("text", owner_run="nobody")
