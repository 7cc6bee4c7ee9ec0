"""One TaskRun as one Airflow task, which holds a worker only while there is something to do for it."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred
from airflow.sdk.execution_time.context import NEVER_EXPIRE
from airflow.triggers.base import BaseTrigger

from goldgate_airflow.dag_runs import start_dag_run
from goldgate_airflow.hooks.cluster import conn_id_of_environment
from goldgate_airflow.places import POD_TASKS, InCluster, OnThisMachine, Place
from goldgate_airflow.playbook import RUN_TASKS, release_id_of
from goldgate_airflow.questions import QUESTION_DAG, question_conf
from goldgate_airflow.storable import storable
from goldgate_airflow.task_states import unwanted_state
from goldgate_airflow.triggers.pod import TaskRunPodTrigger
from goldgate_airflow.triggers.task_run import TaskRunTrigger

BEGUN: Final = "task_run"
"""What this task keeps from try to try: where the run is, once it is there."""

LOOK_EVERY_S: Final = 2.0
FIRST_PAUSE_S: Final = 10.0
LONGEST_PAUSE_S: Final = 300.0
"""Between two attempts on an agent that is not ready: twice as long each time, up to this."""


class AgentTaskRunOperator(BaseOperator):
    """Runs an agent on one message, and takes the result from the run's record only.

    With a connection of type `kubernetes` the run is a TaskRun in its cluster and works as a pod; without one it works
    as a process of the worker. All else is the same in both. The run bears a name made of DAG, DAG run, task and map
    index: a retry, or a worker that takes over, goes on with the same run, and a run that is over is never run again.
    Nor is a TaskRun of a cluster that was deleted: the task fails, however often it is cleared; nor one that was begun
    elsewhere, before the connection was named or taken away.
    While the run waits, the task is deferred:

    - for its pod: its log comes into the log of the task.
    - for a person: each question becomes a run of the DAG `agent_task_question`, which shows it under *Required
      Actions*. Whoever answers first, there or on the command line, lets the run go on.
    - for an agent that is not ready, or another process that works on the run: it is tried again later.

    A task that is marked failed or succeeded ends its run, and the pod. A worker or a triggerer that ends does not.

    Args:
        spec: What is asked: `agent` and `user_message`, or `task`; limits and `deadline_s`. Templates; an empty value
            means "not given".
        task_run: In place of all that, the name of a TaskRun that was applied to the cluster.
        kubernetes_conn_id: The connection of the cluster; empty: this machine. None: what `GOLDGATE_KUBERNETES_CONN_ID`
            says when the task runs.
        question_dag: The DAG that asks a person. Empty: people are asked on the command line only.
        run_tasks: Module of the steps.
        pod_tasks: Module of the steps of runs that work as pods.
    """

    template_fields: Sequence[str] = ("spec", "task_run", "kubernetes_conn_id")

    def __init__(
        self,
        *,
        spec: Mapping[str, Any] | None = None,
        task_run: str = "",
        kubernetes_conn_id: str | None = None,
        question_dag: str = QUESTION_DAG,
        run_tasks: str = RUN_TASKS,
        pod_tasks: str = POD_TASKS,
        look_every_s: float = LOOK_EVERY_S,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.spec = spec
        self.task_run = task_run
        self.kubernetes_conn_id = kubernetes_conn_id
        self.question_dag = question_dag
        self.run_tasks = run_tasks
        self.pod_tasks = pod_tasks
        self.look_every_s = look_every_s
        self._stop: threading.Event | None = None
        self._is_told_to_end = False
        self._heard: Mapping[str, Any] = {}

    def execute(self, context: Context) -> dict[str, Any]:
        """Begin the run, or go on with it, wherever it was left."""
        return self._work(context, pause_s=FIRST_PAUSE_S, begun=context["task_state_store"].get(BEGUN))

    def go_on(
        self, context: Context, event: Mapping[str, Any], *, pause_s: float, begun: str = "somewhere"
    ) -> dict[str, Any]:
        """Go on after a wait."""
        if event["decision"] == "failed":
            raise AirflowException(event["reason"])
        self._heard = event
        self.log.info("task_run.go_on %s", event["reason"])
        return self._work(context, pause_s=pause_s, begun=begun)

    def on_kill(self) -> None:
        """Let go of the run: it is recorded within a second, and then ended if nobody wants it any more."""
        self._is_told_to_end = True
        if self._stop is not None:
            self._stop.set()

    def _work(self, context: Context, *, pause_s: float, begun: str | None) -> dict[str, Any]:
        name = self.task_run or task_run_name(context["ti"])
        place = self._place(context, name, begun=begun)
        self._stop = threading.Event()
        if self._is_told_to_end:
            # Before there was anything to stop: Airflow says it once, and takes no deferral of such a task.
            self._stop.set()
        told = storable(place.go_on(self._stop))
        if not told["waits_for"]:
            return self._over(context, told)
        # The log of the trigger before is lost with the next deferral: Airflow 3.3.2 begins the file anew.
        for line in self._heard.get("said", ()):
            self.log.info("%s", line)
        match told["waits_for"]:
            case _ if self._stop.is_set():
                raise self._let_go(context, place)
            case "person":
                self._ask(told["questions"], kubernetes_conn_id=place.kubernetes_conn_id)
                raise self._wait(place, asked=[one["key"] for one in told["questions"]])
            case "agent":
                self.log.info("task_run.waits for=agent reason=%s", told["reason"])
                raise self._wait(place, at_most_s=pause_s, then_s=min(2 * pause_s, LONGEST_PAUSE_S))
            case "process":
                self.log.info("task_run.waits for=process reason=%s", told["reason"])
                raise self._wait(place, at_most_s=FIRST_PAUSE_S)
            case "pod":
                self.log.info("task_run.waits for=pod task_run=%s pod=%s", name, told["pod"])
                raise self._follow(place, pod=told["pod"])
            case unknown:
                raise AirflowFailException(f"TaskRun `{name}` waits for `{unknown}`, which nobody knows.")

    def _place(self, context: Context, name: str, *, begun: str | None) -> Place:
        given = {key: value for key, value in (self.spec or {}).items() if value not in (None, "")}
        conn_id = conn_id_of_environment() if self.kubernetes_conn_id is None else self.kubernetes_conn_id
        if self.task_run and (given or not conn_id):
            found = f"also {', '.join(given)}" if given else "no cluster that it could be in"
            raise AirflowFailException(
                f"Found the TaskRun `{self.task_run}` and {found}. Expected one that was applied to the cluster of "
                "GOLDGATE_KUBERNETES_CONN_ID, and nothing else."
            )
        where = InCluster.where if conn_id else OnThisMachine.where
        if begun in {InCluster.where, OnThisMachine.where} and begun != where:
            raise AirflowFailException(
                f"TaskRun `{name}` was begun {begun}, and would now be begun once more {where}. Give the connection of "
                "the task, or GOLDGATE_KUBERNETES_CONN_ID, as it was then; or start another DAG run."
            )

        def keep() -> None:
            if not begun:
                context["task_state_store"].set(BEGUN, where, retention=NEVER_EXPIRE)

        if conn_id:
            # One that somebody deleted since is not made anew: it would do all it did once more.
            spec = None if self.task_run or begun else given
            return InCluster(name=name, spec=spec, steps=self.pod_tasks, kubernetes_conn_id=conn_id, on_made=keep)
        return OnThisMachine(name=name, spec=given, steps=self.run_tasks, on_made=keep)

    def _over(self, context: Context, told: dict[str, Any]) -> dict[str, Any]:
        if told["phase"] == "FinalAnswer":
            return told
        context["ti"].xcom_push(key="return_value", value=told)
        raise AirflowFailException(f"TaskRun `{told['name']}` is {told['phase']}: {told['reason']}")

    def _let_go(self, context: Context, place: Place) -> AirflowException:
        if state := unwanted_state(context["ti"]):
            place.cancel(f"its task is {state}")
            return AirflowFailException(f"TaskRun `{place.name}` was cancelled: its task is {state}.")
        return AirflowException(f"The worker was told to end. TaskRun `{place.name}` goes on at the next try.")

    def _ask(self, questions: Sequence[Mapping[str, Any]], *, kubernetes_conn_id: str) -> None:
        for question in questions if self.question_dag else ():
            conf = question_conf(question, kubernetes_conn_id=kubernetes_conn_id)
            start_dag_run(self.question_dag, run_id=release_id_of(question["key"]), conf=conf)
            self.log.info("task_run.asks %s", conf["subject"])

    def _wait(
        self,
        place: Place,
        *,
        asked: Sequence[str] = (),
        at_most_s: float | None = None,
        then_s: float = FIRST_PAUSE_S,
    ) -> TaskDeferred:
        trigger = TaskRunTrigger(
            name=place.name,
            asked=list(asked),
            look_every_s=self.look_every_s,
            at_most_s=at_most_s,
            run_tasks=self.run_tasks,
            kubernetes_conn_id=place.kubernetes_conn_id,
            pod_tasks=self.pod_tasks,
        )
        return self._deferred(trigger, place, pause_s=then_s)

    def _follow(self, place: Place, *, pod: str) -> TaskDeferred:
        # Of another pod nothing is known, and its node may have another clock.
        is_heard = self._heard.get("pod") == pod
        trigger = TaskRunPodTrigger(
            name=place.name,
            pod=pod,
            kubernetes_conn_id=place.kubernetes_conn_id,
            since=self._heard.get("log_until") if is_heard else None,
            pod_tasks=self.pod_tasks,
        )
        return self._deferred(trigger, place, pause_s=FIRST_PAUSE_S)

    def _deferred(self, trigger: BaseTrigger, place: Place, *, pause_s: float) -> TaskDeferred:
        return TaskDeferred(trigger=trigger, method_name="go_on", kwargs={"pause_s": pause_s, "begun": place.where})


def task_run_name(ti: Any) -> str:
    """Name the run of a task instance: the same at every try."""
    mapped = "" if ti.map_index < 0 else f"-{ti.map_index}"
    return release_id_of(f"{ti.dag_id}.{ti.run_id}.{ti.task_id}{mapped}")
