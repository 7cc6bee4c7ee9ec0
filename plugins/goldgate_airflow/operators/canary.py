"""The step `canary` as one deferrable task."""

from typing import Any, Final

from airflow.sdk import BaseOperator, Context
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from goldgate_airflow.playbook import PLAYBOOK, release_id_of, run_step
from goldgate_airflow.triggers.canary import CanaryTrigger

LOOK_EVERY_S: Final = 5.0


class CanaryOperator(BaseOperator, SkipMixin):
    """Starts the canary, waits without a worker slot, acts on each decision, and goes on only if it passed.

    The task may be killed anywhere: every act is in the records of the release, and a retry goes on from there. On
    `abort` and `give_up` the canary's traffic is back to zero before the next task is skipped.

    Args:
        look_every_s: Seconds between looks, for a release whose start does not name them.
        playbook: Module of the steps.
    """

    def __init__(self, *, look_every_s: float = LOOK_EVERY_S, playbook: str = PLAYBOOK, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.look_every_s = look_every_s
        self.playbook = playbook

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the canary, or take it up where it was left."""
        started: dict[str, Any] = run_step(
            self.playbook, "start_canary", release_id=release_id_of(context["ti"].run_id)
        )
        match started["outcome"]:
            case "started":
                raise self._wait(context, look_every_s=float(started.get("look_every_s", self.look_every_s)))
            case "skipped" | "passed":
                return started
            case "aborted" | "undecided":
                return self._stop(started, context)
            case unknown:
                raise AirflowFailException(f"`start_canary` returned the outcome `{unknown}`, which nobody knows.")

    def act(self, context: Context, event: dict[str, Any], *, look_every_s: float) -> dict[str, Any]:
        """Do what the trigger found, and wait on or end."""
        if event["decision"] == "failed":
            raise AirflowFailException(event["reason"])
        release_id = release_id_of(context["ti"].run_id)
        done = run_step(self.playbook, "act_on_canary", release_id=release_id, decision=event)
        result = {**event, **done}
        match event["decision"]:
            case "hold" | "advance":
                raise self._wait(context, look_every_s=look_every_s)
            case "complete":
                return result
            case "abort" | "give_up":
                return self._stop(result, context)
            case unknown:
                raise AirflowFailException(f"`look_at_canary` returned the decision `{unknown}`, which nobody knows.")

    def _wait(self, context: Context, *, look_every_s: float) -> TaskDeferred:
        release_id = release_id_of(context["ti"].run_id)
        trigger = CanaryTrigger(release_id=release_id, look_every_s=look_every_s, playbook=self.playbook)
        return TaskDeferred(trigger=trigger, method_name="act", kwargs={"look_every_s": look_every_s})

    def _stop(self, result: dict[str, Any], context: Context) -> dict[str, Any]:
        context["ti"].xcom_push(key="return_value", value=result)
        self.skip(context["ti"], self.get_direct_relatives(upstream=False))
        return result
