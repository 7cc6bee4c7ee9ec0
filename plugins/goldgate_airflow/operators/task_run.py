"""One TaskRun as one Airflow task, which holds a worker only while the run works."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred

from goldgate_airflow.playbook import RUN_TASKS, release_id_of, run_step
from goldgate_airflow.questions import QUESTION_DAG, ask_in_the_ui, question_conf
from goldgate_airflow.triggers.task_run import TaskRunTrigger

LOOK_EVERY_S: Final = 2.0
FIRST_PAUSE_S: Final = 10.0
LONGEST_PAUSE_S: Final = 300.0
"""Between two attempts on an agent that is not ready: twice as long each time, up to this."""

_UNWANTED: Final = frozenset({"failed", "success", "skipped", "removed", "upstream_failed"})
"""States in which somebody has decided on a task that was still at work: its run is not wanted any more."""


class AgentTaskRunOperator(BaseOperator):
    """Runs an agent on one message as a process of the worker, and takes the result from the run's record only.

    The run bears a name made of DAG, DAG run, task and map index: a retry, or a worker that takes over, goes on with
    the same run, and a run that is over is never run again. While the run waits, the task is deferred:

    - for a person: each question becomes a run of the DAG `agent_task_question`, which shows it under *Required
      Actions*. Whoever answers first, there or on the command line, lets the run go on.
    - for an agent that is not ready, or another process that works on the run: it is tried again later.

    Args:
        spec: What is asked: `agent` and `user_message`, or `task`; limits and `deadline_s`. Templates; an empty value
            means "not given".
        question_dag: The DAG that asks a person. Empty: people are asked on the command line only.
        run_tasks: Module of the steps.
    """

    template_fields: Sequence[str] = ("spec",)

    def __init__(
        self,
        *,
        spec: Mapping[str, Any],
        question_dag: str = QUESTION_DAG,
        run_tasks: str = RUN_TASKS,
        look_every_s: float = LOOK_EVERY_S,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.spec = spec
        self.question_dag = question_dag
        self.run_tasks = run_tasks
        self.look_every_s = look_every_s
        self._stop: threading.Event | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Begin the run, or go on with it, wherever it was left."""
        return self._work(context, pause_s=FIRST_PAUSE_S)

    def go_on(self, context: Context, event: Mapping[str, Any], *, pause_s: float) -> dict[str, Any]:
        """Go on after a wait."""
        if event["decision"] == "failed":
            raise AirflowException(event["reason"])
        self.log.info("task_run.go_on %s", event["reason"])
        return self._work(context, pause_s=pause_s)

    def on_kill(self) -> None:
        """Let go of the run: it is recorded within a second, and then ended if nobody wants it any more."""
        if self._stop is not None:
            self._stop.set()

    def _work(self, context: Context, *, pause_s: float) -> dict[str, Any]:
        name = task_run_name(context["ti"])
        given = {key: value for key, value in self.spec.items() if value not in (None, "")}
        self._stop = threading.Event()
        told: dict[str, Any] = run_step(self.run_tasks, "run_task", task_run=name, spec=given, stop=self._stop)
        match told["waits_for"]:
            case "":
                return self._over(context, told)
            case _ if self._stop.is_set():
                raise self._let_go(context, name)
            case "person":
                self._ask(told["questions"])
                raise self._wait(name, asked=[one["key"] for one in told["questions"]])
            case "agent":
                self.log.info("task_run.waits for=agent reason=%s", told["reason"])
                raise self._wait(name, at_most_s=pause_s, then_s=min(2 * pause_s, LONGEST_PAUSE_S))
            case "process":
                self.log.info("task_run.waits for=process reason=%s", told["reason"])
                raise self._wait(name, at_most_s=FIRST_PAUSE_S)
            case unknown:
                raise AirflowFailException(f"`run_task` waits for `{unknown}`, which nobody knows.")

    def _over(self, context: Context, told: dict[str, Any]) -> dict[str, Any]:
        if told["phase"] == "FinalAnswer":
            return told
        context["ti"].xcom_push(key="return_value", value=told)
        raise AirflowFailException(f"TaskRun `{told['name']}` is {told['phase']}: {told['reason']}")

    def _let_go(self, context: Context, name: str) -> AirflowException:
        ti = context["ti"]
        states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id])[ti.run_id]
        key = ti.task_id if ti.map_index < 0 else f"{ti.task_id}_{ti.map_index}"
        if states.get(key) in _UNWANTED:
            run_step(self.run_tasks, "cancel_task", task_run=name, reason=f"its task is {states[key]}", by="airflow")
            return AirflowFailException(f"TaskRun `{name}` was cancelled: its task is {states[key]}.")
        return AirflowException(f"The worker was told to end. TaskRun `{name}` goes on at the next try.")

    def _ask(self, questions: Sequence[Mapping[str, Any]]) -> None:
        for question in questions if self.question_dag else ():
            conf = question_conf(question)
            ask_in_the_ui(dag_id=self.question_dag, run_id=release_id_of(question["key"]), conf=conf)
            self.log.info("task_run.asks %s", conf["subject"])

    def _wait(
        self, name: str, *, asked: Sequence[str] = (), at_most_s: float | None = None, then_s: float = FIRST_PAUSE_S
    ) -> TaskDeferred:
        trigger = TaskRunTrigger(
            name=name,
            asked=list(asked),
            look_every_s=self.look_every_s,
            at_most_s=at_most_s,
            run_tasks=self.run_tasks,
        )
        return TaskDeferred(trigger=trigger, method_name="go_on", kwargs={"pause_s": then_s})


def task_run_name(ti: Any) -> str:
    """Name the run of a task instance: the same at every try."""
    mapped = "" if ti.map_index < 0 else f"-{ti.map_index}"
    return release_id_of(f"{ti.dag_id}.{ti.run_id}.{ti.task_id}{mapped}")
