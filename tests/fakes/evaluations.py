"""Gold rows, answers and results for tests that only care for some of their fields."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from goldgate.contracts.evaluation import JUDGE_VERSION, Basis, ResultRow
from goldgate.contracts.gold import GoldRow
from goldgate.contracts.prediction import PredictRequest, PredictResponse

GOLD_DIGEST = "a" * 64


def gold_row(row_id: str = "r1", **fields: Any) -> GoldRow:
    """A row that expects the answer `42`, unless told otherwise."""
    answers = {"must_contain": [["42"]]} if fields.get("expect", "answer") == "answer" else {}
    return GoldRow(**{"id": row_id, "question": f"What is {row_id}?", "expect": "answer", **answers, **fields})


def gold_rows(count: int) -> list[GoldRow]:
    return [gold_row(f"r{number}") for number in range(count)]


def response(answer: str = "It is 42.", **fields: Any) -> PredictResponse:
    shown = {
        "refused": False,
        "latency_ms_total": 10.0,
        "latency_ms_llm": 8.0,
        "trace_id": "t",
        "model": "m",
        "prompt": "p",
    }
    return PredictResponse(**{"answer": answer, **shown, **fields})


def result(row_id: str = "r1", repeat: int = 0, **fields: Any) -> ResultRow:
    """A result that passed, unless told otherwise."""
    passed = fields.get("passed", True)
    shown = {
        "row_id": row_id,
        "repeat": repeat,
        "question": f"What is {row_id}?",
        "expect": "answer",
        "tags": [],
        "difficulty": "medium",
        "answer": "It is 42.",
        "refused": False,
        "passed": True,
        "failures": [] if passed else ["The answer holds none of: `42`."],
        "safe": True,
        "retrieved": [],
        "hit_at_k": None,
        "context_precision": None,
        "context_use_rate": None,
        "tool_names": [],
        "tokens_in": 100,
        "tokens_out": 10,
        "tokens_cached": 0,
        "cost_usd": 0.001,
        "is_metered": True,
        "latency_ms": 10.0,
        "latency_ms_llm": 8.0,
        "safety_flags": [],
        "error": None,
        "trace_id": f"t-{row_id}-{repeat}",
    }
    return ResultRow(**{**shown, **fields})


def results(passes: Sequence[bool] | Sequence[Sequence[bool]], **fields: Any) -> list[ResultRow]:
    """Results of rows r0, r1, ...: one a row, or a sequence of repeats each."""
    rows = [[entry] if isinstance(entry, bool) else list(entry) for entry in passes]
    return [
        result(f"r{number}", repeat, passed=passed, **fields)
        for number, repeats in enumerate(rows)
        for repeat, passed in enumerate(repeats)
    ]


def basis(*, rows: int, repeats: int = 1, **fields: Any) -> Basis:
    shown = {"gold_digest": GOLD_DIGEST, "judge_version": JUDGE_VERSION, "seed": 0}
    return Basis(**{"rows": rows, "repeats": repeats, **shown, **fields})


class ScriptedAgent:
    """Answers by question, and remembers what it was asked. Safe to call from several threads."""

    def __init__(self, answers: Mapping[str, PredictResponse | BaseException] | None = None) -> None:
        self._answers = answers or {}
        self._lock = threading.Lock()
        self.asked: list[PredictRequest] = []

    def __call__(self, request: PredictRequest) -> PredictResponse:
        with self._lock:
            self.asked.append(request)
        answer = self._answers.get(request.question, response(trace_id=request.trace_id or ""))
        if isinstance(answer, BaseException):
            raise answer
        return answer


class ScriptedMonotonic:
    """A clock that goes on by one step whenever somebody looks. Safe to call from several threads."""

    def __init__(self, *, step_s: float) -> None:
        self._step_s = step_s
        self._looks = 0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        with self._lock:
            self._looks += 1
            return self._looks * self._step_s


def counted_trace_ids() -> Callable[[], str]:
    """Make trace ids 1, 2, 3, ... of 32 hex digits."""
    lock, numbers = threading.Lock(), iter(range(1, 1_000_000))

    def make() -> str:
        with lock:
            return f"{next(numbers):032x}"

    return make
