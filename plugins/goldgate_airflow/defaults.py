"""What every task of Goldgate has in common."""

from datetime import timedelta
from typing import Any, Final

from goldgate_airflow.callbacks import tell_failure

EVALUATION_POOL: Final = "goldgate_evaluation"
"""Evaluations run one at a time on one machine, because latency is a gate. See `airflow_settings.yaml`."""

TRIGGERED_BY: Final = "{{ dag_run.triggering_user_name or 'airflow' }}"
"""Who started the run: a template. A scheduled run has no user."""

DEFAULT_ARGS: Final[dict[str, Any]] = {
    "owner": "goldgate",
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=5),
    "execution_timeout": timedelta(minutes=15),
    "on_failure_callback": [tell_failure],
}
