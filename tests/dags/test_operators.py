"""The operators, on steps that answer from a script."""

import asyncio
import itertools
import json
import logging
import time

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException, DownstreamTasksSkipped, TaskDeferred

from goldgate.adapters.openai_chat.model import OpenAIChatModel
from goldgate.contracts.llm import LLMSpec
from goldgate.contracts.prices import price_of
from goldgate.domain.conversation import ChatMessage
from goldgate.domain.errors import PermanentError, TransientError
from goldgate_airflow.callbacks import failure_facts
from goldgate_airflow.operators.canary import CanaryOperator
from goldgate_airflow.operators.close import CloseOperator, ended_at
from goldgate_airflow.operators.step import StepOperator
from goldgate_airflow.playbook import release_id_of, step_of
from goldgate_airflow.triggers.canary import CanaryTrigger
from tests.fakes import scripted_release_tasks as tasks
from tests.fakes.frozen_task_instance import FrozenTaskInstance
from tests.fakes.scripted_endpoint import Answer, ScriptedEndpoint, completion

RUN = "release-1"


def in_a_dag(*operators):
    """Put operators one after the other, as the playbook does."""
    dag = DAG("agent_release", schedule=None)
    for operator in operators:
        dag.add_task(operator)
    for first, then in itertools.pairwise(operators):
        first >> then
    return dag


def context_of(ti, dag=None):
    return {"ti": ti, "dag": dag}


class TestReleaseIdOf:
    def test_keeps_a_run_id_that_can_name_things(self):
        assert release_id_of("demo-1-lexical") == "demo-1-lexical"

    def test_cleans_any_other(self):
        found = release_id_of("manual__2026-11-21T12:00:00.123+00:00")

        assert found.startswith("manual-2026-11-21t12-00-00-123-00-00-")
        assert len(found) <= 63

    def test_never_gives_two_runs_one_name(self):
        assert release_id_of("Run A") != release_id_of("run a") != release_id_of("run_a")

    def test_names_the_same_run_the_same_way(self):
        assert release_id_of("manual__x") == release_id_of("manual__x")


class TestStepOf:
    def test_keeps_out_of_the_task_log_what_the_model_client_says_of_each_request(self, caplog):
        step_of(tasks.MODULE, "judge")
        caplog.set_level(logging.INFO)
        price = dict.fromkeys(
            ("inputUsdPerMillionTokens", "cachedInputUsdPerMillionTokens", "outputUsdPerMillionTokens"), 1
        )

        with ScriptedEndpoint(Answer(body=completion("Yes."))) as endpoint:
            spec = LLMSpec.model_validate({"model": "m-1", "price": price, "baseUrl": endpoint.url})
            model = OpenAIChatModel(spec, price=price_of(spec).price, env={})
            model.complete([ChatMessage(role="user", content="Hi")], tools=[], within_s=5)
            model.close()

        assert [record.name for record in caplog.records] == []


class TestStepOperator:
    def step(self, **arguments):
        return StepOperator(task_id="judge", step="judge", playbook=tasks.MODULE, **arguments)

    def test_returns_what_the_step_returned(self):
        tasks.script(RUN, judge=[{"verdict": "pass"}])

        assert self.step().execute(context_of(FrozenTaskInstance(run_id=RUN))) == {"verdict": "pass"}

    def test_fails_without_a_retry_when_trying_again_cannot_help(self):
        tasks.script(RUN, judge=[PermanentError("found x, expected y")])

        with pytest.raises(AirflowFailException, match="found x, expected y"):
            self.step().execute(context_of(FrozenTaskInstance(run_id=RUN)))

    def test_leaves_a_passing_trouble_to_the_retries_of_airflow(self):
        tasks.script(RUN, judge=[TransientError("later")])

        with pytest.raises(TransientError):
            self.step().execute(context_of(FrozenTaskInstance(run_id=RUN)))

    def test_skips_the_next_task_and_keeps_the_result_on_a_negative_verdict(self):
        tasks.script(RUN, judge=[{"verdict": "fail"}])
        step, then = self.step(goes_on_if=("verdict", "pass")), StepOperator(task_id="register", step="register")
        in_a_dag(step, then)
        ti = FrozenTaskInstance(run_id=RUN)

        with pytest.raises(DownstreamTasksSkipped) as skipped:
            step.execute(context_of(ti))

        assert skipped.value.tasks == ["register"]
        assert ti.pushed["return_value"] == {"verdict": "fail"}

    @pytest.mark.parametrize("result", [{}, {"verdict": None}, {"verdict": "undecided"}, {"verdict": "PASS"}])
    def test_stops_at_everything_but_a_pass(self, result):
        tasks.script(RUN, judge=[result])
        step = self.step(fails_unless=("verdict", "pass"))

        with pytest.raises(AirflowFailException, match="expected `pass`"):
            step.execute(context_of(FrozenTaskInstance(run_id=RUN)))

    def test_reads_a_field_inside_a_result(self):
        tasks.script(RUN, judge=[{"status": {"phase": "FinalAnswer"}}])
        step = self.step(fails_unless=("status.phase", "FinalAnswer"))

        assert step.execute(context_of(FrozenTaskInstance(run_id=RUN)))["status"]["phase"] == "FinalAnswer"

    def test_returns_nothing_that_a_database_cannot_take(self):
        tasks.script(RUN, judge=[{"verdict": "pass", "reason": "a\x00b"}])

        assert self.step().execute(context_of(FrozenTaskInstance(run_id=RUN)))["reason"] == "a\ufffdb"

    def test_passes_an_empty_optional_argument_as_not_given(self):
        tasks.script(RUN, rollback=[{"outcome": "rolled_back"}])
        step = StepOperator(
            task_id="rollback",
            step="rollback",
            playbook=tasks.MODULE,
            arguments={"agent": "a", "to": ""},
            optional=["to"],
        )

        step.execute(context_of(FrozenTaskInstance(run_id=RUN)))

        assert tasks.calls(RUN) == [("rollback", {"agent": "a", "to": None})]

    @pytest.mark.parametrize(("in_cluster", "handed"), [(True, {"access"}), (False, set())])
    def test_hands_a_step_the_cluster_of_the_environment_if_it_may_use_pods(self, monkeypatch, in_cluster, handed):
        connection = {"conn_type": "kubernetes", "extra": {"in_cluster": True}}
        monkeypatch.setenv("AIRFLOW_CONN_CLUSTER", json.dumps(connection))
        monkeypatch.setenv("GOLDGATE_KUBERNETES_CONN_ID", "cluster")
        tasks.script(RUN, judge=[{"verdict": "pass"}])

        self.step(in_cluster=in_cluster).execute(context_of(FrozenTaskInstance(run_id=RUN)))

        [(_, arguments)] = tasks.calls(RUN)
        assert set(arguments) == handed

    def killed(self, monkeypatch, ti, **arguments):
        """Have the process told to end while the step waits for its pod."""
        monkeypatch.setenv("AIRFLOW_CONN_CLUSTER", json.dumps({"conn_type": "kubernetes", "extra": {"in_cluster": 1}}))
        monkeypatch.setenv("GOLDGATE_KUBERNETES_CONN_ID", "cluster")
        made = self.step(in_cluster=True, arguments={"agent": "a", "source": "s"}, **arguments)
        tasks.script(RUN, judge=[made.on_kill], forget_evaluation=[None])
        with pytest.raises(AirflowException) as raised:
            made.execute(context_of(ti))
        forgotten = [sorted(given) for step, given in tasks.calls(RUN) if step == "forget_evaluation"]
        return type(raised.value), str(raised.value), forgotten

    @pytest.mark.parametrize("state", ["failed", "success", "removed"])
    def test_ends_the_pod_that_nobody_wants_any_more(self, monkeypatch, state):
        states = {} if state == "removed" else {"step": state}

        kind, said, forgotten = self.killed(monkeypatch, FrozenTaskInstance(run_id=RUN, states=states))

        assert kind is AirflowFailException
        assert f"its task is {state}" in said
        assert forgotten == [["access", "agent"]]

    @pytest.mark.parametrize("state", ["running", "restarting"])
    def test_leaves_the_pod_to_the_next_try_when_its_worker_ends(self, monkeypatch, state):
        ti = FrozenTaskInstance(run_id=RUN, states={"step": state})

        kind, said, forgotten = self.killed(monkeypatch, ti)

        assert kind is AirflowException
        assert "goes on at the next try" in said
        assert forgotten == []

    def test_is_not_disturbed_by_a_kill_when_it_waits_for_no_pod(self):
        made = self.step()
        tasks.script(RUN, judge=[lambda: made.on_kill() or {"verdict": "pass"}])

        assert made.execute(context_of(FrozenTaskInstance(run_id=RUN))) == {"verdict": "pass"}

    def test_names_each_mapped_task_its_own_way(self):
        tasks.script("release-1-2", judge=[{"verdict": "pass"}])

        self.step().execute(context_of(FrozenTaskInstance(run_id=RUN, map_index=2)))

        assert tasks.calls("release-1-2") == [("judge", {})]


class TestCloseOperator:
    def close(self, states):
        close = CloseOperator(task_id="close", playbook=tasks.MODULE)
        judge, register = StepOperator(task_id="judge", step="judge"), StepOperator(task_id="register", step="register")
        dag = in_a_dag(judge, register, close)
        ti = FrozenTaskInstance(run_id=RUN, states=states)
        return close.execute(context_of(ti, dag))

    def test_is_green_when_the_candidate_was_promoted(self):
        tasks.script(RUN, close=[{"outcome": "promoted", "step": "promote", "reason": "judged pass"}])

        assert self.close({"judge": "success", "register": "success"})["outcome"] == "promoted"
        assert tasks.calls(RUN) == [("close", {"failed_step": None})]

    @pytest.mark.parametrize("outcome", ["blocked", "aborted", "failed"])
    def test_is_red_with_the_reason_otherwise(self, outcome):
        tasks.script(RUN, close=[{"outcome": outcome, "step": "judge", "reason": "quality too low"}])

        with pytest.raises(AirflowFailException, match=f"{outcome} at `judge`: quality too low"):
            self.close({"judge": "success", "register": "skipped"})

        assert tasks.calls(RUN) == [("close", {"failed_step": "judge"})]


class TestEndedAt:
    ORDER = ("check", "judge", "register", "promote")

    def test_names_the_step_that_failed_by_itself(self):
        states = {"check": "success", "judge": "failed", "register": "upstream_failed", "promote": "upstream_failed"}

        assert ended_at(states, order=self.ORDER) == "judge"

    def test_names_the_step_that_had_the_rest_skipped(self):
        states = {"check": "success", "judge": "success", "register": "skipped", "promote": "skipped"}

        assert ended_at(states, order=self.ORDER) == "judge"

    def test_names_none_when_all_went_through(self):
        assert ended_at(dict.fromkeys(self.ORDER, "success"), order=self.ORDER) is None


class TestCanaryOperator:
    def operator(self):
        canary = CanaryOperator(task_id="canary", playbook=tasks.MODULE)
        in_a_dag(canary, StepOperator(task_id="promote", step="promote"))
        return canary

    def test_waits_without_a_worker_at_the_pace_of_the_plan(self):
        tasks.script(RUN, start_canary=[{"outcome": "started", "look_every_s": 2}])

        with pytest.raises(TaskDeferred) as deferred:
            self.operator().execute(context_of(FrozenTaskInstance(run_id=RUN)))

        assert deferred.value.trigger.serialize()[1]["release_id"] == RUN
        assert deferred.value.trigger.serialize()[1]["look_every_s"] == 2
        assert deferred.value.method_name == "act"

    def test_goes_on_when_there_is_no_champion_to_compare_with(self):
        tasks.script(RUN, start_canary=[{"outcome": "skipped", "reason": "no champion"}])

        assert self.operator().execute(context_of(FrozenTaskInstance(run_id=RUN)))["outcome"] == "skipped"

    @pytest.mark.parametrize("outcome", ["aborted", "undecided"])
    def test_skips_the_promotion_when_it_is_taken_up_after_its_end(self, outcome):
        """A task that was killed between the record and its own end finds the record."""
        tasks.script(RUN, start_canary=[{"outcome": outcome, "reason": "errors"}])

        with pytest.raises(DownstreamTasksSkipped):
            self.operator().execute(context_of(FrozenTaskInstance(run_id=RUN)))

    def test_refuses_an_outcome_that_nobody_knows(self):
        tasks.script(RUN, start_canary=[{"outcome": "great"}])

        with pytest.raises(AirflowFailException, match="great"):
            self.operator().execute(context_of(FrozenTaskInstance(run_id=RUN)))

    def test_waits_on_after_a_larger_share(self):
        tasks.script(RUN, act_on_canary=[{"outcome": "running", "reason": ""}])
        event = {"decision": "advance", "reason": "held", "to_ratio": 0.05}

        with pytest.raises(TaskDeferred) as deferred:
            self.operator().act(context_of(FrozenTaskInstance(run_id=RUN)), event, look_every_s=2)

        assert tasks.calls(RUN) == [("act_on_canary", {"decision": event})]
        assert deferred.value.kwargs == {"look_every_s": 2}

    def test_ends_when_the_canary_passed(self):
        tasks.script(RUN, act_on_canary=[{"outcome": "passed", "reason": "all held"}])
        event = {"decision": "complete", "reason": "all held"}

        done = self.operator().act(context_of(FrozenTaskInstance(run_id=RUN)), event, look_every_s=2)

        assert done["outcome"] == "passed"

    @pytest.mark.parametrize(("decision", "outcome"), [("abort", "aborted"), ("give_up", "undecided")])
    def test_takes_the_traffic_back_before_it_skips_the_promotion(self, decision, outcome):
        tasks.script(RUN, act_on_canary=[{"outcome": outcome, "reason": "errors"}])
        ti = FrozenTaskInstance(run_id=RUN)

        with pytest.raises(DownstreamTasksSkipped) as skipped:
            self.operator().act(context_of(ti), {"decision": decision, "reason": "errors"}, look_every_s=2)

        assert [step for step, _ in tasks.calls(RUN)] == ["act_on_canary"]
        assert skipped.value.tasks == ["promote"]
        assert ti.pushed["return_value"]["outcome"] == outcome

    def test_fails_when_no_more_looks_were_possible(self):
        with pytest.raises(AirflowFailException, match="registry is gone"):
            self.operator().act(
                context_of(FrozenTaskInstance(run_id=RUN)),
                {"decision": "failed", "reason": "registry is gone"},
                look_every_s=2,
            )


class TestCanaryTrigger:
    def event(self, *, patience_s=60.0, look_every_s=0.0):
        trigger = CanaryTrigger(release_id=RUN, look_every_s=look_every_s, playbook=tasks.MODULE, patience_s=patience_s)

        async def first():
            return await anext(trigger.run())

        return asyncio.run(first()).payload

    def test_holds_until_there_is_something_to_do(self):
        hold, complete = {"decision": "hold", "reason": ""}, {"decision": "complete", "reason": "all held"}
        tasks.script(RUN, look_at_canary=[hold, hold, complete])

        assert self.event() == complete
        assert len(tasks.calls(RUN)) == 3

    def test_holds_its_event_until_airflow_knows_that_the_task_is_deferred(self):
        tasks.script(RUN, look_at_canary=[{"decision": "abort", "reason": "errors"}])
        began = time.monotonic()

        self.event(look_every_s=0.2)

        assert time.monotonic() - began >= 0.2

    def test_looks_again_after_a_look_that_failed(self):
        tasks.script(RUN, look_at_canary=[TransientError("busy"), {"decision": "abort", "reason": "errors"}])

        assert self.event()["decision"] == "abort"

    def test_tells_when_looks_failed_for_too_long(self):
        tasks.script(RUN, look_at_canary=[TransientError("registry is gone")])

        found = self.event(patience_s=0)

        assert found["decision"] == "failed"
        assert "registry is gone" in found["reason"]

    def test_tells_at_once_what_cannot_be_mended(self):
        tasks.script(RUN, look_at_canary=[PermanentError("no such release")])

        assert self.event() == {"decision": "failed", "reason": "no such release"}

    def test_can_be_taken_up_by_another_triggerer(self):
        trigger = CanaryTrigger(release_id=RUN, look_every_s=2, playbook=tasks.MODULE)
        path, arguments = trigger.serialize()

        again = CanaryTrigger(**arguments)

        assert path == "goldgate_airflow.triggers.canary.CanaryTrigger"
        assert vars(again) == vars(trigger)


class TestFailureFacts:
    def test_name_release_step_and_reason(self):
        ti = FrozenTaskInstance(run_id=RUN)

        facts = failure_facts({"ti": ti, "params": {"agent": "a"}, "exception": ValueError("no")})

        assert facts == {"dag": "agent_release", "step": "step", "release_id": RUN, "agent": "a", "reason": "no"}

    def test_say_so_when_no_exception_was_given(self):
        facts = failure_facts({"ti": FrozenTaskInstance(run_id=RUN), "params": {}})

        assert "killed" in facts["reason"]
