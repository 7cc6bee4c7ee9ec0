"""TaskRuns as they stand on disk at different moments."""

from datetime import UTC, datetime, timedelta
from typing import Any

from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import (
    CallStatus,
    ContextMessage,
    RunEvent,
    RunUsage,
    TaskRun,
    TaskRunSpec,
    TaskRunStatus,
)
from goldgate.domain.runs.state import Fate, Nature, Need, Phase, Status

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def a_run(name: str = "run-1", *, agent: str = "helper", message: str = "What now?", **status: Any) -> TaskRun:
    """A run that answered, unless told otherwise."""
    given: dict[str, Any] = {
        "phase": Phase.FINAL_ANSWER,
        "status": Status.READY,
        "ready": True,
        "status_detail": "Answered",
        "user_message_preview": message,
        "output": "Forty-two.",
        "usage": RunUsage(llm_calls=2, tool_calls=1, tokens_in=100, tokens_out=11, cost_usd=0.00125),
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "start_time": AT,
        "update_time": AT + timedelta(seconds=9),
        "completion_time": AT + timedelta(seconds=9),
        "context_window": [
            ContextMessage(role="system", content="You help."),
            ContextMessage(role="user", content=message),
        ],
        "events": [RunEvent(at=AT, reason="ValidationSucceeded", message="It asks for an agent and a message")],
    }
    return TaskRun(
        kind="TaskRun",
        metadata=Metadata(name=name),
        spec=TaskRunSpec(agent_ref=agent, user_message=message),
        status=TaskRunStatus(**{**given, **status}),
    )


def a_call(call_id: str = "c1", *, need: Need = Need.APPROVAL, fate: Fate = Fate.AWAITED, **given: Any) -> CallStatus:
    """A call that waits for a person, unless told otherwise."""
    return CallStatus(
        **{
            "id": call_id,
            "name": "pay",
            "arguments": '{"amount": 3}',
            "nature": Nature.ASK,
            "need": need,
            "question": "Pay 3?",
            "key": f"run-1-{call_id}",
            "fate": fate,
            "content": "",
            "is_error": False,
            **given,
        }
    )


def a_waiting_run(*calls: CallStatus, name: str = "run-1") -> TaskRun:
    """A run that waits for a person."""
    return a_run(
        name,
        phase=Phase.TOOL_CALLS_PENDING,
        status=Status.PENDING,
        ready=False,
        status_detail="Waiting for a person: approval of `pay`",
        output=None,
        completion_time=None,
        calls=list(calls or (a_call(),)),
    )
