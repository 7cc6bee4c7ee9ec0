"""An agent that answers."""

from collections.abc import Callable

from goldgate.agent.controller import AgentWork
from goldgate.agent.delegation import InProcessDelegate, finish
from goldgate.agent.equipment import Equipment
from goldgate.agent.trace import Waterfall
from goldgate.contracts.prediction import PredictRequest, PredictResponse
from goldgate.contracts.run_mapping import narrowed
from goldgate.contracts.task_runs import RunLimits
from goldgate.domain.runs.state import Limits
from goldgate.ports.agents import Delegate

_ANY_QUESTION = "How does this work?"


class AgentRuntime:
    """Answers questions, many threads at once, until it is closed. Implements `goldgate.ports.agents.Agent`."""

    def __init__(self, equipment: Equipment, *, release: Callable[[], None] = lambda: None) -> None:
        """Take over what the agent works with; `release` gives back the rest when it is closed."""
        self._equipment = equipment
        self._release = release
        self._is_closed = False

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._equipment.folder.agent.metadata.name

    @property
    def prompt_id(self) -> str:
        """`<agent>@<first 12 digits of the digest of both prompts>`."""
        return self._equipment.folder.prompt_id

    @property
    def model(self) -> str:
        """The pinned model name."""
        return self._equipment.folder.llm.spec.model

    @property
    def digest(self) -> str:
        """Of the bundle that answers, verified when it was loaded. Empty for an agent that is no bundle."""
        return self._equipment.digest

    def warm_up(self, *, within_s: float = 30) -> list[str]:
        """Do now what the first question would wait for: start tool servers, touch the index and the reranker.

        The model is not asked. Returns what is not available yet; the agent answers without it.
        """
        knowledge = self._equipment.knowledge
        knowledge.rerank(_ANY_QUESTION, knowledge.find(_ANY_QUESTION).ids)
        return self._equipment.toolbox.open(within_s=within_s)

    def prepare_tools(self) -> None:
        """Load what the first call of a tool would wait for. No server is started or asked."""
        self._equipment.toolbox.prepare()

    def work(
        self,
        request: PredictRequest,
        *,
        span_id: str | None = None,
        parent_span_id: str | None = None,
        started_ns: int | None = None,
        depth: int = 0,
        limits: RunLimits = RunLimits(),  # noqa: B008 - frozen
        delegate: Delegate | None = None,
    ) -> AgentWork:
        """Begin, or go on with, one question."""
        own = self._equipment.folder.agent.spec.limits
        waterfall = Waterfall(
            stopwatch=self._equipment.stopwatch,
            new_id=self._equipment.new_id,
            now_ns=self._equipment.now_ns,
            sink=self._equipment.sink,
            trace_id=request.trace_id or self._equipment.new_id(16),
            span_id=span_id,
            parent_span_id=parent_span_id,
            started_ns=started_ns,
        )
        agents = self._equipment.agents
        return AgentWork(
            self._equipment,
            request,
            limits=narrowed(
                Limits(
                    max_steps=own.max_steps,
                    timeout_s=own.timeout_seconds,
                    max_tokens=own.max_tokens,
                    max_cost_usd=own.max_cost_usd,
                ),
                limits,
            ),
            delegate=delegate
            or InProcessDelegate(agents, trace_id=waterfall.trace_id, parent_span_id=waterfall.span_id),
            depth=depth,
            waterfall=waterfall,
        )

    def predict(self, request: PredictRequest, *, parent_span_id: str | None = None) -> PredictResponse:
        """Answer one question. What went wrong on the way is told in `error`, never raised."""
        work = self.work(request, parent_span_id=parent_span_id)
        return work.respond(finish(work, run_id=work.trace_id, stopwatch=self._equipment.stopwatch))

    def close(self) -> None:
        """End tool servers and give back temporary files. Closing twice does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        for agent in self._equipment.agents.values():
            agent.close()
        self._equipment.toolbox.close()
        self._release()
