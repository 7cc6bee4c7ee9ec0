"""The sample agent as a user would bring it: evaluated and run for real, each in its own environment.

Skipped, with the reason, where an environment is not here and the package index cannot be reached.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from goldgate.contracts.documents import read_jsonl, read_yaml
from goldgate.contracts.evaluation import GoldSetPlan
from goldgate.contracts.gold import GoldRow
from goldgate.contracts.policy import Budgets, ReleasePolicy
from goldgate.contracts.prediction import PredictRequest
from goldgate.contracts.task_runs import TaskRunSpec
from goldgate.domain.errors import TransientError
from goldgate.domain.measures import measure
from goldgate.domain.runs.state import Phase
from goldgate.domain.verdict import Estimate, Unmeasured
from goldgate.entrypoints.agents import load_agent
from goldgate.entrypoints.freezing import freeze_agent
from goldgate.entrypoints.settings import CHECKOUT, Settings
from goldgate.entrypoints.task_run import run_task
from goldgate.evals.gold_checks import digest_gold
from goldgate.evals.run import run_gold_set
from goldgate.ports.agents import Agent
from goldgate.release.reach import refuse_out_of_reach

AGENTS = CHECKOUT / "include" / "agents"
PLAIN = "plain-helper"
FRAMEWORKS = ("openai-agents-helper", "langgraph-helper")
SIX_OF_EACH = [*range(6), *range(-9, -3)]
"""Positions in the gold set: questions with an answer stand first, then refusals, then those that need a tool."""


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    program = [sys.executable, "-m", "goldgate.entrypoints.standin", "--port", "0", "--latency-ms", "1"]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT / "include")}
    with subprocess.Popen(program, env=env, stdout=subprocess.PIPE, text=True) as standin:
        assert standin.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", standin.stdout.readline())
        assert found is not None
        yield f"{found[0]}/v1"
        standin.terminate()


@pytest.fixture
def env(tmp_path: Path, model_url: str) -> dict[str, str]:
    return {**os.environ, "GOLDGATE_HOME": str(tmp_path / "home"), "GOLDGATE_MODEL_URL": model_url}


@contextlib.contextmanager
def loaded(name: str, *, env: dict[str, str]) -> Iterator[Agent]:
    bundle = freeze_agent(AGENTS / name, into=Path(env["GOLDGATE_HOME"]) / "bundles", env=env)
    try:
        agent = load_agent(bundle.path, env=env)
    except TransientError as error:
        pytest.skip(str(error))
    with contextlib.closing(agent):
        assert agent.warm_up(within_s=60) == []
        yield agent


class TestFolders:
    @pytest.mark.parametrize("name", [PLAIN, *FRAMEWORKS])
    def test_hold_rows_of_the_sample_agents_gold_set_as_they_are(self, name):
        known = set((AGENTS / "airflow-helper" / "gold.jsonl").read_text().splitlines())

        assert set((AGENTS / name / "gold.jsonl").read_text().splitlines()) < known

    @pytest.mark.parametrize("name", [PLAIN, *FRAMEWORKS])
    def test_hold_passages_that_the_sample_agents_builder_prints(self, name, corpus_lines):
        options = [json.loads(line) for line in (AGENTS / name / "options.jsonl").read_text().splitlines()]
        ids = {option["id"] for option in options}

        assert [line for line in corpus_lines if line["id"] in ids] == options
        rows = read_jsonl(AGENTS / name / "gold.jsonl", GoldRow)
        assert {chunk for row in rows for chunk in row.relevant} <= ids

    @pytest.mark.parametrize("name", [PLAIN, *FRAMEWORKS])
    def test_have_a_policy_that_can_be_passed_on_the_gold_set_that_it_pins(self, name):
        policy = read_yaml(AGENTS / name / "release.yaml", ReleasePolicy)

        assert policy.gold_set.digest == digest_gold(AGENTS / name / "gold.jsonl")
        refuse_out_of_reach(policy, read_jsonl(AGENTS / name / "gold.jsonl", GoldRow))

    def test_share_their_search(self):
        texts = {(AGENTS / name / "search.py").read_text() for name in FRAMEWORKS}

        assert len(texts) == 1


class TestPlainHelper:
    def test_is_evaluated_like_any_agent(self, env):
        rows = read_jsonl(AGENTS / PLAIN / "gold.jsonl", GoldRow)[::4]

        with loaded(PLAIN, env=env) as agent:
            results = run_gold_set(
                rows,
                agents={PLAIN: agent.predict},
                plan=GoldSetPlan(repeats=1, concurrency=4, seed=7, budget=Budgets()),
                on_row=lambda _: None,
            )[PLAIN]

        assert [result.error for result in results if result.error] == []
        assert sum(result.passed for result in results) >= len(rows) / 2
        assert sum(result.hit_at_k is True for result in results) >= len(rows) / 4
        assert all(result.is_metered for result in results)
        assert all(result.tokens_in > 100 for result in results if not result.refused)

    def test_runs_as_a_task_run(self, env):
        settings = Settings.from_env({**env, "GOLDGATE_AGENTS": str(AGENTS)})
        spec = TaskRunSpec(agent_ref=PLAIN, user_message="How many tasks may run at once in the whole installation?")

        run = run_task(spec, settings=settings, env=env)

        assert run.status.phase is Phase.FINAL_ANSWER
        assert [message.role for message in run.status.context_window] == ["user", "assistant"]
        assert run.status.usage.tokens_in > 0
        assert run.status.citations

    def test_that_reported_nothing_would_be_unmeasured_where_a_gate_needs_it(self, env, tmp_path):
        """Cost is not 0 and retrieval is not missed: nobody knows."""
        folder = tmp_path / "silent"
        folder.mkdir()
        for file in (AGENTS / PLAIN).iterdir():
            text = file.read_text()
            (folder / file.name).write_text(text.replace("reports: [usage, citations, retrieved]", "reports: []"))
        rows = read_jsonl(AGENTS / PLAIN / "gold.jsonl", GoldRow)[:4]

        with loaded(str(folder), env=env) as agent:
            results = run_gold_set(
                rows,
                agents={"silent": agent.predict},
                plan=GoldSetPlan(repeats=1, concurrency=2, seed=7, budget=Budgets()),
                on_row=lambda _: None,
            )["silent"]

        cost = measure("cost_usd", results, confidence_ratio=0.95, rng=Random(7))
        assert isinstance(cost, Unmeasured)
        assert cost.reason == "the model did not say what it used on 4 of 4 requests"
        assert isinstance(measure("quality", results, confidence_ratio=0.95, rng=Random(7)), Estimate)
        assert {(result.hit_at_k, result.context_precision, result.context_use_rate) for result in results} == {
            (None, None, None)
        }


@pytest.mark.slow
class TestFrameworks:
    @pytest.mark.parametrize("name", FRAMEWORKS)
    def test_answer_in_environments_of_their_own(self, env, name):
        rows = read_jsonl(AGENTS / name / "gold.jsonl", GoldRow)
        chosen = [rows[position] for position in SIX_OF_EACH]

        with loaded(name, env=env) as agent:
            by_tool = agent.predict(
                PredictRequest(question="What do I export to override triggerer.capacity by environment variable?")
            )
            answers = [agent.predict(PredictRequest(question=row.question, context=row.context)) for row in chosen]

        assert by_tool.answer == "triggerer.capacity is set by AIRFLOW__TRIGGERER__CAPACITY."
        assert [(call.name, call.is_error) for call in by_tool.tool_calls] == [("environment_variable", False)]
        assert (by_tool.usage.llm_calls, by_tool.usage.is_metered, by_tool.unmeasured) == (2, True, [])
        assert [answer.error for answer in answers if answer.error] == []
        assert sum(answer.refused for answer in answers[6:]) >= 4
        assert sum(bool(answer.citations) for answer in answers[:6]) >= 4
