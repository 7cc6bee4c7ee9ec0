"""All that comes before the model: the question is read, checked, and given what the agent knows about it."""

from dataclasses import dataclass, field, replace

from goldgate.agent.equipment import Equipment
from goldgate.agent.memory.tokens import count_tokens
from goldgate.agent.prompts import render_context, render_user
from goldgate.agent.question import problem_of
from goldgate.agent.safety import injection
from goldgate.agent.safety.guards import guard_attachment, guard_passage, guard_question, guard_turn
from goldgate.agent.safety_log import SafetyLog
from goldgate.agent.trace import Waterfall
from goldgate.contracts.prediction import PredictRequest
from goldgate.domain.conversation import ChatMessage
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.events import AgentReady, Answered, Broke
from goldgate.domain.runs.state import Habits, Limits
from goldgate.ports.knowledge import Chunk


@dataclass(kw_only=True)
class Preparation:
    """Prepares one question. Used once."""

    equipment: Equipment
    request: PredictRequest
    limits: Limits
    waterfall: Waterfall
    safety: SafetyLog
    question: str = ""
    attachments: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    passages: list[Chunk] = field(default_factory=list)

    def prepare(self) -> AgentReady | Answered | Broke:
        """Read, check, retrieve, compose: the first of them that has the last word ends it."""
        for phase in (self._read, self._check, self._retrieve):
            if (outcome := phase()) is not None:
                return outcome
        return self._compose()

    def _read(self) -> Broke | None:
        with self.waterfall.span("preproc"):
            self.question = injection.readable(self.request.question).strip()
            self.attachments = [injection.readable(text).strip() for text in self.request.context]
            self.history = [injection.readable(turn.content) for turn in self.request.history]
            limits = self.equipment.folder.agent.spec.limits
            problem = problem_of(self.question, self.attachments, self.history, limits=limits)
        return None if problem is None else Broke(reason=problem)

    def _check(self) -> Answered | None:
        spec = self.equipment.folder.agent.spec.safety
        with self.waterfall.span("safety") as span:
            self.attachments = [
                self.safety.noted(guard_attachment(text, spec=spec, books=self.equipment.books), span).text
                for text in self.attachments
            ]
            self.attachments = [text for text in self.attachments if text]
            asked = guard_question(self.question, history=self.history, spec=spec, books=self.equipment.books)
            guarded = self.safety.noted(asked, span)
            return self._refusal() if guarded.is_refused else None

    def _retrieve(self) -> Answered | Broke | None:
        knowledge = self.equipment.knowledge
        try:
            with self.waterfall.span("retrieval") as span:
                found = knowledge.find(self.question)
                span.set("goldgate.retrieval.candidates", len(found.ids))
                if found.failure is not None:
                    span.set("goldgate.retrieval.degraded", self.safety.outside("vectors", found.failure))
                if found.relevance is not None and found.relevance < knowledge.spec.min_relevance:
                    self.safety.note("out_of_domain", "no passage is about what is asked", span)
                    return self._refusal()
        except (PermanentError, TransientError) as error:
            return Broke(reason=self.safety.outside("retrieval", error))
        with self.waterfall.span("rerank") as span:
            ordered = knowledge.rerank(self.question, found.ids)
            asked = count_tokens(self.question) + sum(map(count_tokens, self.attachments))
            self.passages = knowledge.within_budget(ordered.passages, question_tokens=asked)
            if ordered.failure is not None:
                span.set("goldgate.retrieval.degraded", self.safety.outside("reranker", ordered.failure))
            span.set("goldgate.retrieval.k", len(self.passages))
        return None

    def _compose(self) -> AgentReady:
        prompts, spec = self.equipment.folder.prompts, self.equipment.folder.agent.spec.safety
        with self.waterfall.span("safety") as span:
            shown = [
                # A title is read as well. An id stays as it is: answers cite it.
                replace(
                    passage,
                    title=self.safety.noted(guard_passage(passage.title, spec=spec), span).text,
                    text=self.safety.noted(guard_passage(passage.text, spec=spec), span).text,
                )
                for passage in self.passages
            ]
        context = render_context(shown, self.attachments)
        user = render_user(prompts.user, question=self.question, context=context)
        messages = (
            ChatMessage(role="system", content=prompts.system),
            *(
                ChatMessage(role=turn.role, content=guard_turn(content, spec=spec, books=self.equipment.books).text)
                for turn, content in zip(self.request.history, self.history, strict=True)
            ),
            ChatMessage(role="user", content=user),
        )
        controller = self.equipment.folder.agent.spec.controller
        return AgentReady(
            habits=Habits(plans=controller.plan, reflects=controller.reflect),
            messages=messages,
            given=tuple(passage.id for passage in self.passages),
            flags=self.safety.flags,
            limits=self.limits,
            bundle=self.equipment.digest,
        )

    def _refusal(self) -> Answered:
        return Answered(
            output=self.equipment.folder.agent.spec.safety.refusal,
            refused=True,
            flags=self.safety.flags,
            limits=self.limits,
            bundle=self.equipment.digest,
        )
