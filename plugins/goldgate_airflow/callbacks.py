"""What happens when a task fails for good."""

from collections.abc import Mapping
from typing import Any

import structlog

from goldgate_airflow.playbook import release_id_of

log = structlog.get_logger("goldgate.airflow")


def tell_failure(context: Mapping[str, Any]) -> None:
    """Write one structured line: which release, which step, why. Whoever alerts on logs has all it needs in it.

    More hearers (mail, chat, a pager) are more entries in `on_failure_callback` of `goldgate_airflow.defaults`.
    """
    log.error("release.step.failed", **failure_facts(context))


def failure_facts(context: Mapping[str, Any]) -> dict[str, str]:
    """Name what a person needs to find the failure."""
    ti, params = context["ti"], context.get("params") or {}
    return {
        "dag": str(ti.dag_id),
        "step": str(ti.task_id),
        "release_id": release_id_of(str(ti.run_id)),
        "agent": str(params.get("agent", "")),
        "reason": str(context.get("exception") or "no exception was given: killed, or timed out"),
    }
