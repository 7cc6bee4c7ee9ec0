"""Every agent is asked every row, and nothing is lost."""

import threading

import pytest

from goldgate.contracts.evaluation import GoldSetPlan, Spent
from goldgate.contracts.policy import Budgets
from goldgate.contracts.prediction import Usage
from goldgate.evals.run import BudgetExceededError, GoldSetError, new_trace_id, run_gold_set
from tests.fakes.evaluations import ScriptedAgent, ScriptedMonotonic, counted_trace_ids, gold_row, gold_rows, response

BUDGET = Budgets(max_evaluation_cost_usd=1, max_evaluation_s=60)


def run(rows, agents, **more):
    """Ask with a plan of one question at a time; fields of the plan, and all else, as it is given."""
    plan = {"repeats": 1, "concurrency": 1, "seed": 0, "budget": BUDGET}
    plan |= {name: more.pop(name) for name in [*plan] if name in more}
    asked = {"plan": GoldSetPlan(**plan), "on_row": lambda _: None, "monotonic": ScriptedMonotonic(step_s=0)}
    return run_gold_set(rows, agents=agents, **{**asked, **more})


class TestRunGoldSet:
    @pytest.mark.parametrize("concurrency", [1, 4, 64])
    def test_returns_each_row_and_repeat_of_each_agent_in_order(self, concurrency):
        agents = {"candidate": ScriptedAgent(), "champion": ScriptedAgent()}

        found = run(gold_rows(7), agents, repeats=3, concurrency=concurrency)

        expected = [(f"r{row}", repeat) for row in range(7) for repeat in range(3)]
        assert {who: [(result.row_id, result.repeat) for result in rows] for who, rows in found.items()} == {
            "candidate": expected,
            "champion": expected,
        }

    def test_asks_all_agents_one_row_before_the_next(self):
        asked = []
        agents = {who: lambda request, who=who: asked.append((who, request.question)) or response() for who in "ab"}

        run(gold_rows(20), agents)

        pairs = [asked[position : position + 2] for position in range(0, 40, 2)]
        assert all({who for who, _ in pair} == {"a", "b"} for pair in pairs)
        assert all(len({question for _, question in pair}) == 1 for pair in pairs)
        assert {pair[0][0] for pair in pairs} == {"a", "b"}

    def test_orders_the_questions_by_its_seed(self):
        orders = []
        for seed in (1, 1, 2):
            agent = ScriptedAgent()
            run(gold_rows(20), {"a": agent}, seed=seed)
            orders.append([request.question for request in agent.asked])

        assert orders[0] == orders[1] != orders[2]
        assert orders[0] != sorted(orders[0])

    def test_gives_the_question_its_context_and_a_trace_id_of_its_own(self):
        agent = ScriptedAgent()

        run([gold_row("r1", context=["log"]), gold_row("r2")], {"a": agent}, trace_ids=counted_trace_ids())

        assert sorted(request.context for request in agent.asked) == [[], ["log"]]
        assert sorted(request.trace_id for request in agent.asked) == [f"{1:032x}", f"{2:032x}"]

    @pytest.mark.parametrize("error", [RuntimeError("no\n  way"), SystemExit(3)])
    def test_keeps_a_row_of_an_agent_that_raises(self, error):
        found = run([gold_row("r1"), gold_row("r2")], {"a": ScriptedAgent({"What is r1?": error})})["a"]

        assert [result.passed for result in found] == [False, True]
        assert found[0].error == f"{type(error).__name__}: {' '.join(str(error).split())}"
        assert len(found[0].trace_id) == 32

    def test_keeps_a_row_of_an_agent_that_breaks_the_contract(self):
        found = run([gold_row()], {"a": lambda _: {"answer": "42"}})["a"]

        assert found[0].error == "contract: found dict, expected PredictResponse from `predict`"

    def test_counts_the_latency_that_the_caller_sees_if_the_agent_tells_less(self):
        found = run([gold_row()], {"a": ScriptedAgent()}, monotonic=ScriptedMonotonic(step_s=0.5))["a"]

        assert found[0].latency_ms >= 500
        assert found[0].latency_ms_llm == 8

    def test_tells_of_every_result(self):
        told = []

        costly = ScriptedAgent({row.question: response(usage=Usage(cost_usd=0.25)) for row in gold_rows(3)})
        run(gold_rows(3), {"a": costly, "b": ScriptedAgent()}, on_row=told.append)

        assert [(each.done, each.of) for each in told] == [(done, 6) for done in range(1, 7)]
        assert told[-1].spent_usd == 0.75

    def test_stops_when_the_money_is_spent(self):
        costly = {row.question: response(usage=Usage(cost_usd=0.3)) for row in gold_rows(50)}
        agent = ScriptedAgent(costly)

        with pytest.raises(BudgetExceededError, match=r"used USD 1\.2000 for 4 of 50 answers.*max_evaluation_cost_usd"):
            run(gold_rows(50), {"a": agent})

        assert len(agent.asked) == 4

    def test_counts_what_others_spent_on_the_same(self):
        costly = ScriptedAgent({row.question: response(usage=Usage(cost_usd=0.3)) for row in gold_rows(50)})

        with pytest.raises(BudgetExceededError, match=r"used USD 1\.1000 for 2 of 50 answers"):
            run(gold_rows(50), {"a": costly}, spent=Spent(usd=0.5))
        with pytest.raises(BudgetExceededError, match=r"used more than 60 s for [0-3] of 50 answers"):
            run(gold_rows(50), {"a": ScriptedAgent()}, spent=Spent(seconds=50), monotonic=ScriptedMonotonic(step_s=5))

    def test_keeps_a_row_whose_answer_no_file_can_hold(self):
        """JSON may carry half a surrogate pair, where a text was cut within an emoji; UTF-8 cannot."""
        agent = ScriptedAgent({"What is r1?": response("42 \ud83d", usage=Usage(cost_usd=0.3))})

        found = run([gold_row("r1"), gold_row("r2")], {"a": agent})["a"]

        assert [result.passed for result in found] == [False, True]
        assert found[0].error is not None
        assert found[0].error.startswith("contract: found half a surrogate pair")
        assert found[0].cost_usd == 0.3
        assert [type(result).model_validate_json(result.model_dump_json()) for result in found] == found

    def test_stops_when_the_time_is_over(self):
        with pytest.raises(BudgetExceededError, match=r"used more than 60 s for \d+ of 50 answers.*max_evaluation_s"):
            run(gold_rows(50), {"a": ScriptedAgent()}, monotonic=ScriptedMonotonic(step_s=5))

    def test_leaves_an_agent_that_never_answers(self):
        """The thread is abandoned; the evaluation is not."""
        never = threading.Event()
        budget = Budgets(max_evaluation_cost_usd=1, max_evaluation_s=0.05)

        with pytest.raises(BudgetExceededError, match="for 0 of 1 answers"):
            run([gold_row()], {"a": lambda _: never.wait()}, budget=budget)

        never.set()

    @pytest.mark.parametrize(
        ("rows", "agents"),
        [
            ([], {"a": ScriptedAgent()}),
            ([gold_row()], {}),
        ],
    )
    def test_refuses_to_ask_nothing(self, rows, agents):
        with pytest.raises(GoldSetError, match="at least 1 of each"):
            run(rows, agents)

    def test_refuses_rows_that_share_an_id(self):
        with pytest.raises(GoldSetError, match="row ids r1 more than once"):
            run([gold_row("r1"), gold_row("r1")], {"a": ScriptedAgent()})


class TestNewTraceId:
    def test_is_a_w3c_trace_id_and_new(self):
        ids = {new_trace_id() for _ in range(50)}

        assert len(ids) == 50
        assert all(len(trace_id) == 32 and int(trace_id, 16) for trace_id in ids)
