"""Ask every agent every question of a gold set, side by side.

Agents are asked the same row at about the same time, in turns, so that a slow minute of an endpoint meets them alike.
An agent that fails on a row is scored on that row; nothing is lost and nothing is asked twice.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from goldgate.contracts.evaluation import ResultRow
from goldgate.contracts.gold import GoldRow
from goldgate.contracts.policy import Budgets
from goldgate.contracts.prediction import PredictRequest, PredictResponse
from goldgate.domain.errors import PermanentError
from goldgate.evals.score import score
from goldgate.evals.threads import answer_concurrently

Predict = Callable[[PredictRequest], PredictResponse]

_MAX_ERROR_CHARS = 300
"""Of an exception's text, which may quote a whole reply: enough for its first sentences."""


class BudgetExceededError(PermanentError):
    """The evaluation used more money or time than the policy grants it, and was stopped."""


class GoldSetError(PermanentError):
    """The gold set cannot be run as it was asked for."""


@dataclass(frozen=True, kw_only=True)
class _Ask:
    agent: str
    position: int
    repeat: int


def new_trace_id() -> str:
    """Make a W3C trace id."""
    return uuid.uuid4().hex


def run_gold_set(
    rows: Sequence[GoldRow],
    *,
    agents: Mapping[str, Predict],
    repeats: int,
    concurrency: int,
    seed: int,
    budget: Budgets,
    on_row: Callable[[int, int], None],
    monotonic: Callable[[], float] = time.monotonic,
    trace_ids: Callable[[], str] = new_trace_id,
) -> dict[str, list[ResultRow]]:
    """Run the gold set, and return every result under its agent, in the order of rows and repeats.

    Args:
        rows: Questions with distinct ids.
        agents: Name to `predict`, each safe to call from several threads. One that raises, or returns anything but a
            response, makes a row with `error`.
        repeats: How often each question is asked, at least 1.
        concurrency: How many questions are open at a time, over all agents.
        seed: Orders the questions, and which agent is asked first.
        budget: What all agents together may use.
        on_row: Told after each result, on the calling thread: how many there are, and how many there will be.
        monotonic: Seconds on a clock that never goes back. Called from several threads.
        trace_ids: Makes the trace id that a request carries. Called from several threads.

    Raises:
        GoldSetError: There is no row or no agent, two rows share an id, or a count is below 1.
        BudgetExceededError: The money or the time ran out. Answers still open are abandoned.
    """
    _check(rows, agents, repeats=repeats, concurrency=concurrency)
    order = random.Random(seed)  # noqa: S311 - an order, not a secret
    asks = list(_plan(len(rows), agents=list(agents), repeats=repeats, rng=order))
    answer = partial(_answer, rows=rows, agents=agents, monotonic=monotonic, trace_ids=trace_ids)
    meter = _Meter(budget=budget, monotonic=monotonic, of=len(asks))
    done: dict[_Ask, ResultRow] = {}
    for ask, result in answer_concurrently(asks, answer, threads=concurrency, remaining_s=meter.remaining_s):
        done[ask] = result
        on_row(len(done), len(asks))
        meter.add(result.cost_usd)
    if len(done) < len(asks):
        meter.refuse_for_time()
    return {
        agent: [
            done[_Ask(agent=agent, position=position, repeat=repeat)]
            for position in range(len(rows))
            for repeat in range(repeats)
        ]
        for agent in agents
    }


class _Meter:
    """Holds an evaluation to its budget."""

    def __init__(self, *, budget: Budgets, monotonic: Callable[[], float], of: int) -> None:
        self._budget = budget
        self._monotonic = monotonic
        self._deadline = monotonic() + budget.max_evaluation_s
        self._of = of
        self._done = 0
        self._spent_usd = 0.0

    def remaining_s(self) -> float:
        return self._deadline - self._monotonic()

    def add(self, cost_usd: float) -> None:
        self._done += 1
        self._spent_usd += cost_usd
        if self._spent_usd > (granted := self._budget.max_evaluation_cost_usd):
            self._refuse(f"USD {self._spent_usd:.4f}", f"USD {granted:g}", field="max_evaluation_cost_usd")

    def refuse_for_time(self) -> None:
        granted = f"{self._budget.max_evaluation_s:g} s"
        self._refuse(f"more than {granted}", granted, field="max_evaluation_s")

    def _refuse(self, used: str, granted: str, *, field: str) -> None:
        raise BudgetExceededError(
            f"The evaluation was stopped: it used {used} for {self._done} of {self._of} answers, and `budgets.{field}` "
            f"grants {granted}. Ask fewer rows or repeats, look for an agent that runs away, or raise the budget in "
            "`release.yaml`."
        )


def _check(rows: Sequence[GoldRow], agents: Mapping[str, Predict], *, repeats: int, concurrency: int) -> None:
    if not rows or not agents or repeats < 1 or concurrency < 1:
        raise GoldSetError(
            f"Found {len(rows)} rows, {len(agents)} agents, {repeats} repeats and concurrency {concurrency}; "
            "expected at least 1 of each."
        )
    ids = [row.id for row in rows]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise GoldSetError(f"Found the row ids {', '.join(twice)} more than once in the gold set; make them distinct.")


def _plan(rows: int, *, agents: list[str], repeats: int, rng: random.Random) -> Iterator[_Ask]:
    """Shuffle the questions of each repeat, and ask all agents one after the other, in an order drawn anew."""
    for repeat in range(repeats):
        for position in rng.sample(range(rows), k=rows):
            for agent in rng.sample(agents, k=len(agents)):
                yield _Ask(agent=agent, position=position, repeat=repeat)


def _answer(
    ask: _Ask,
    *,
    rows: Sequence[GoldRow],
    agents: Mapping[str, Predict],
    monotonic: Callable[[], float],
    trace_ids: Callable[[], str],
) -> ResultRow:
    row = rows[ask.position]
    request = PredictRequest(question=row.question, context=row.context, trace_id=trace_ids())
    started_s = monotonic()
    response = _predict(agents[ask.agent], request)
    waited_ms = (monotonic() - started_s) * 1000
    # The caller's clock counts where the agent's own tells less: time before and after its measurement is waited too.
    response = response.model_copy(update={"latency_ms_total": max(response.latency_ms_total, waited_ms)})
    return score(row, response, repeat=ask.repeat)


def _predict(predict: Predict, request: PredictRequest) -> PredictResponse:
    """Ask once. Whatever an agent does, there is a response: an agent is any code, even code that ends the process."""
    try:
        response: object = predict(request)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - kept in the row
        return _failed(request, f"{type(error).__name__}: {error}")
    if isinstance(response, PredictResponse):
        return response
    return _failed(request, f"contract: found {type(response).__name__}, expected PredictResponse from `predict`")


def _failed(request: PredictRequest, error: str) -> PredictResponse:
    return PredictResponse(
        answer="",
        refused=False,
        latency_ms_total=0,
        latency_ms_llm=0,
        error=" ".join(error.split())[:_MAX_ERROR_CHARS],
        trace_id=request.trace_id or "",
        model="",
        prompt="",
    )
