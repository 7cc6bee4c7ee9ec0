"""One question on its way through an agent, one step at a time.

Whoever drives it (a plain loop, or a run that records every transition first) decides when the next step is taken;
what a step does is decided here. Of one request, for one thread.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from goldgate.agent.folder import AgentFolder
from goldgate.agent.memory.knowledge import Knowledge
from goldgate.agent.memory.tokens import count_tokens
from goldgate.agent.prompts import render_context, render_user
from goldgate.agent.safety import injection, personal_data
from goldgate.agent.tools.toolbox import Toolbox
from goldgate.agent.trace import NewId, Stopwatch, Waterfall
from goldgate.contracts.prediction import PredictRequest, PredictResponse, SafetyFlag, ToolCall, Usage
from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.knowledge import Chunk
from goldgate.ports.model import ChatModel, ChatReply, ModelRefusedError, ModelUnavailableError

_log = logging.getLogger(__name__)

_CITATION = re.compile(r"\[([^\[\]\n]{1,400})\]")
_MODEL_REFUSES = re.compile(
    r"^(?:(?:i['\u2019]?m|i am) )?(?:very )?(?:sorry,?|afraid)?[ ,]*(?:but )?(?:that )?"
    r"i (?:can['\u2019]?t|cannot|can not|won['\u2019]?t|(?:am|['\u2019]m) (?:not able|unable) to) "
    r"(?:help|assist|answer|comply|provide|share|disclose|do that|fulfil)",
    re.IGNORECASE,
)

_FINISH_REASONS = {"stop", "length", "tool_calls", "function_call", "content_filter"}
"""What an endpoint may say; anything else is its own text, which is not handed on."""


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """What an agent works with: shared by all its requests."""

    folder: AgentFolder
    knowledge: Knowledge
    model: ChatModel
    toolbox: Toolbox
    stopwatch: Stopwatch
    new_id: NewId


@dataclass(kw_only=True)
class Episode:
    """The state of one question. Call `start` once, `step` until `is_over`, then `finish` once."""

    equipment: Equipment
    request: PredictRequest
    messages: list[ChatMessage] = field(default_factory=list)
    pending: Sequence[ToolRequest] = ()
    """Tool calls that the model asked for and that were not made yet."""
    is_over: bool = False
    error: str | None = None
    refused: bool = False
    answer: str = ""

    def __post_init__(self) -> None:
        """Start the clock."""
        self.trace_id = self.request.trace_id or self.equipment.new_id(16)
        self._waterfall = Waterfall(stopwatch=self.equipment.stopwatch, new_id=self.equipment.new_id)
        self._question = ""
        self._attachments: list[str] = []
        self._history: list[str] = []
        self._passages: list[Chunk] = []
        self._flags: list[SafetyFlag] = []
        self._calls: list[ToolCall] = []
        self._usage = Usage()

    def start(self) -> None:
        """Do all that comes before the model: afterwards the conversation stands, or the episode is over."""
        for phase in (self._preprocess, self._check_input, self._retrieve, self._compose):
            if not self.is_over:
                phase()

    def step(self) -> None:
        """Make the tool calls that are pending, else ask the model."""
        if self.pending:
            self._call_tools()
        else:
            self._ask()

    def finish(self) -> PredictResponse:
        """Check what goes out, and report."""
        citations: list[str] = []
        with self._waterfall.span("postproc"):
            self.answer = self.answer.strip()
            if not self.refused and not self.error:
                self._recognise_refusal()
                citations = cited(self.answer, given=[passage.id for passage in self._passages])
        with self._waterfall.span("safety"):
            self._redact_answer()
        spans = sorted(self._waterfall.spans, key=lambda span: span.start_ms)
        return PredictResponse(
            answer=self.answer,
            refused=self.refused,
            citations=[] if self.refused else citations,
            retrieved=[passage.id for passage in self._passages],
            tool_calls=self._calls,
            usage=self._usage,
            latency_ms_total=self._waterfall.elapsed_s * 1000,
            latency_ms_llm=self._waterfall.total_ms("llm"),
            safety_flags=self._flags,
            error=self.error,
            trace_id=self.trace_id,
            model=self.equipment.folder.llm.spec.model,
            prompt=self.equipment.folder.prompt_id,
            spans=spans,
        )

    @property
    def _remaining_s(self) -> float:
        return self.equipment.folder.agent.spec.limits.timeout_seconds - self._waterfall.elapsed_s

    def _preprocess(self) -> None:
        with self._waterfall.span("preproc"):
            self._question = injection.readable(self.request.question).strip()
            self._attachments = [injection.readable(text).strip() for text in self.request.context]
            self._history = [injection.readable(turn.content) for turn in self.request.history]
            length = len(self._question) + sum(map(len, self._attachments))
            whole = length + sum(map(len, self._history))
            limits = self.equipment.folder.agent.spec.limits
            if not self._question:
                self._fail("question: found no text; expected a question")
            elif length > (most := limits.max_question_chars):
                self._fail(f"question: found {length} characters with its attachments; expected at most {most}")
            elif whole > (most := limits.max_input_chars):
                self._fail(f"question: found {whole} characters with the earlier turns; expected at most {most}")

    def _check_input(self) -> None:
        with self._waterfall.span("safety"):
            safety = self.equipment.folder.agent.spec.safety
            if safety.block_injections:
                # Every turn is what the caller sends: one of the assistant may be forged as well.
                if any(map(injection.holds_injection, (self._question, *self._history))):
                    self._refuse("injection_in_question")
                self._attachments = [self._without_instructions(text) for text in self._attachments]
            if safety.block_personal_data:
                if personal_data.find_personal_data(self._question) or personal_data.asks_for_personal_data(
                    self._question
                ):
                    self._refuse("personal_data_in_question")
                self._attachments = [personal_data.redact(text)[0] for text in self._attachments]
            self._attachments = [text for text in self._attachments if text]

    def _retrieve(self) -> None:
        knowledge = self.equipment.knowledge
        try:
            with self._waterfall.span("retrieval"):
                found = knowledge.find(self._question)
        except (PermanentError, TransientError) as error:
            self._fail_outside("retrieval", error)
            return
        if found.relevance is not None and found.relevance < knowledge.spec.min_relevance:
            self._refuse("out_of_domain")
            return
        with self._waterfall.span("rerank"):
            ordered = knowledge.rerank(self._question, found.ids)
            asked = count_tokens(self._question) + sum(map(count_tokens, self._attachments))
            self._passages = knowledge.within_budget(ordered, question_tokens=asked)

    def _compose(self) -> None:
        prompts = self.equipment.folder.prompts
        is_guarded = self.equipment.folder.agent.spec.safety.block_injections
        shown = [
            Chunk(id=p.id, title=p.title, text=self._without_instructions(p.text)) if is_guarded else p
            for p in self._passages
        ]
        context = render_context(shown, self._attachments)
        self.messages = [
            ChatMessage(role="system", content=prompts.system),
            *(
                ChatMessage(role=turn.role, content=self._past(content))
                for turn, content in zip(self.request.history, self._history, strict=True)
            ),
            ChatMessage(role="user", content=render_user(prompts.user, question=self._question, context=context)),
        ]

    def _past(self, text: str) -> str:
        return personal_data.redact(text)[0] if self.equipment.folder.agent.spec.safety.block_personal_data else text

    def _ask(self) -> None:
        if self._usage.llm_calls >= self.equipment.folder.agent.spec.limits.max_steps:
            self._fail("max_steps")
            return
        if self._remaining_s <= 0:
            self._fail("timeout")
            return
        try:
            with self._waterfall.span("llm"):
                reply = self.equipment.model.complete(
                    self.messages, tools=self.equipment.toolbox.definitions, within_s=self._remaining_s
                )
        except (PermanentError, TransientError) as error:
            self._fail_outside("model", error)
            if self._remaining_s <= 0:
                self._fail("timeout")
            return
        self._take(reply)

    def _take(self, reply: ChatReply) -> None:
        self._usage = Usage(
            tokens_in=self._usage.tokens_in + reply.tokens_in,
            tokens_out=self._usage.tokens_out + reply.tokens_out,
            tokens_cached=self._usage.tokens_cached + reply.tokens_cached,
            cost_usd=self._usage.cost_usd + reply.cost_usd,
            llm_calls=self._usage.llm_calls + 1,
            is_metered=self._usage.is_metered and reply.is_metered,
        )
        self.messages.append(
            ChatMessage(role="assistant", content=reply.content, tool_requests=tuple(reply.tool_requests))
        )
        self.pending = tuple(reply.tool_requests)
        if self.pending:
            return
        if reply.finish_reason == "content_filter":
            self._refuse("refused_by_model")
        elif not reply.content.strip():
            reason = reply.finish_reason if reply.finish_reason in _FINISH_REASONS else "unknown"
            self._fail(f"model: found an empty answer (finish reason `{reason}`); expected text")
        else:
            self.answer, self.is_over = reply.content, True

    def _call_tools(self) -> None:
        requests, self.pending = self.pending, ()
        for request in requests:
            with self._waterfall.span("tool"):
                outcome = self.equipment.toolbox.call(request, within_s=max(self._remaining_s, 0.0))
            self._calls.append(outcome.call)
            if not outcome.was_allowed:
                self._flag("tool_not_allowed")
            is_guarded = self.equipment.folder.agent.spec.safety.block_injections
            content = self._without_instructions(outcome.content) if is_guarded else outcome.content
            self.messages.append(ChatMessage(role="tool", content=content, tool_call_id=request.id))

    def _without_instructions(self, text: str) -> str:
        left, was_hostile = injection.without_instructions(text)
        if was_hostile:
            self._flag("injection_in_context")
        return left

    def _recognise_refusal(self) -> None:
        refusal = self.equipment.folder.agent.spec.safety.refusal.strip().lower()
        if self.answer.lower().startswith(refusal) or _MODEL_REFUSES.match(self.answer):
            self.refused = True
            self._flag("refused_by_model")

    def _redact_answer(self) -> None:
        if not self.equipment.folder.agent.spec.safety.block_personal_data:
            return
        if personal_data.find_personal_data(self.answer):
            known = [chunk.text for chunk in self.equipment.knowledge.chunks.values()]
            self.answer, gone = personal_data.redact(self.answer, keep=known)
            if gone:
                self._flag("personal_data_in_answer")

    def _refuse(self, flag: SafetyFlag) -> None:
        self._flag(flag)
        self.refused, self.is_over = True, True
        self.answer = self.equipment.folder.agent.spec.safety.refusal

    def _fail(self, error: str) -> None:
        self.error, self.is_over, self.pending = error, True, ()

    def _fail_outside(self, part: str, error: PermanentError | TransientError) -> None:
        """Answer with what kind of failure it was; what others wrote about it goes to this process's log alone."""
        reason, _ = personal_data.redact(str(error))
        _log.warning(f"agent.{part}.failed", extra={"trace_id": self.trace_id, "reason": reason})
        kind = "refused" if isinstance(error, PermanentError) else "unavailable"
        status = error.status if isinstance(error, ModelRefusedError | ModelUnavailableError) else None
        self._fail(f"{part}: {kind}" if status is None else f"{part}: {status} {kind}")

    def _flag(self, flag: SafetyFlag) -> None:
        if flag not in self._flags:
            self._flags.append(flag)


def cited(answer: str, *, given: Sequence[str]) -> list[str]:
    """List the passages that an answer names in brackets, in order, each once; what was not given is no citation."""
    named = (part.strip() for match in _CITATION.finditer(answer) for part in re.split(r"[,;\s]+", match.group(1)))
    return list(dict.fromkeys(part for part in named if part in given))
