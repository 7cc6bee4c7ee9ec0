"""One question on its way through an agent that was written elsewhere: begun, asked once, answered.

The same limits, records and traces as for an agent declared here. It keeps no state that a run depends on.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from goldgate.agent.foreign.folder import ForeignFolder
from goldgate.agent.foreign.said import Asker, Failed, Question, Said
from goldgate.agent.prompts import render_context
from goldgate.agent.question import problem_of
from goldgate.agent.response import respond
from goldgate.agent.safety import injection
from goldgate.agent.safety.guards import guard_answer, guard_attachment, guard_question, guard_turn
from goldgate.agent.safety_log import SafetyLog
from goldgate.agent.trace import Waterfall
from goldgate.contracts.prediction import (
    PredictRequest,
    PredictResponse,
    Reported,
    ToolCall,
    Turn,
)
from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.domain.runs.events import AgentReady, Answered, Broke, ToolReturned
from goldgate.domain.runs.limits import remaining
from goldgate.domain.runs.state import Call, Limits, RunState, Spent
from goldgate.ports.identifiers import IdentifierBooks

_UNKNOWN_FATE = (
    "fate: a process ended while the agent was asked, and it may have acted. See what it did, and start a new run; "
    "an agent that may be asked twice says `nature: pure` or `nature: idempotent`"
)


class ForeignWork:
    """Implements `goldgate.ports.agents.Work`."""

    def __init__(
        self,
        folder: ForeignFolder,
        asker: Asker,
        request: PredictRequest,
        *,
        limits: Limits,
        digest: str,
        prompt_id: str,
        waterfall: Waterfall,
        books: IdentifierBooks | None,
    ) -> None:
        self._folder = folder
        self._asker = asker
        self._request = request
        self._limits = limits
        self._digest = digest
        self._prompt_id = prompt_id
        self._waterfall = waterfall
        self._books = books
        self._safety = SafetyLog(trace_id=waterfall.trace_id)
        self._question: Question | None = None
        self._said: Said | None = None

    @property
    def trace_id(self) -> str:
        """W3C trace id of the run."""
        return self._waterfall.trace_id

    @property
    def span_id(self) -> str:
        """Span id of the run's root span."""
        return self._waterfall.span_id

    def begin(self) -> AgentReady | Answered | Broke:
        """Read the question, and check it as far as `agent.yaml` asks for that."""
        spec = self._folder.agent.spec
        with self._waterfall.span("preproc"):
            question = self._read()
            said = [turn.content for turn in question.history]
            problem = problem_of(question.text, question.attachments, said, limits=spec.limits)
            if problem is not None:
                return Broke(reason=problem)
        if self._is_limited and not self._asker.is_metered:
            return Broke(reason="unmetered: the agent does not report its usage, and tokens or money are limited")
        with self._waterfall.span("safety") as span:
            guarded = guard_question(question.text, history=said, spec=spec.safety.as_checks(), books=self._books)
            if self._safety.noted(guarded, span).is_refused:
                return Answered(
                    output=guarded.text,
                    refused=True,
                    flags=self._safety.flags,
                    limits=self._limits,
                    bundle=self._digest,
                )
        self._question = self._checked(question)
        return AgentReady(
            messages=_conversation(self._question, self._folder.system_prompt),
            flags=self._safety.flags,
            limits=self._limits,
            bundle=self._digest,
        )

    def ask(self, state: RunState) -> Answered | Broke:
        """Ask the agent. One that acts is never asked by a process that did not begin the run."""
        if self._question is None and self._folder.nature == "acts":
            return Broke(reason=_UNKNOWN_FATE)
        question = self._question or self._checked(self._read())
        left = remaining(state.limits, state.spent)
        said = self._asker.ask(question, within_s=left.timeout_s, waterfall=self._waterfall, safety=self._safety)
        if isinstance(said, Failed):
            return Broke(reason=said.reason, flags=self._safety.flags, spent=Spent(steps=1, is_metered=False))
        self._said = said
        if (past := _past(state.limits, state.spent + said.spent)) is not None:
            return Broke(reason=past, flags=self._safety.flags, spent=said.spent)
        with self._waterfall.span("safety") as span:
            checks = self._folder.agent.spec.safety.as_checks()
            answer = self._safety.noted(guard_answer(said.answer, spec=checks, books=self._books), span).text
            if said.refused:
                self._safety.note("refused_by_model", "the agent refused", span)
        return Answered(
            output=answer,
            refused=said.refused,
            messages=(*state.messages, *_reported_calls(said.tool_calls)),
            given=tuple(said.retrieved),
            citations=tuple(said.citations),
            flags=self._safety.flags,
            spent=replace(said.spent, tool_calls=len(said.tool_calls)),
        )

    def call(self, state: RunState, call: Call) -> ToolReturned:  # noqa: ARG002 - the port
        """Refuse: such an agent makes its calls itself."""
        return ToolReturned(call_id=call.id, content="This agent has no tools here.", is_error=True)

    def respond(self, state: RunState) -> PredictResponse:
        """Report on the run; of one that is over, the root span ends."""
        return respond(
            state,
            agent=self._folder.name,
            model=self._folder.model,
            prompt=self._prompt_id,
            waterfall=self._waterfall,
            safety=self._safety,
            latency_ms_llm=self._said.latency_ms_llm if self._said else 0,
            unmeasured=self._unmeasured(state),
        )

    @property
    def _is_limited(self) -> bool:
        return self._limits.max_tokens is not None or self._limits.max_cost_usd is not None

    def _unmeasured(self, state: RunState) -> list[Reported]:
        if self._said is not None:
            return list(self._said.unmeasured)
        # It was not asked, so nothing was retrieved, called or used: that is known.
        return [] if state.spent.steps == 0 else list(get_args(Reported))

    def _read(self) -> Question:
        return Question(
            text=injection.readable(self._request.question).strip(),
            attachments=[text for raw in self._request.context if (text := injection.readable(raw).strip())],
            history=[Turn(role=turn.role, content=injection.readable(turn.content)) for turn in self._request.history],
            trace_id=self.trace_id,
        )

    def _checked(self, question: Question) -> Question:
        checks = self._folder.agent.spec.safety.as_checks()
        with self._waterfall.span("safety") as span:
            marked = [
                self._safety.noted(guard_attachment(text, spec=checks, books=self._books), span).text
                for text in question.attachments
            ]
        turns = [
            Turn(role=turn.role, content=guard_turn(turn.content, spec=checks, books=self._books).text)
            for turn in question.history
        ]
        return replace(question, attachments=[text for text in marked if text], history=turns)


def _conversation(question: Question, system_prompt: str) -> tuple[ChatMessage, ...]:
    """What the record shows: the conversation as the agent is given it."""
    head = [ChatMessage(role="system", content=system_prompt)] if system_prompt else []
    turns = [ChatMessage(role=turn.role, content=turn.content) for turn in question.history]
    context = render_context((), question.attachments)
    asked = f"{context}\n\n{question.text}" if context else question.text
    return (*head, *turns, ChatMessage(role="user", content=asked))


def _reported_calls(calls: Sequence[ToolCall]) -> tuple[ChatMessage, ...]:
    """Write the calls that the agent says it made into the record. Their results it keeps to itself."""
    if not calls:
        return ()
    requests = tuple(
        ToolRequest(id=f"reported-{number}", name=call.name, arguments=json.dumps(call.arguments))
        for number, call in enumerate(calls, start=1)
    )
    results = (
        ChatMessage(role="tool", content="(reported by the agent)", tool_call_id=request.id, is_error=call.is_error)
        for request, call in zip(requests, calls, strict=True)
    )
    return (ChatMessage(role="assistant", content="", tool_requests=requests), *results)


def _past(limits: Limits, spent: Spent) -> str | None:
    """Hold what was used to the limits: of an agent that is asked once it is known only afterwards."""
    tokens = spent.tokens_in + spent.tokens_out
    is_limited = limits.max_tokens is not None or limits.max_cost_usd is not None
    if is_limited and not spent.is_metered:
        return "unmetered: the agent did not say what it used, and tokens or money are limited"
    if limits.max_tokens is not None and tokens > limits.max_tokens:
        return f"max_tokens: {tokens} tokens were used, of {limits.max_tokens}"
    if limits.max_cost_usd is not None and spent.cost_usd > limits.max_cost_usd:
        return f"max_cost: ${spent.cost_usd:.6f} were used, of ${limits.max_cost_usd:g}"
    return None
