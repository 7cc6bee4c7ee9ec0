"""Ask every agent every question of a gold set, side by side.

Agents are asked the same row at about the same time, in turns, so that a slow minute of an endpoint meets them alike.
An agent that fails on a row is scored on that row; nothing is lost and nothing is asked twice.
"""

import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pydantic_core import PydanticSerializationError

from goldgate.contracts.evaluation import GoldSetPlan, Progress, ResultRow, Spent
from goldgate.contracts.gold import GoldRow
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
    plan: GoldSetPlan,
    on_row: Callable[[Progress], None],
    spent: Spent = Spent(),  # noqa: B008 - frozen
    monotonic: Callable[[], float] = time.monotonic,
    trace_ids: Callable[[], str] = new_trace_id,
) -> dict[str, list[ResultRow]]:
    """Run the gold set, and return every result under its agent, in the order of rows and repeats.

    Args:
        rows: Questions with distinct ids.
        agents: Name to `predict`, each safe to call from several threads. One that raises, or returns anything but a
            response, makes a row with `error`.
        plan: How often each question is asked, and how many at a time. Its seed orders the questions, and which agent
            is asked first. Its budget is what all agents together may use.
        on_row: Told after each result, on the calling thread.
        spent: What of the budget others used up that asked the same, and whose answers are lost.
        monotonic: Seconds on a clock that never goes back. Called from several threads.
        trace_ids: Makes the trace id that a request carries. Called from several threads.

    Raises:
        GoldSetError: There is no row or no agent, or two rows share an id.
        BudgetExceededError: The money or the time ran out. Answers still open are abandoned.
    """
    _check(rows, agents)
    order = random.Random(plan.seed)  # noqa: S311 - an order, not a secret
    asks = list(_plan(len(rows), agents=list(agents), repeats=plan.repeats, rng=order))
    answer = partial(_answer, rows=rows, agents=agents, monotonic=monotonic, trace_ids=trace_ids)
    meter = _Meter(plan, spent=spent, monotonic=monotonic, of=len(asks))
    done: dict[_Ask, ResultRow] = {}
    for ask, result in answer_concurrently(asks, answer, threads=plan.concurrency, remaining_s=meter.remaining_s):
        done[ask] = result
        on_row(meter.counted(result.cost_usd))
        meter.refuse_for_money()
    if len(done) < len(asks):
        meter.refuse_for_time()
    return {
        agent: [
            done[_Ask(agent=agent, position=position, repeat=repeat)]
            for position in range(len(rows))
            for repeat in range(plan.repeats)
        ]
        for agent in agents
    }


class _Meter:
    """Holds an evaluation to its budget."""

    def __init__(self, plan: GoldSetPlan, *, spent: Spent, monotonic: Callable[[], float], of: int) -> None:
        self._budget = plan.budget
        self._monotonic = monotonic
        self._deadline = monotonic() + plan.budget.max_evaluation_s - spent.seconds
        self._of = of
        self._done = 0
        self._before_usd = spent.usd
        self._spent_usd = 0.0

    def remaining_s(self) -> float:
        return self._deadline - self._monotonic()

    def counted(self, cost_usd: float) -> Progress:
        self._done += 1
        self._spent_usd += cost_usd
        return Progress(done=self._done, of=self._of, spent_usd=self._spent_usd)

    def refuse_for_money(self) -> None:
        used_usd = self._before_usd + self._spent_usd
        if used_usd > (granted := self._budget.max_evaluation_cost_usd):
            self._refuse(f"USD {used_usd:.4f}", f"USD {granted:g}", field="max_evaluation_cost_usd")

    def refuse_for_time(self) -> None:
        granted = f"{self._budget.max_evaluation_s:g} s"
        self._refuse(f"more than {granted}", granted, field="max_evaluation_s")

    def _refuse(self, used: str, granted: str, *, field: str) -> None:
        raise BudgetExceededError(
            f"The evaluation was stopped: it used {used} for {self._done} of {self._of} answers, and `budgets.{field}` "
            f"grants {granted}. Ask fewer rows or repeats, look for an agent that runs away, or raise the budget in "
            "`release.yaml`."
        )


def _check(rows: Sequence[GoldRow], agents: Mapping[str, Predict]) -> None:
    if not rows or not agents:
        raise GoldSetError(f"Found {len(rows)} rows and {len(agents)} agents; expected at least 1 of each.")
    counts = Counter(row.id for row in rows)
    if twice := sorted(name for name, count in counts.items() if count > 1):
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
    scored = score(row, response, repeat=ask.repeat)
    if _is_text(scored):
        return scored
    failed = _failed(request, "contract: found half a surrogate pair (such as `\\ud83d`), expected whole characters")
    kept = {"latency_ms_total": response.latency_ms_total, "usage": response.usage}
    return score(row, failed.model_copy(update=kept), repeat=ask.repeat)


def _is_text(result: ResultRow) -> bool:
    """Whether a result can be written down: one that cannot would take all others with it."""
    try:
        result.model_dump_json()
    except PydanticSerializationError:
        return False
    return True


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
