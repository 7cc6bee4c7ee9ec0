"""Ask an OpenAI-compatible endpoint that is an agent already: one chat completion a question."""

from goldgate.agent.foreign.folder import ForeignFolder
from goldgate.agent.foreign.said import Failed, Question, Said
from goldgate.agent.prompts import render_context
from goldgate.agent.safety_log import SafetyLog
from goldgate.agent.trace import Waterfall
from goldgate.agent.trace_names import chat_attributes, reply_attributes
from goldgate.contracts.llm import LLMSpec
from goldgate.domain.conversation import ChatMessage
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.state import Spent
from goldgate.ports.model import ChatReply, ClosableModel


class EndpointAsker:
    """Implements `goldgate.agent.foreign.said.Asker`."""

    def __init__(self, folder: ForeignFolder, *, llm: LLMSpec, model: ClosableModel) -> None:
        self._folder = folder
        self._llm = llm
        self._model = model

    @property
    def is_metered(self) -> bool:
        """An endpoint tells its usage with every answer, or the answer is unmetered."""
        return True

    def warm_up(self, *, within_s: float) -> list[str]:  # noqa: ARG002 - nothing here takes time
        """Do nothing: the endpoint runs already."""
        return []

    def ask(self, question: Question, *, within_s: float, waterfall: Waterfall, safety: SafetyLog) -> Said | Failed:
        """Ask once, with the retries of its LLM."""
        try:
            with waterfall.span("llm", attributes=chat_attributes(self._llm)) as span:
                reply = self._model.complete(self.messages(question), within_s=within_s)
                span.set_all(reply_attributes(reply))
        except (PermanentError, TransientError) as error:
            reason = safety.outside("model", error)
            is_late = waterfall.total_ms("llm") / 1000 >= within_s
            return Failed(reason=f"timeout: {reason}" if is_late else reason)
        if reply.finish_reason == "length":
            return Failed(reason="model: its answer was cut at its longest")
        if not reply.content.strip() and reply.finish_reason != "content_filter":
            return Failed(reason="model: found an empty answer; expected text")
        return self._said(reply, took_ms=waterfall.total_ms("llm"))

    def messages(self, question: Question) -> list[ChatMessage]:
        """Write the conversation: its system prompt if it has one, earlier turns, and the question under its data."""
        prompt = self._folder.system_prompt
        head = [ChatMessage(role="system", content=prompt)] if prompt else []
        turns = [ChatMessage(role=turn.role, content=turn.content) for turn in question.history]
        context = render_context((), question.attachments)
        asked = f"{context}\n\n{question.text}" if context else question.text
        return [*head, *turns, ChatMessage(role="user", content=asked)]

    def close(self) -> None:
        """Give back the connections."""
        self._model.close()

    def _said(self, reply: ChatReply, *, took_ms: float) -> Said:
        refusal = self._folder.agent.spec.safety.refusal
        answer = reply.content.strip()
        holds = refusal is not None and refusal.casefold() in answer.casefold()
        spent = Spent(
            steps=1,
            tokens_in=reply.tokens_in,
            tokens_out=reply.tokens_out,
            tokens_cached=reply.tokens_cached,
            cost_usd=reply.cost_usd,
            is_metered=reply.is_metered,
        )
        return Said(
            answer=answer or refusal or "",
            refused=holds or reply.finish_reason == "content_filter",
            spent=spent,
            unmeasured=["citations", "retrieved", "tool_calls"]
            if reply.is_metered
            else ["usage", "citations", "retrieved", "tool_calls"],
            latency_ms_llm=took_ms,
        )
