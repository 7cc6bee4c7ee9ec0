"""Ask a Python callable that was written elsewhere, and hold what it returns to the contract."""

import logging
from typing import Final, get_args

from pydantic import JsonValue

from goldgate.agent.foreign.said import Failed, Question, Said
from goldgate.agent.safety import personal_data
from goldgate.agent.safety_log import SafetyLog
from goldgate.agent.trace import Waterfall
from goldgate.contracts.base import ContractError
from goldgate.contracts.documents import parse
from goldgate.contracts.foreign import ForeignResponse, ForeignUsage, PythonAgentSpec
from goldgate.contracts.llm import Price
from goldgate.contracts.prediction import Reported
from goldgate.domain.runs.state import Spent
from goldgate.ports.foreign import CallableFailure, ForeignCallable

_log = logging.getLogger(__name__)
_MILLION: Final = 1_000_000
_ALL: Final[tuple[Reported, ...]] = get_args(Reported)


class PythonAsker:
    """Implements `goldgate.agent.foreign.said.Asker`."""

    def __init__(self, spec: PythonAgentSpec, *, target: ForeignCallable) -> None:
        self._spec = spec
        self._target = target

    @property
    def is_metered(self) -> bool:
        """Whether it tells what it uses at all."""
        return "usage" in self._spec.reports

    def warm_up(self, *, within_s: float) -> list[str]:
        """Start its process, and import the callable."""
        problem = self._target.start(within_s=within_s)
        return [] if problem is None else [f"callable `{self._spec.python.callable}`: {problem}"]

    def ask(self, question: Question, *, within_s: float, waterfall: Waterfall, safety: SafetyLog) -> Said | Failed:  # noqa: ARG002 - the port
        """Ask once."""
        request: dict[str, JsonValue] = {
            "question": question.text,
            "context": list(question.attachments),
            "history": [{"role": turn.role, "content": turn.content} for turn in question.history],
            "trace_id": question.trace_id,
        }
        with waterfall.span("agent") as span:
            traceparent = f"00-{question.trace_id}-{span.span_id}-01"
            value = self._target.ask(request, within_s=within_s, traceparent=traceparent)
            if isinstance(value, CallableFailure):
                span.fail(value.kind)
                return Failed(reason=_reason(value, within_s=within_s))
        try:
            response = self._read(value)
        except ContractError as error:
            self._note("agent.response.broken", error, trace_id=question.trace_id)
            return Failed(reason="agent: its response breaks the contract")
        if response.error is not None:
            self._note("agent.reported", response.error, trace_id=question.trace_id)
            return Failed(reason="agent: it reports an error")
        said = self._said(response, took_ms=waterfall.total_ms("agent"))
        return said if said.answer else Failed(reason="agent: found an empty answer; expected text")

    def close(self) -> None:
        """End its process."""
        self._target.close()

    @staticmethod
    def _read(value: JsonValue) -> ForeignResponse:
        if isinstance(value, str):
            return ForeignResponse(answer=value)
        return parse(value, ForeignResponse, where="response")

    def _said(self, response: ForeignResponse, *, took_ms: float) -> Said:
        spent = self._spent(response.usage if self.is_metered else None)
        told = {name for name in self._spec.reports if getattr(response, name) is not None}
        if not spent.is_metered:
            told.discard("usage")
        refusal = self._spec.safety.refusal
        refused = response.refused
        if refused is None:
            refused = refusal is not None and refusal.casefold() in response.answer.casefold()
        answer = response.answer if response.answer.strip() else ""
        return Said(
            answer=answer or (refusal or "" if refused else ""),
            refused=refused,
            citations=(response.citations or []) if "citations" in told else (),
            retrieved=(response.retrieved or []) if "retrieved" in told else (),
            tool_calls=(response.tool_calls or []) if "tool_calls" in told else (),
            spent=spent,
            unmeasured=[name for name in _ALL if name not in told],
            latency_ms_llm=took_ms if response.latency_ms_llm is None else min(response.latency_ms_llm, took_ms),
        )

    def _spent(self, usage: ForeignUsage | None) -> Spent:
        """Count what it used. Tokens without a price, or no tokens where a model was asked: the cost is unknown."""
        if usage is None:
            return Spent(steps=1, is_metered=False)
        cost_usd = self._cost_usd(usage)
        is_told = usage.tokens_in > 0 or usage.llm_calls == 0
        return Spent(
            steps=1 if usage.llm_calls is None else usage.llm_calls,
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            tokens_cached=usage.tokens_cached,
            cost_usd=cost_usd or 0.0,
            is_metered=is_told and cost_usd is not None,
        )

    def _cost_usd(self, usage: ForeignUsage) -> float | None:
        if usage.cost_usd is not None:
            return usage.cost_usd
        model = self._spec.model
        if usage.llm_calls == 0 or (model is not None and model.free):
            return 0.0
        return None if model is None or model.price is None else _priced(usage, model.price)

    @staticmethod
    def _note(event: str, what: object, *, trace_id: str) -> None:
        reason, _ = personal_data.redact(str(what)[:1000])
        _log.warning(event, extra={"trace_id": trace_id, "reason": reason})


def _priced(usage: ForeignUsage, price: Price) -> float:
    cached = min(usage.tokens_cached, usage.tokens_in)
    fresh = (usage.tokens_in - cached) * price.input_usd_per_million_tokens
    out = usage.tokens_out * price.output_usd_per_million_tokens
    return (fresh + cached * price.cached_input_usd_per_million_tokens + out) / _MILLION


def _reason(failure: CallableFailure, *, within_s: float) -> str:
    match failure.kind:
        case "timeout":
            return f"timeout: the agent did not answer within {within_s:.3g} s"
        case "raised":
            return f"agent: it raised {failure.what}"
        case "died":
            return "agent: its process ended"
        case "too_large":
            return "agent: its response is larger than `limits.maxAnswerBytes`"
        case "garbled":
            return "agent: its response is not JSON"
        case _:
            return f"agent: unavailable ({failure.what})"
