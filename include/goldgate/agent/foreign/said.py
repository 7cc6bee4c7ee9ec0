"""What one asking of an agent written elsewhere gives, whichever kind of agent it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from goldgate.agent.safety_log import SafetyLog
from goldgate.agent.trace import Waterfall
from goldgate.contracts.prediction import Reported, ToolCall, Turn
from goldgate.domain.runs.state import Spent


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question that was read and checked."""

    text: str
    attachments: Sequence[str]
    history: Sequence[Turn]
    trace_id: str


@dataclass(frozen=True, kw_only=True)
class Said:
    """An answer, and what was told beside it."""

    answer: str
    refused: bool
    citations: Sequence[str] = ()
    retrieved: Sequence[str] = ()
    tool_calls: Sequence[ToolCall] = ()
    spent: Spent
    unmeasured: Sequence[Reported] = ()
    latency_ms_llm: float


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Why there is no answer: kind and status only, nothing that others wrote."""

    reason: str


class Asker(Protocol):
    """Asks one agent, many threads at once."""

    @property
    def is_metered(self) -> bool:
        """Whether it tells what it uses at all."""

    def warm_up(self, *, within_s: float) -> list[str]:
        """Start what is slow to start. Returns what is not available yet."""

    def ask(self, question: Question, *, within_s: float, waterfall: Waterfall, safety: SafetyLog) -> Said | Failed:
        """Ask once. Never raises for what the agent does."""

    def close(self) -> None:
        """Give everything back. Closing twice does nothing."""
