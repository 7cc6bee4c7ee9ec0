"""How what a run asks of a person reaches the Airflow UI.

A task instance of Airflow has one Human-in-the-loop detail for its life, and a second request of the same instance
shows the text of the first (Airflow 3.3.2: `upsert_hitl_detail` only clears the response). A run may ask many times,
and several things at once. So each question is a run of a DAG of its own, named by the key of the call that asks.
"""

from collections.abc import Mapping
from typing import Any, Final

QUESTION_DAG: Final = "agent_task_question"
_SHOWN: Final = 4_000
"""Characters of a question or of arguments in the UI; the rest is cut, and the cut is marked."""


def question_conf(question: Mapping[str, Any], *, kubernetes_conn_id: str = "") -> dict[str, str | list[str]]:
    """Write a question as the params of a run of `agent_task_question`."""
    asks = {"approval": "approval of", "answer": "an answer to", "fate": "what became of"}[question["need"]]
    return {
        "task_run": question["run"],
        "call_key": question["key"],
        "subject": f"{question['agent']} asks for {asks} {question['tool']}",
        "body": _body(question),
        "options": list(question["options"]),
        "kubernetes_conn_id": kubernetes_conn_id,
    }


def _body(question: Mapping[str, Any]) -> str:
    return (
        f"TaskRun `{question['run']}` waits.\n\n**Question**\n\n{quoted(question['question'])}\n\n"
        f"**Call** of `{question['tool']}`\n\n{quoted(question['arguments'])}\n\n"
        f"On the command line: `goldgate task describe {question['run']}`"
    )


def quoted(text: str) -> str:
    """Quote what a model wrote, so that Markdown in it is shown and not followed."""
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… (cut)"
    return "\n".join(f"    {line}" for line in (cut.splitlines() or ["(nothing)"]))
