"""One question on its way through an agent declared here: plan, act, observe, until there is an answer.

It carries out what the machine of runs asks for, and keeps no state that a run depends on: that is in `RunState`.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from goldgate.agent.equipment import Equipment
from goldgate.agent.memory.window import fit_window
from goldgate.agent.preparation import Preparation
from goldgate.agent.response import respond
from goldgate.agent.safety.guards import guard_answer
from goldgate.agent.safety.tool_results import as_data
from goldgate.agent.safety_log import SafetyLog
from goldgate.agent.trace import Waterfall
from goldgate.agent.trace_names import chat_attributes, reply_attributes, tool_attributes
from goldgate.contracts.prediction import PredictRequest, PredictResponse
from goldgate.contracts.resources import AgentGrant
from goldgate.domain.errors import PermanentError, TransientError, first_line
from goldgate.domain.runs.events import AgentReady, Answered, Broke, ModelReplied, ToolReturned, ToolWaits
from goldgate.domain.runs.limits import remaining, shared
from goldgate.domain.runs.state import Call, Fate, Limits, RunState, Spent, Stage
from goldgate.ports.agents import Delegate
from goldgate.ports.model import ChatReply, ModelRefusedError, ModelUnavailableError

_CITATION = re.compile(r"\[([^\[\]\n]{1,400})\]")
_MODEL_REFUSES = re.compile(
    r"^(?:(?:i['\u2019]?m|i am) )?(?:very )?(?:sorry,?|afraid)?[ ,]*(?:but )?(?:that )?"
    r"i (?:can['\u2019]?t|cannot|can not|won['\u2019]?t|(?:am|['\u2019]m) (?:not able|unable) to) "
    r"(?:help|assist|answer|comply|provide|share|disclose|do that|fulfil)",
    re.IGNORECASE,
)

_FINISH_REASONS = {"stop", "length", "tool_calls", "function_call", "content_filter"}
"""What an endpoint may say; anything else is its own text, which is not handed on."""


class AgentWork:
    """Implements `goldgate.ports.agents.Work` for an agent declared on this runtime."""

    def __init__(
        self,
        equipment: Equipment,
        request: PredictRequest,
        *,
        limits: Limits,
        delegate: Delegate,
        depth: int,
        waterfall: Waterfall,
    ) -> None:
        self._equipment = equipment
        self._request = request
        self._limits = limits
        self._delegate = delegate
        self._depth = depth
        self._waterfall = waterfall
        self._safety = SafetyLog(trace_id=waterfall.trace_id)

    @property
    def trace_id(self) -> str:
        """W3C trace id of the run."""
        return self._waterfall.trace_id

    @property
    def span_id(self) -> str:
        """Span id of the run's root span."""
        return self._waterfall.span_id

    def begin(self) -> AgentReady | Answered | Broke:
        """Read, check, retrieve and compose."""
        return Preparation(
            equipment=self._equipment,
            request=self._request,
            limits=self._limits,
            waterfall=self._waterfall,
            safety=self._safety,
        ).prepare()

    def ask(self, state: RunState) -> ModelReplied | Broke:
        """Ask the model once, and hold what it says to the agent's tools and rules."""
        spec = self._equipment.folder.agent.spec
        left = remaining(state.limits, state.spent)
        tools = self._equipment.toolbox.definitions
        try:
            sent = fit_window(state.messages, window=spec.limits.context_window_tokens, tools=tools)
        except PermanentError as error:
            return Broke(reason=f"context: {first_line(error)}", flags=self._safety.flags)
        began_s = self._equipment.stopwatch()
        try:
            with self._waterfall.span("llm", attributes=chat_attributes(self._equipment.folder.llm.spec)) as span:
                reply = self._equipment.model.complete(
                    sent,
                    tools=tools,
                    may_call=not tools or (left.max_steps > 1 and state.stage is not Stage.PLAN),
                    within_s=left.timeout_s,
                )
                span.set_all(reply_attributes(reply))
        except (PermanentError, TransientError) as error:
            reason = self._safety.outside("model", error)
            if self._equipment.stopwatch() - began_s >= left.timeout_s:
                reason = f"timeout: all {state.limits.timeout_s:g} s are used up waiting for the model ({reason})"
            return Broke(reason=reason, spent=_spent_in_vain(error))
        return self._heard(reply, state)

    def _heard(self, reply: ChatReply, state: RunState) -> ModelReplied:
        replied = ModelReplied(
            content=reply.content,
            finish_reason=reply.finish_reason if reply.finish_reason in _FINISH_REASONS else "unknown",
            spent=Spent(
                steps=1,
                tokens_in=reply.tokens_in,
                tokens_out=reply.tokens_out,
                tokens_cached=reply.tokens_cached,
                cost_usd=reply.cost_usd,
                is_metered=reply.is_metered,
            ),
        )
        if reply.finish_reason == "content_filter":
            return self._refusal(replied, self._equipment.folder.agent.spec.safety.refusal)
        if reply.tool_requests:
            calls = tuple(self._vetted(reply))
            content = self._guarded(reply.content) if reply.content else ""
            return replace(replied, content=content, calls=calls, flags=self._safety.flags)
        return self._checked(replied, state)

    def _checked(self, replied: ModelReplied, state: RunState) -> ModelReplied:
        """Check what goes out, before it is recorded anywhere."""
        spec = self._equipment.folder.agent.spec.safety
        with self._waterfall.span("postproc"):
            answer = replied.content.strip()
            is_refusal = answer.lower().startswith(spec.refusal.strip().lower()) or bool(_MODEL_REFUSES.match(answer))
            citations = () if is_refusal else tuple(cited(answer, given=state.given))
        answer = self._guarded(answer)
        checked = replace(replied, content=answer, citations=citations, flags=self._safety.flags)
        return self._refusal(checked, answer) if answer and is_refusal else checked

    def _refusal(self, replied: ModelReplied, text: str) -> ModelReplied:
        with self._waterfall.span("safety") as span:
            self._safety.note("refused_by_model", "the model refused", span)
        return replace(replied, content=text, calls=(), refused=True, citations=(), flags=self._safety.flags)

    def _guarded(self, text: str) -> str:
        with self._waterfall.span("safety") as span:
            spec, books = self._equipment.folder.agent.spec.safety, self._equipment.books
            guarded = guard_answer(text, known=self._equipment.knowledge.texts, spec=spec, books=books)
            return self._safety.noted(guarded, span).text

    def _vetted(self, reply: ChatReply) -> Sequence[Call]:
        toolbox = self._equipment.toolbox
        most = self._equipment.folder.agent.spec.limits.max_parallel_calls
        calls: list[Call] = []
        for position, request in enumerate(reply.tool_requests):
            call = replace(toolbox.vet(request), extra=request.extra)
            if not toolbox.allows(request.name):
                with self._waterfall.span("safety") as span:
                    self._safety.note("tool_not_allowed", "the model asked for a tool it was not given", span)
            elif position >= most:
                text = f"Not called: at most {most} calls in one turn. Ask again in your next one."
                call = replace(call, fate=Fate.DONE, content=text, is_error=True)
            calls.append(call)
        return calls

    def call(self, state: RunState, call: Call) -> ToolReturned | ToolWaits:
        """Make one call, and guard what it gives."""
        with self._waterfall.span("tool", attributes=tool_attributes(call)) as span:
            left = remaining(state.limits, state.spent)
            grant = self._equipment.toolbox.agent_of(call.name)
            if grant is not None:
                outcome = self._ask_agent(grant, call, shared(left, among=self._agents_asked(state)))
            else:
                made = self._equipment.toolbox.call(call, within_s=left.timeout_s)
                outcome = ToolReturned(
                    call_id=call.id,
                    content=made.content,
                    is_error=made.is_error,
                    is_fate_unknown=made.is_fate_unknown,
                )
            if isinstance(outcome, ToolWaits):
                return outcome
            if outcome.is_error:
                span.fail("tool")
            spec = self._equipment.folder.agent.spec.safety
            shown = as_data(outcome.content, tool=call.name, spec=spec, books=self._equipment.books)
            guarded = self._safety.noted(shown, span)
            return replace(outcome, content=guarded.text, flags=guarded.flags)

    def _agents_asked(self, state: RunState) -> int:
        """Count the agents that are asked side by side: calls of them that are not done."""
        agent_of = self._equipment.toolbox.agent_of
        return max(sum(call.fate is not Fate.DONE and agent_of(call.name) is not None for call in state.calls), 1)

    def _ask_agent(self, grant: AgentGrant, call: Call, left: Limits) -> ToolReturned | ToolWaits:
        if self._depth >= self._equipment.folder.agent.spec.limits.max_depth:
            text = f"Not asked: agents may ask agents {self._depth} deep at most here. Answer without it."
            return ToolReturned(call_id=call.id, content=text, is_error=True)
        message = json.loads(call.arguments)["message"]
        reply = self._delegate.ask(grant.agent, message, key=call.key, limits=left, depth=self._depth + 1)
        if reply.waits is not None:
            return ToolWaits(call_id=call.id, reason=f"agent `{grant.agent}`: {reply.waits}")
        return ToolReturned(call_id=call.id, content=reply.content, is_error=reply.is_error, spent=reply.spent)

    def respond(self, state: RunState) -> PredictResponse:
        """Report on the run; of one that is over, the root span ends."""
        folder = self._equipment.folder
        return respond(
            state,
            agent=folder.agent.metadata.name,
            model=folder.llm.spec.model,
            prompt=folder.prompt_id,
            waterfall=self._waterfall,
            safety=self._safety,
            latency_ms_llm=self._waterfall.total_ms("llm"),
        )


def cited(answer: str, *, given: Sequence[str]) -> list[str]:
    """List the passages that an answer names in brackets, in order, each once; what was not given is no citation."""
    named = (part.strip() for match in _CITATION.finditer(answer) for part in re.split(r"[,;\s]+", match.group(1)))
    return list(dict.fromkeys(part for part in named if part in given))


def _spent_in_vain(error: Exception) -> Spent:
    """What an endpoint charged for answers that were none."""
    if not isinstance(error, ModelRefusedError | ModelUnavailableError):
        return Spent()
    use = error.use
    return Spent(
        tokens_in=use.tokens_in,
        tokens_out=use.tokens_out,
        tokens_cached=use.tokens_cached,
        cost_usd=use.cost_usd,
    )
