"""Whatever answers questions: an agent on our runtime, a Python callable, an endpoint elsewhere.

An agent makes a `Work` for each question. Who drives it (`goldgate.agent.loop`) records every state before it asks
the work to do what follows, so that the same code answers a request and survives a crash as a TaskRun.
"""

from dataclasses import dataclass
from typing import Protocol

from goldgate.contracts.prediction import PredictRequest, PredictResponse
from goldgate.contracts.task_runs import RunLimits
from goldgate.domain.runs.events import AgentReady, Answered, Broke, ModelReplied, ToolReturned, ToolWaits
from goldgate.domain.runs.state import Call, Limits, RunState, Spent


class Work(Protocol):
    """One question on its way through an agent. It keeps no state that a run depends on: that is `RunState`."""

    @property
    def trace_id(self) -> str:
        """W3C trace id of the run."""

    @property
    def span_id(self) -> str:
        """Span id of the run's root span."""

    def begin(self) -> AgentReady | Answered | Broke:
        """Do all that comes before the model: afterwards the conversation stands, or the question is answered."""

    def ask(self, state: RunState) -> ModelReplied | Answered | Broke:
        """Ask the model once. What went wrong is an event, never raised."""

    def call(self, state: RunState, call: Call) -> ToolReturned | ToolWaits:
        """Make one call that was recorded as started. Several at a time, each from a thread of its own."""

    def respond(self, state: RunState) -> PredictResponse:
        """Report on a run that is over, or waits, and close its trace if it is over."""


class Agent(Protocol):
    """Answers questions, many threads at once, until it is closed."""

    @property
    def name(self) -> str:
        """The agent's name."""

    @property
    def prompt_id(self) -> str:
        """`<agent>@<first 12 digits of the digest of its prompts>`; of an agent without prompts, of its bundle."""

    @property
    def model(self) -> str:
        """The pinned model name, as far as it is known."""

    @property
    def digest(self) -> str:
        """Of the bundle that answers, verified when it was loaded. Empty for an agent that is no bundle."""

    def warm_up(self, *, within_s: float = 30) -> list[str]:
        """Do now what the first question would wait for. Returns what is not available yet."""

    def prepare_tools(self) -> None:
        """Load what the first call of a tool would wait for. No server is started or asked; see `warm_up` for that."""

    def work(
        self,
        request: PredictRequest,
        *,
        span_id: str | None = None,
        parent_span_id: str | None = None,
        started_ns: int | None = None,
        depth: int = 0,
        limits: RunLimits = RunLimits(),  # noqa: B008 - frozen
        delegate: "Delegate | None" = None,
    ) -> Work:
        """Begin, or go on with, one question.

        Args:
            request: The question.
            span_id: Of the root span, if the run has one already.
            parent_span_id: Of the span under which the root span stands, if another agent or a router asks.
            started_ns: When the run began, since the epoch, if another process began it.
            depth: How many agents stand above this one.
            limits: What is left to it, beside its own limits.
            delegate: Asks other agents. None: they are asked in this process, without records.
        """

    def predict(self, request: PredictRequest, *, parent_span_id: str | None = None) -> PredictResponse:
        """Answer one question. What went wrong on the way is told in `error`, never raised."""

    def close(self) -> None:
        """Give everything back. Closing twice does nothing."""


@dataclass(frozen=True, kw_only=True)
class DelegateReply:
    """What another agent said."""

    content: str
    is_error: bool
    spent: Spent
    waits: str | None = None
    """Why there is no answer yet: a person has to speak first. To be asked again with the same key."""


class Delegate(Protocol):
    """Asks other agents on behalf of one."""

    def ask(self, agent: str, message: str, *, key: str, limits: Limits, depth: int) -> DelegateReply:
        """Ask once for a key: a second time gives the same run's answer, finished if it was not. Never raises."""
