import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.adapters.cluster.statuses import (
    DamagedTaskRunError,
    fits,
    held_of,
    object_of_status,
    run_of,
    shown,
    status_of_text,
    text_of_status,
    whole_of,
)
from goldgate.contracts.cluster import ClusterTaskRunStatus, HeldStatus, StoredText
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import (
    AskedCall,
    AskedFunction,
    CallStatus,
    ContextMessage,
    RunEvent,
    TaskRun,
    TaskRunSpec,
    TaskRunStatus,
)
from goldgate.domain.runs.state import Fate, Nature, Need
from tests.contracts.test_task_run_store_port import AT

STORED = StoredText(digest="ab" * 32, size_bytes=9, parts=7)


def status(*, items: int, chars: int, sign: str = "x") -> TaskRunStatus:
    text = sign * chars
    asked = AskedCall(id="c", function=AskedFunction(name="pay", arguments=text))
    call = CallStatus(
        id="c", name="pay", arguments=text, nature=Nature.ASK, need=Need.NOTHING, question=text, key="k",
        fate=Fate.STARTED, content=text, is_error=False,
    )  # fmt: skip
    return TaskRunStatus(
        status_detail="where it stands",
        output=text,
        citations=[text] * items,
        context_window=[ContextMessage(role="user", content=text, tool_calls=[asked])] * items,
        calls=[call] * items,
        events=[RunEvent(at=AT, reason="A", message=text)] * items,
        events_dropped=3,
    )


def resource(**status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "goldgate.dev/v1alpha1",
        "kind": "TaskRun",
        "metadata": {
            "name": "r",
            "namespace": "n",
            "uid": "u",
            "managedFields": [],
            "annotations": {
                "a": "b",
                "goldgate.dev/word-1": "{}",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
            },
        },
        "spec": {"agentRef": "a", "userMessage": "m"},
        **({"status": status} if status else {}),
    }


class TestWhatIsShownOfALargeStatus:
    @pytest.mark.parametrize("items", [1, 50, 3_000])
    @pytest.mark.parametrize(("chars", "sign"), [(10, "x"), (5_000, "<"), (5_000, "\U0001f600")])
    def test_is_small_whatever_it_holds(self, items: int, chars: int, sign: str):
        short = shown(status(items=items, chars=chars, sign=sign), STORED)

        assert fits(text_of_status(short), spec_bytes=900_000)
        ClusterTaskRunStatus.model_validate({**object_of_status(short), "whole": STORED.model_dump()})

    def test_marks_each_cut_with_where_the_rest_is(self):
        short = shown(status(items=50, chars=5_000), STORED)

        assert short.output is not None
        assert short.output.startswith("x" * 1_000)
        assert short.output.endswith("more characters, in 7 Parts of abababababababab]")

    def test_keeps_what_is_short_and_counts_what_is_left_out(self):
        whole = status(items=50, chars=5_000)

        short = shown(whole, STORED)

        assert short.status_detail == "where it stands"
        assert short.events_dropped + len(short.events) == whole.events_dropped + len(whole.events)
        assert len(short.context_window) >= 5


class TestWhatFits:
    def test_leaves_room_for_the_question(self):
        text = "a" * 600_000

        assert fits(text, spec_bytes=1_000)
        assert not fits(text, spec_bytes=900_000)

    @pytest.mark.parametrize("text", ["a" * 700_001, "é" * 400_000, "<" * 200_000])
    def test_is_measured_as_it_is_written(self, text: str):
        assert not fits(text, spec_bytes=0)


class TestATaskRunOfTheCluster:
    def test_is_read_without_what_the_store_and_kubectl_keep_in_it(self):
        held = {"holder": "o", "epoch": 1}

        run = run_of(resource(held=held, statusDetail="d"))

        assert run == TaskRun(
            kind="TaskRun",
            metadata=Metadata(name="r", annotations={"a": "b"}),
            spec=TaskRunSpec(agent_ref="a", user_message="m"),
            status=TaskRunStatus(status_detail="d"),
        )

    def test_that_nobody_has_written_to_is_new(self):
        found = resource()

        assert (run_of(found).status, held_of(found), whole_of(found)) == (TaskRunStatus(), HeldStatus(), None)

    @pytest.mark.parametrize("wrong", [{"phase": "Nowhere"}, {"more": 1}])
    def test_with_another_status_is_damaged(self, wrong: dict[str, object]):
        with pytest.raises(DamagedTaskRunError, match="record of run `r` cannot be read"):
            run_of(resource(**wrong))

    @pytest.mark.parametrize("wrong", [{"epoch": -1}, {"more": 1}, {"renewTime": "late"}])
    def test_with_another_owner_is_damaged(self, wrong: dict[str, object]):
        with pytest.raises(DamagedTaskRunError, match=r"epoch|unknown field|renewTime"):
            held_of(resource(held=wrong))

    @given(st.text(), st.none() | st.text(), st.text(), st.text())
    def test_is_written_and_read_as_the_same(self, content: str, output: str | None, arguments: str, extra: str):
        asked = AskedCall(id="c", function=AskedFunction(name="pay", arguments=arguments), extra=extra)
        message = ContextMessage(role="assistant", content=content, tool_calls=[asked])
        written = TaskRunStatus(context_window=[message], output=output, update_time=AT)

        text = text_of_status(written)

        assert status_of_text(text, name="r") == written
        assert run_of(resource(**json.loads(json.dumps(object_of_status(written))))).status == written
