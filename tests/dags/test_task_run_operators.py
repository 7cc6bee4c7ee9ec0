"""The operators of TaskRuns, on steps that answer from a script. What Airflow itself does is in the journeys."""

import asyncio

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException, TaskDeferred

from goldgate.domain.errors import PermanentError, TransientError
from goldgate_airflow.operators.question import TEXT, QuestionOperator
from goldgate_airflow.operators.task_run import LONGEST_PAUSE_S, AgentTaskRunOperator, task_run_name
from goldgate_airflow.questions import question_conf, quoted
from goldgate_airflow.triggers.question import QuestionTrigger
from goldgate_airflow.triggers.task_run import TaskRunTrigger
from tests.fakes import scripted_run_tasks as tasks
from tests.fakes.frozen_task_instance import FrozenTaskInstance, KeptByTask

QUESTION = {
    "run": "run",
    "agent": "helper",
    "key": "run-1-0",
    "tool": "pay",
    "need": "approval",
    "question": "Pay 3?",
    "arguments": '{"amount": 3}',
    "options": ["Approve", "Deny"],
}


def instance(**given) -> FrozenTaskInstance:
    return FrozenTaskInstance(run_id="dag-run-1", dag_id="agent_task_run", **given)


def context_of(ti):
    return {"ti": ti, "task_state_store": KeptByTask()}


TI_ID = "01a1febe-b45f-79d8-9e12-1724314af2a1"
NAME = task_run_name(instance())


class SilentOperator(AgentTaskRunOperator):
    """Asks nobody in the UI: there is no Airflow here."""

    def _ask(self, questions, *, kubernetes_conn_id):
        self.asked = list(questions)
        self.asked_in = kubernetes_conn_id


def operator(**given) -> SilentOperator:
    spec = {"agent": "helper", "user_message": "Hi", "task": "", "max_cost_usd": ""}
    modules = {"run_tasks": tasks.MODULE, "pod_tasks": tasks.MODULE}
    return SilentOperator(**{"task_id": "step", "spec": spec, "kubernetes_conn_id": "", **modules, **given})


def deferred_of(act, *arguments, **named) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferred:
        act(*arguments, **named)
    return deferred.value


class TestTaskRunName:
    def test_is_the_same_at_every_try(self):
        assert task_run_name(instance()) == task_run_name(instance())

    def test_tells_dags_runs_tasks_and_mapped_tasks_apart(self):
        other = instance()
        other.task_id = "other"
        names = {
            NAME,
            task_run_name(other),
            task_run_name(instance(map_index=0)),
            task_run_name(instance(map_index=1)),
            task_run_name(FrozenTaskInstance(run_id="dag-run-2", dag_id="agent_task_run")),
            task_run_name(FrozenTaskInstance(run_id="dag-run-1", dag_id="other")),
        }

        assert len(names) == 6
        assert all(len(name) <= 63 for name in names)


class TestAgentTaskRunOperator:
    def test_returns_what_the_record_of_an_answered_run_says(self):
        tasks.script(NAME, run_task=[tasks.told(output="Forty-two.")])

        assert operator().execute(context_of(instance()))["output"] == "Forty-two."

    def test_asks_only_what_was_given(self):
        tasks.script(NAME, run_task=[tasks.told()])

        operator().execute(context_of(instance()))

        ((_, arguments),) = tasks.calls(NAME)
        assert arguments["spec"] == {"agent": "helper", "user_message": "Hi"}

    def test_is_red_without_a_retry_when_the_run_failed_and_keeps_its_record(self):
        tasks.script(NAME, run_task=[tasks.told("Failed", reason="loop: the same call")])
        ti = instance()

        with pytest.raises(AirflowFailException, match="loop: the same call"):
            operator().execute(context_of(ti))
        assert ti.pushed["return_value"]["phase"] == "Failed"

    def test_asks_each_question_and_waits_without_a_worker(self):
        second = {**QUESTION, "key": "run-1-1"}
        tasks.script(NAME, run_task=[tasks.told("ToolCallsPending", waits_for="person", questions=[QUESTION, second])])
        made = operator()

        deferred = deferred_of(made.execute, context_of(instance()))

        assert made.asked == [QUESTION, second]
        assert deferred.trigger.serialize()[1]["asked"] == ["run-1-0", "run-1-1"]
        assert deferred.trigger.serialize()[1]["at_most_s"] is None

    def test_goes_on_with_the_same_run_as_often_as_it_asks(self):
        waits = tasks.told("ToolCallsPending", waits_for="person", questions=[QUESTION])
        tasks.script(NAME, run_task=[waits, waits, tasks.told()])
        made = operator()
        answered = {"decision": "go_on", "reason": "Somebody answered."}

        first = deferred_of(made.execute, context_of(instance()))
        again = deferred_of(made.go_on, context_of(instance()), answered, **first.kwargs)
        done = made.go_on(context_of(instance()), answered, **again.kwargs)

        assert done["phase"] == "FinalAnswer"
        assert [step for step, _ in tasks.calls(NAME)] == ["run_task"] * 3

    def test_tries_an_agent_that_is_not_ready_again_ever_more_rarely(self):
        waits = tasks.told("Pending", waits_for="agent", reason="no agent")
        tasks.script(NAME, run_task=[waits] * 9)
        made = operator()
        deferred = deferred_of(made.execute, context_of(instance()))
        pauses = [deferred.trigger.at_most_s]

        for _ in range(8):
            deferred = deferred_of(
                made.go_on, context_of(instance()), {"decision": "go_on", "reason": ""}, **deferred.kwargs
            )
            pauses.append(deferred.trigger.at_most_s)

        assert pauses == sorted(pauses)
        assert (pauses[0], pauses[-1]) == (10, LONGEST_PAUSE_S)

    def test_waits_for_another_process_that_works_on_the_run(self):
        tasks.script(NAME, run_task=[tasks.told("ReadyForLLM", waits_for="process")])

        assert deferred_of(operator().execute, context_of(instance())).trigger.at_most_s == 10

    def test_leaves_retries_of_what_may_pass_to_airflow(self):
        tasks.script(NAME, run_task=[TransientError("disk is busy")])

        with pytest.raises(TransientError):
            operator().execute(context_of(instance()))

    def test_fails_at_once_on_what_cannot_be_mended(self):
        tasks.script(NAME, run_task=[PermanentError("`taskRef` alone")])

        with pytest.raises(AirflowFailException, match="taskRef"):
            operator().execute(context_of(instance()))

    def killed(self, *, state):
        made = operator()

        def let_go(**_):
            made.on_kill()
            return tasks.told("ReadyForLLM", waits_for="process")

        tasks.script(NAME, run_task=[let_go], cancel_task=[tasks.told("Failed")])
        with pytest.raises(AirflowException) as raised:
            made.execute(context_of(instance(states={"step": state})))
        return raised.value, [step for step, _ in tasks.calls(NAME)]

    def test_cancels_the_run_when_somebody_decided_on_its_task(self):
        error, steps = self.killed(state="failed")

        assert isinstance(error, AirflowFailException)
        assert steps == ["run_task", "cancel_task"]

    def test_leaves_the_run_to_the_next_try_when_only_its_worker_ends(self):
        error, steps = self.killed(state="running")

        assert not isinstance(error, AirflowFailException)
        assert steps == ["run_task"]

    def test_refuses_a_wait_that_nobody_knows(self):
        tasks.script(NAME, run_task=[tasks.told("Pending", waits_for="rain")])

        with pytest.raises(AirflowFailException, match="rain"):
            operator().execute(context_of(instance()))


class TestQuestionConf:
    def test_says_who_asks_for_what(self):
        conf = question_conf(QUESTION)

        assert conf["subject"] == "helper asks for approval of pay"
        assert "    Pay 3?" in conf["body"]
        assert conf["options"] == ["Approve", "Deny"]

    def test_shows_markdown_of_a_model_and_never_follows_it(self):
        assert all(line.startswith("    ") for line in quoted("# big\n![x](http://evil)\n\n```").splitlines())


class SilentQuestion(QuestionOperator):
    """Tells Airflow nothing: there is none here."""

    def _tell(self, context):
        pass


class TestQuestionOperator:
    def question(self):
        return SilentQuestion(
            task_id="ask",
            task_run="run",
            call_key="k",
            subject="s",
            body="b",
            options='["Approve", "Deny"]',
            run_tasks=tasks.MODULE,
        )

    def event(self, option="Approve", text=""):
        return {
            "chosen_options": [option],
            "params_input": {"text": text},
            "responded_by_user": {"id": "1", "name": "ada"},
        }

    def test_waits_without_a_worker(self):
        deferred = deferred_of(self.question().execute, context_of(instance()))

        assert deferred.method_name == "heard"
        assert deferred.trigger.serialize()[1]["key"] == "k"

    def test_leaves_the_answer_for_the_run_in_the_name_of_who_gave_it(self):
        tasks.script("run", answer_task=[{"outcome": "answered", "reason": ""}])

        self.question().heard(context_of(instance()), self.event("Deny", "too much"))

        assert tasks.calls("run") == [
            ("answer_task", {"key": "k", "option": "Deny", "text": "too much", "by": "ada"}),
        ]

    def test_asks_again_when_the_answer_does_not_fit(self):
        tasks.script("run", answer_task=[{"outcome": "again", "reason": "needs a text"}])

        deferred_of(self.question().heard, context_of(instance()), self.event("Answer"))

    @pytest.mark.parametrize("text", [None, "", "why"])
    def test_needs_no_text_of_who_approves_or_refuses(self, text):
        """The page of Airflow disables its buttons while a param that is not nullable stands empty."""
        tasks.script("run", answer_task=[{"outcome": "answered", "reason": ""}])

        said = self.question().heard(context_of(instance()), self.event("Approve", text))

        assert "null" in TEXT.serialize()["schema"]["type"]
        assert TEXT.resolve(text) == text
        assert said["text"] == (text or "")

    def test_is_skipped_when_somebody_else_was_first(self):
        tasks.script("run", answer_task=[{"outcome": "elsewhere", "reason": "It was answered elsewhere."}])

        with pytest.raises(AirflowSkipException, match="elsewhere"):
            self.question().heard(context_of(instance()), self.event())

    def test_is_skipped_when_nobody_need_answer_any_more(self):
        with pytest.raises(AirflowSkipException):
            self.question().heard(context_of(instance()), {"decision": "over", "reason": "It was answered elsewhere."})


class SilentQuestionTrigger(QuestionTrigger):
    """Tells Airflow nothing: there is none here."""

    early = None
    closed = False

    def answered_early(self):
        return self.early

    def close(self):
        self.closed = True


def event_of(trigger):
    async def first():
        return await anext(trigger.run())

    return asyncio.run(first()).payload


class TestTaskRunTrigger:
    def trigger(self, **given):
        return TaskRunTrigger(**{"name": "run", "asked": ["k"], "look_every_s": 0, "run_tasks": tasks.MODULE, **given})

    def test_holds_until_the_run_can_go_on(self):
        hold, go_on = {"decision": "hold", "reason": ""}, {"decision": "go_on", "reason": "Somebody answered."}
        tasks.script("run", look_at_task=[hold, TransientError("busy"), hold, go_on])

        assert event_of(self.trigger()) == go_on
        assert tasks.calls("run")[0] == ("look_at_task", {"asked": ["k"]})

    def test_tries_again_when_it_is_time(self):
        """An agent that is not ready does not say when it is: the record always has work to do."""
        tasks.script("run", look_at_task=[{"decision": "go_on", "reason": "has work"}])

        assert event_of(self.trigger(asked=[], at_most_s=0))["reason"] == "It is time to try again."

    def test_goes_on_at_once_when_the_run_is_over(self):
        over = {"decision": "go_on", "reason": "The run is over: Failed.", "is_over": True}
        tasks.script("run", look_at_task=[over])

        assert event_of(self.trigger(at_most_s=1_000)) == over

    def test_hands_on_nothing_that_a_database_cannot_take(self):
        tasks.script("run", look_at_task=[{"decision": "go_on", "reason": "a\x00b"}])

        assert event_of(self.trigger())["reason"] == "a\ufffdb"

    def test_tells_what_cannot_be_mended(self):
        tasks.script("run", look_at_task=[PermanentError("damaged record")])

        assert event_of(self.trigger()) == {"decision": "failed", "reason": "damaged record"}

    def killed(self, states):
        tasks.script("run", cancel_task=[tasks.told("Failed")])
        trigger = self.trigger()
        trigger.task_instance = instance(states=states)
        asyncio.run(trigger.on_kill())
        return [step for step, _ in tasks.calls("run")]

    @pytest.mark.parametrize("state", ["failed", "success", "skipped", "removed", "upstream_failed"])
    def test_cancels_the_run_when_a_person_decided_on_its_task(self, state):
        assert self.killed({"step": state}) == ["cancel_task"]

    def test_cancels_the_run_of_a_task_that_was_deleted(self):
        assert self.killed({}) == ["cancel_task"]

    @pytest.mark.parametrize("state", ["deferred", "queued", "up_for_retry", None])
    def test_leaves_the_run_to_the_triggerer_or_the_try_that_has_it_now(self, state):
        """Airflow asks it to end too when another triggerer took over, and when the task was cleared."""
        assert self.killed({"step": state}) == []

    @pytest.mark.parametrize(
        "made",
        [
            TaskRunTrigger(name="run", asked=["k"], look_every_s=3, at_most_s=5, run_tasks=tasks.MODULE),
            TaskRunTrigger(
                name="run", asked=[], look_every_s=3, kubernetes_conn_id="cluster", run_tasks="a", pod_tasks="b"
            ),
            QuestionTrigger(name="run", key="k", ti_id=TI_ID, look_every_s=3, run_tasks=tasks.MODULE),
            QuestionTrigger(name="run", key="k", ti_id=TI_ID, look_every_s=3, kubernetes_conn_id="cluster"),
        ],
    )
    def test_can_be_taken_up_by_another_triggerer(self, made):
        path, arguments = made.serialize()

        assert vars(type(made)(**arguments)) == vars(made)
        assert path == f"{type(made).__module__}.{type(made).__name__}"


class TestQuestionTrigger:
    def trigger(self, **given):
        return SilentQuestionTrigger(
            **{"name": "run", "key": "k", "ti_id": TI_ID, "look_every_s": 0, "run_tasks": tasks.MODULE, **given}
        )

    def test_wakes_the_task_and_closes_the_request_when_nobody_need_answer_any_more(self):
        over = {"decision": "over", "reason": "It was answered elsewhere."}
        tasks.script("run", look_at_question=[{"decision": "hold", "reason": ""}, over])
        trigger = self.trigger()

        assert event_of(trigger) == over
        assert trigger.closed

    def test_loses_no_answer_that_came_before_the_task_was_deferred(self):
        """Airflow wakes a task by its answer only once it is deferred."""
        early = {"chosen_options": ["Approve"], "params_input": {}, "responded_by_user": {"id": "1", "name": "ada"}}
        tasks.script("run", look_at_question=[])
        trigger = self.trigger()
        trigger.early = early

        assert event_of(trigger) == early
        assert not trigger.closed
