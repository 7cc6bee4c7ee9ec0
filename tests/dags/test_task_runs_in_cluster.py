"""TaskRuns that work as pods, on steps that answer from a script. What a cluster does is in the cluster tests."""

import asyncio
import json

import pytest
from airflow.models.trigger import Trigger
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred
from airflow.sdk.log import mask_secret
from airflow.serialization.decoders import smart_decode_trigger_kwargs

from goldgate.domain.errors import PermanentError, TransientError
from goldgate_airflow.operators.question import QuestionOperator
from goldgate_airflow.operators.task_run import AgentTaskRunOperator, task_run_name
from goldgate_airflow.questions import question_conf
from goldgate_airflow.triggers.pod import TaskRunPodTrigger
from goldgate_airflow.triggers.task_run import TaskRunTrigger
from tests.fakes import scripted_run_tasks as tasks
from tests.fakes.frozen_task_instance import FrozenTaskInstance, KeptByTask

GO_ON = {"decision": "go_on", "reason": "The pod ended.", "log_until": "2026-11-21T18:00:00+00:00"}
QUESTION = {
    "run": "run",
    "agent": "helper",
    "key": "run-1-0",
    "tool": "pay",
    "need": "approval",
    "question": "Pay 3?",
    "arguments": "{}",
    "options": ["Approve", "Deny"],
}
KEY = "hidden-token"


@pytest.fixture(autouse=True)
def _cluster(monkeypatch):
    """A connection `cluster`, which holds a key."""
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "https://cluster.invalid:6443"}}],
        "users": [{"name": "c", "user": {"token": KEY}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "current-context": "c",
    }
    extra = {"kube_config": json.dumps(config), "namespace": "agents"}
    monkeypatch.setenv("AIRFLOW_CONN_CLUSTER", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    monkeypatch.delenv("GOLDGATE_KUBERNETES_CONN_ID", raising=False)


def instance(**given):
    return FrozenTaskInstance(run_id="dag-run-2", dag_id="agent_task_run", **given)


def context_of(ti=None, *, kept=None):
    return {"ti": ti or instance(), "task_state_store": kept or KeptByTask()}


NAME = task_run_name(instance())


class SilentOperator(AgentTaskRunOperator):
    """Asks nobody in the UI: there is no Airflow here."""

    def _ask(self, questions, *, kubernetes_conn_id):
        self.asked = (list(questions), kubernetes_conn_id)


def operator(**given):
    spec = {"agent": "helper", "user_message": "Hi", "task": ""}
    modules = {"run_tasks": "no.such.module", "pod_tasks": tasks.MODULE}
    return SilentOperator(**{"task_id": "step", "spec": spec, "kubernetes_conn_id": "cluster", **modules, **given})


def follows(pod="run-1", **given):
    return tasks.told("ReadyForLLM", waits_for="pod", pod=pod, **given)


def deferred_of(act, *arguments, **named):
    with pytest.raises(TaskDeferred) as deferred:
        act(*arguments, **named)
    return deferred.value


def revived(trigger):
    """The trigger as another triggerer finds it in the database."""
    path, arguments = trigger.serialize()
    stored = Trigger(classpath=path, kwargs=arguments)
    read = {key: smart_decode_trigger_kwargs(value) for key, value in stored.kwargs.items()}
    return type(trigger)(**read)


def event_of(trigger):
    async def first():
        return await anext(trigger.run())

    return asyncio.run(first()).payload


class TestAgentTaskRunOperatorInCluster:
    def test_tends_the_run_in_the_cluster_of_the_connection_and_waits_without_a_worker(self):
        tasks.script(NAME, tend_task=[follows(pod="run-7")])

        deferred = deferred_of(operator().execute, context_of())

        ((step, arguments),) = tasks.calls(NAME)
        assert step == "tend_task"
        assert arguments["spec"] == {"agent": "helper", "user_message": "Hi"}
        assert arguments["access"].namespace == "agents"
        assert isinstance(deferred.trigger, TaskRunPodTrigger)
        assert (deferred.trigger.name, deferred.trigger.pod) == (NAME, "run-7")

    def test_takes_the_connection_of_the_environment_when_the_task_runs(self, monkeypatch):
        tasks.script(NAME, tend_task=[tasks.told()])
        made = operator(kubernetes_conn_id=None)
        monkeypatch.setenv("GOLDGATE_KUBERNETES_CONN_ID", "cluster")

        made.execute(context_of())

        assert tasks.calls(NAME)[0][1]["access"].namespace == "agents"

    def test_runs_on_this_machine_without_a_connection(self):
        tasks.script(NAME, run_task=[tasks.told(output="Here.")])

        done = operator(kubernetes_conn_id=None, run_tasks=tasks.MODULE).execute(context_of())

        assert done["output"] == "Here."
        assert "access" not in tasks.calls(NAME)[0][1]

    def test_returns_what_the_record_says_once_the_pod_ended(self):
        tasks.script(NAME, tend_task=[follows(), tasks.told(output="Forty-two.")])
        made = operator()
        deferred = deferred_of(made.execute, context_of())

        done = operator().go_on(context_of(), GO_ON, **deferred.kwargs)

        assert done["output"] == "Forty-two."

    def test_makes_no_run_anew_that_it_waited_for(self):
        tasks.script(NAME, tend_task=[follows(), follows(), tasks.told()])
        first = deferred_of(operator().execute, context_of())

        again = deferred_of(operator().go_on, context_of(), GO_ON, **first.kwargs)
        operator().go_on(context_of(), GO_ON, **again.kwargs)

        specs = [arguments["spec"] for _, arguments in tasks.calls(NAME)]
        assert specs == [{"agent": "helper", "user_message": "Hi"}, None, None]

    def test_makes_no_run_anew_that_an_earlier_try_began(self):
        tasks.script(NAME, tend_task=[follows(), PermanentError("Found no TaskRun")])
        kept = KeptByTask()
        deferred_of(operator().execute, context_of(kept=kept))

        with pytest.raises(AirflowFailException, match="Found no TaskRun"):
            operator().execute(context_of(kept=kept))

        assert [arguments["spec"] is None for _, arguments in tasks.calls(NAME)] == [False, True]

    def test_makes_the_run_that_an_earlier_try_could_not_make(self):
        tasks.script(NAME, tend_task=[TransientError("no answer"), follows()])
        kept = KeptByTask()
        with pytest.raises(TransientError):
            operator().execute(context_of(kept=kept))

        deferred_of(operator().execute, context_of(kept=kept))

        assert all(arguments["spec"] for _, arguments in tasks.calls(NAME))

    def test_makes_no_run_anew_that_was_made_before_the_cluster_failed_it(self):
        tasks.script(NAME, tend_task=[{"then": TransientError("no answer")}, PermanentError("Found no TaskRun")])
        kept = KeptByTask()
        with pytest.raises(TransientError):
            operator().execute(context_of(kept=kept))

        with pytest.raises(AirflowFailException, match="Found no TaskRun"):
            operator().execute(context_of(kept=kept))

        assert [arguments["spec"] is None for _, arguments in tasks.calls(NAME)] == [False, True]

    @pytest.mark.parametrize("moment", ["at the next try", "after a wait"])
    def test_begins_no_run_elsewhere_that_was_begun_in_a_cluster(self, moment):
        tasks.script(NAME, tend_task=[follows()], run_task=[])
        kept = KeptByTask()
        first = deferred_of(operator().execute, context_of(kept=kept))
        elsewhere = operator(kubernetes_conn_id="", run_tasks=tasks.MODULE)

        acts = {
            "at the next try": lambda: elsewhere.execute(context_of(kept=kept)),
            "after a wait": lambda: elsewhere.go_on(context_of(kept=kept), GO_ON, **first.kwargs),
        }

        with pytest.raises(AirflowFailException, match="was begun in a cluster, and would now be begun once more on"):
            acts[moment]()

    def test_begins_no_run_in_a_cluster_that_was_begun_on_this_machine(self):
        tasks.script(NAME, run_task=[tasks.told()], tend_task=[])
        kept = KeptByTask()
        operator(kubernetes_conn_id="", run_tasks=tasks.MODULE).execute(context_of(kept=kept))

        with pytest.raises(AirflowFailException, match="was begun on this machine"):
            operator().execute(context_of(kept=kept))

    def test_follows_the_same_pod_from_where_its_log_is_known(self):
        tasks.script(NAME, tend_task=[follows("run-1"), follows("run-1")])
        first = deferred_of(operator().execute, context_of())

        again = deferred_of(operator().go_on, context_of(), {**GO_ON, "pod": "run-1"}, **first.kwargs)

        assert (again.trigger.pod, again.trigger.since) == ("run-1", GO_ON["log_until"])

    def test_follows_the_next_pod_from_its_beginning_whatever_the_clock_of_its_node(self):
        tasks.script(NAME, tend_task=[follows("run-1"), follows("run-2")])
        first = deferred_of(operator().execute, context_of())

        again = deferred_of(operator().go_on, context_of(), {**GO_ON, "pod": "run-1"}, **first.kwargs)

        assert (again.trigger.pod, again.trigger.since) == ("run-2", None)

    def test_returns_nothing_that_a_database_cannot_take(self):
        tasks.script(NAME, tend_task=[tasks.told(output="a\x00b")])

        assert operator().execute(context_of())["output"] == "a\ufffdb"

    def test_says_what_its_trigger_said_once_more_before_another_begins_the_log_anew(self, capfd):
        tasks.script(NAME, tend_task=[follows("run-1"), follows("run-2")])
        first = deferred_of(operator().execute, context_of())

        deferred_of(operator().go_on, context_of(), {**GO_ON, "said": ["one line", "100 %s of it"]}, **first.kwargs)

        logged = capfd.readouterr().out
        assert logged.index("one line") < logged.index("100 %s of it") < logged.index("pod=run-2")

    def test_leaves_the_log_of_its_last_trigger_where_it_is(self, capfd):
        tasks.script(NAME, tend_task=[follows(), tasks.told()])
        first = deferred_of(operator().execute, context_of())

        operator().go_on(context_of(), {**GO_ON, "said": ["one line"]}, **first.kwargs)

        assert "one line" not in capfd.readouterr().out

    def test_only_tends_the_same_run_when_a_worker_takes_over(self):
        tasks.script(NAME, tend_task=[follows(), follows()])

        first = deferred_of(operator().execute, context_of())
        again = deferred_of(operator().execute, context_of())

        assert first.trigger.serialize() == again.trigger.serialize()
        assert len({arguments["spec"]["agent"] for _, arguments in tasks.calls(NAME)}) == 1

    def test_works_on_a_run_that_was_applied(self):
        tasks.script("applied", tend_task=[tasks.told()])

        operator(spec={"agent": "", "task": ""}, task_run="applied").execute(context_of())

        assert tasks.calls("applied")[0][1]["spec"] is None

    @pytest.mark.parametrize(
        "given", [{"spec": {"agent": "helper"}}, {"spec": {"agent": ""}, "kubernetes_conn_id": ""}]
    )
    def test_refuses_an_applied_run_that_is_asked_something_else_or_is_nowhere(self, given):
        with pytest.raises(AirflowFailException, match="`applied`"):
            operator(task_run="applied", **given).execute(context_of())

    def test_asks_persons_about_the_run_in_its_cluster(self):
        tasks.script(NAME, tend_task=[tasks.told("ToolCallsPending", waits_for="person", questions=[QUESTION])])
        made = operator()

        deferred = deferred_of(made.execute, context_of())

        assert made.asked == ([QUESTION], "cluster")
        assert isinstance(deferred.trigger, TaskRunTrigger)
        assert deferred.trigger.serialize()[1]["kubernetes_conn_id"] == "cluster"
        assert deferred.trigger.serialize()[1]["asked"] == ["run-1-0"]

    def test_tries_an_agent_that_is_not_ready_again_later(self):
        tasks.script(NAME, tend_task=[tasks.told("Pending", waits_for="agent", reason="no Agent `helper`")])

        assert deferred_of(operator().execute, context_of()).trigger.at_most_s == 10

    def test_fails_at_once_without_its_connection(self):
        with pytest.raises(AirflowFailException, match="in_cluster, kube_config_path"):
            operator(kubernetes_conn_id="contradicts").execute(context_of())

    @pytest.fixture(autouse=True)
    def _contradiction(self, monkeypatch):
        extra = {"in_cluster": True, "kube_config_path": "/etc/config"}
        monkeypatch.setenv("AIRFLOW_CONN_CONTRADICTS", json.dumps({"conn_type": "kubernetes", "extra": extra}))

    def killed(self, *, state):
        made = operator()

        def let_go(**_):
            made.on_kill()
            return follows()

        tasks.script(NAME, tend_task=[let_go], cancel_task=[tasks.told("Failed")])
        with pytest.raises(AirflowException) as raised:
            made.execute(context_of(instance(states={"step": state})))
        return raised.value, [step for step, _ in tasks.calls(NAME)]

    def test_ends_the_run_when_somebody_decided_on_its_task(self):
        error, steps = self.killed(state="failed")

        assert isinstance(error, AirflowFailException)
        assert steps == ["tend_task", "cancel_task"]
        assert tasks.calls(NAME)[1][1]["access"].namespace == "agents"

    def test_ends_the_run_when_somebody_decided_before_it_was_begun(self):
        made = operator()
        tasks.script(NAME, tend_task=[follows()], cancel_task=[tasks.told("Failed")])
        made.on_kill()

        with pytest.raises(AirflowFailException, match="was cancelled: its task is failed"):
            made.execute(context_of(instance(states={"step": "failed"})))

        assert [step for step, _ in tasks.calls(NAME)] == ["tend_task", "cancel_task"]

    def test_leaves_the_run_to_the_next_try_when_only_its_worker_ends(self):
        error, steps = self.killed(state="running")

        assert not isinstance(error, AirflowFailException)
        assert steps == ["tend_task"]


class TestTaskRunPodTrigger:
    def trigger(self, **given):
        arguments = {"name": "run", "pod": "run-1", "kubernetes_conn_id": "cluster", "pod_tasks": tasks.MODULE}
        return TaskRunPodTrigger(**{**arguments, "pause_s": 0, **given})

    def test_wakes_the_task_with_what_the_watch_says(self):
        tasks.script("run", watch_task=[GO_ON])

        assert event_of(self.trigger(since="2026-11-21T17:00:00+00:00")) == {**GO_ON, "pod": "run-1", "said": []}
        ((_, arguments),) = tasks.calls("run")
        assert arguments["pod"] == "run-1"
        assert arguments["since"] == "2026-11-21T17:00:00+00:00"
        assert arguments["access"].namespace == "agents"

    def test_brings_the_log_of_the_pod_into_the_log_of_the_task(self, capfd):
        tasks.script("run", watch_task=[{**GO_ON, "says": ["one line", "100 %s of it"]}])

        event_of(self.trigger())

        first, second = capfd.readouterr().out.splitlines()[:2]
        assert "one line" in first
        assert "100 %s of it" in second

    def test_hands_on_what_it_said(self):
        tasks.script("run", watch_task=[{**GO_ON, "says": ["one line", "another"]}])

        assert event_of(self.trigger())["said"] == ["one line", "another"]

    def test_hands_on_nothing_that_a_database_cannot_take(self):
        """PostgreSQL refuses it, and Airflow 3.3.2 ends the triggerer over that, again and again."""
        tasks.script("run", watch_task=[{**GO_ON, "reason": "\x00", "says": ["a\x00b\ud800"]}])

        event = event_of(self.trigger())

        assert (event["reason"], event["said"]) == ("\ufffd", ["a\ufffdb\ufffd"])

    def test_hands_on_no_secret_that_airflow_knows(self):
        mask_secret("a-secret-of-airflow")
        tasks.script("run", watch_task=[{**GO_ON, "says": ["it is a-secret-of-airflow"]}])

        assert event_of(self.trigger())["said"] == ["it is ***"]

    def test_holds_its_event_until_airflow_has_read_what_it_said(self):
        tasks.script("run", watch_task=[{**GO_ON, "lasts_s": 0.3, "says": ["one line"]}])

        async def waits():
            loop = asyncio.get_running_loop()
            began = loop.time()
            await anext(self.trigger(pause_s=0.2).run())
            return loop.time() - began

        assert asyncio.run(waits()) >= 0.5

    def test_holds_its_event_until_airflow_knows_that_the_task_is_deferred(self):
        tasks.script("run", watch_task=[GO_ON])

        async def waits():
            loop = asyncio.get_running_loop()
            began = loop.time()
            await anext(self.trigger(pause_s=0.2).run())
            return loop.time() - began

        assert asyncio.run(waits()) >= 0.2

    def test_watches_again_after_what_may_pass(self):
        tasks.script("run", watch_task=[TransientError("no answer"), TransientError("no answer"), GO_ON])

        assert event_of(self.trigger())["decision"] == "go_on"
        assert len(tasks.calls("run")) == 3

    def test_tells_the_task_when_the_cluster_stays_away(self):
        tasks.script("run", watch_task=[TransientError("no route")] * 9)

        said = event_of(self.trigger(pause_s=0.01, patience_s=0.03))

        assert said["decision"] == "failed"
        assert "no route" in said["reason"]

    def test_begins_to_count_anew_after_a_watch_that_had_its_answers(self):
        lasted = {"lasts_s": 0.2, "then": TransientError("cut")}
        tasks.script("run", watch_task=[lasted, lasted, lasted, GO_ON])

        assert event_of(self.trigger(patience_s=0.1))["decision"] == "go_on"

    def test_tells_the_task_what_cannot_be_mended(self):
        tasks.script("run", watch_task=[PermanentError("the record is damaged")])

        assert event_of(self.trigger()) == {
            "decision": "failed",
            "reason": "the record is damaged",
            "pod": "run-1",
            "said": [],
        }

    def test_can_be_taken_up_by_another_triggerer(self):
        tasks.script("run", watch_task=[GO_ON])

        trigger = self.trigger(since="2026-11-21T17:00:00+00:00", patience_s=7)

        again = revived(trigger)

        assert again.serialize() == trigger.serialize()
        assert event_of(again)["decision"] == "go_on"

    def test_leaves_run_and_pod_alone_when_its_triggerer_ends(self):
        """A triggerer that ends cancels its triggers without `on_kill`, and calls `cleanup`."""
        tasks.script("run", watch_task=[], cancel_task=[])

        asyncio.run(self.trigger().cleanup())

        assert tasks.calls("run") == []

    @pytest.mark.parametrize(
        ("state", "steps"), [("failed", ["cancel_task"]), ("success", ["cancel_task"]), ("deferred", []), (None, [])]
    )
    def test_ends_run_and_pod_only_when_somebody_decided_on_the_task(self, state, steps):
        tasks.script("run", cancel_task=[tasks.told("Failed")])
        trigger = self.trigger()
        trigger.task_instance = instance(states={"step": state})

        asyncio.run(trigger.on_kill())

        assert [step for step, _ in tasks.calls("run")] == steps


class TestTaskRunTriggerInCluster:
    def trigger(self, **given):
        modules = {"run_tasks": tasks.MODULE, "pod_tasks": tasks.MODULE}
        arguments = {"name": "run", "asked": ["k"], "look_every_s": 0, "kubernetes_conn_id": "cluster"}
        return TaskRunTrigger(**arguments, **modules, **given)

    def test_looks_in_the_cluster(self):
        tasks.script("run", look_at_task=[{"decision": "go_on", "reason": "Somebody answered."}])

        event_of(revived(self.trigger()))

        assert tasks.calls("run")[0][1]["access"].namespace == "agents"

    def test_ends_the_run_in_the_cluster(self):
        tasks.script("run", cancel_task=[tasks.told("Failed")])
        trigger = self.trigger()
        trigger.task_instance = instance(states={"step": "failed"})

        asyncio.run(trigger.on_kill())

        assert tasks.calls("run")[0][1]["access"].namespace == "agents"


class TestQuestionsOfARunInCluster:
    def test_carry_the_connection_to_the_dag_that_asks(self):
        assert question_conf(QUESTION, kubernetes_conn_id="cluster")["kubernetes_conn_id"] == "cluster"

    def test_are_answered_in_the_cluster(self):
        tasks.script("run", answer_task=[{"outcome": "answered", "reason": ""}])
        made = QuestionOperator(
            task_id="ask",
            task_run="run",
            call_key="k",
            subject="",
            body="",
            options=["Approve"],
            kubernetes_conn_id="cluster",
            run_tasks=tasks.MODULE,
        )

        made.heard(context_of(), {"chosen_options": ["Approve"], "params_input": {}})

        assert tasks.calls("run")[0][1]["access"].namespace == "agents"


class TestKeysOfTheCluster:
    def test_are_in_nothing_that_airflow_keeps(self, capfd):
        tasks.script(NAME, tend_task=[follows(), tasks.told("ToolCallsPending", waits_for="person", questions=[])])
        made = operator()

        first = deferred_of(made.execute, context_of())
        second = deferred_of(made.go_on, context_of(), GO_ON, **first.kwargs)

        logged = capfd.readouterr()
        kept = [*first.trigger.serialize(), *second.trigger.serialize(), first.kwargs, vars(made), logged.out]
        assert "task_run.waits for=pod" in logged.out

        assert KEY not in repr(kept)
