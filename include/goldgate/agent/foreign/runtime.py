"""An agent that was written elsewhere, and answers like any other."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from goldgate.agent.delegation import finish
from goldgate.agent.foreign.folder import ForeignFolder
from goldgate.agent.foreign.said import Asker
from goldgate.agent.foreign.work import ForeignWork
from goldgate.agent.trace import NewId, NoSink, Stopwatch, Waterfall
from goldgate.contracts.prediction import PredictRequest, PredictResponse
from goldgate.contracts.run_mapping import narrowed
from goldgate.contracts.task_runs import RunLimits
from goldgate.domain.digest import Digest, digest_json, short
from goldgate.domain.runs.state import Limits
from goldgate.ports.agents import Delegate
from goldgate.ports.identifiers import IdentifierBooks
from goldgate.ports.traces import SpanSink


@dataclass(frozen=True, kw_only=True)
class ForeignEquipment:
    """What such an agent works with: shared by all its requests."""

    folder: ForeignFolder
    asker: Asker
    digest: str
    """Of the bundle, verified when it was loaded."""
    sink: SpanSink = field(default_factory=NoSink)
    stopwatch: Stopwatch = time.perf_counter
    new_id: NewId = secrets.token_hex
    now_ns: Callable[[], int] = time.time_ns
    books: IdentifierBooks | None = None
    """What personal numbers are checked by. None: only those with a check of our own are found."""


class ForeignRuntime:
    """Answers questions, many threads at once, until it is closed. Implements `goldgate.ports.agents.Agent`."""

    def __init__(self, equipment: ForeignEquipment) -> None:
        self._equipment = equipment
        self._is_closed = False

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._equipment.folder.name

    @property
    def prompt_id(self) -> str:
        """See `foreign_prompt_id`."""
        return foreign_prompt_id(self._equipment.folder, digest=self._equipment.digest)

    @property
    def model(self) -> str:
        """The pinned model name, as far as it is known."""
        return self._equipment.folder.model

    @property
    def digest(self) -> str:
        """Of the bundle that answers, verified when it was loaded."""
        return self._equipment.digest

    def warm_up(self, *, within_s: float = 30) -> list[str]:
        """Start its process and its imports, if it has any. The agent is not asked."""
        return self._equipment.asker.warm_up(within_s=within_s)

    def prepare_tools(self) -> None:
        """Load nothing: its tools are its own business."""

    def work(
        self,
        request: PredictRequest,
        *,
        span_id: str | None = None,
        parent_span_id: str | None = None,
        started_ns: int | None = None,
        depth: int = 0,  # noqa: ARG002 - it asks no agents
        limits: RunLimits = RunLimits(),  # noqa: B008 - frozen
        delegate: Delegate | None = None,  # noqa: ARG002 - as above
    ) -> ForeignWork:
        """Begin, or go on with, one question."""
        parts, own = self._equipment, self._equipment.folder.agent.spec.limits
        waterfall = Waterfall(
            stopwatch=parts.stopwatch,
            new_id=parts.new_id,
            now_ns=parts.now_ns,
            sink=parts.sink,
            trace_id=request.trace_id or parts.new_id(16),
            span_id=span_id,
            parent_span_id=parent_span_id,
            started_ns=started_ns,
        )
        most = Limits(
            max_steps=1,
            timeout_s=own.timeout_seconds,
            max_tokens=own.max_tokens,
            max_cost_usd=own.max_cost_usd,
        )
        return ForeignWork(
            parts.folder,
            parts.asker,
            request,
            limits=narrowed(most, limits),
            digest=parts.digest,
            prompt_id=self.prompt_id,
            waterfall=waterfall,
            books=parts.books,
        )

    def predict(self, request: PredictRequest, *, parent_span_id: str | None = None) -> PredictResponse:
        """Answer one question. What went wrong on the way is told in `error`, never raised."""
        work = self.work(request, parent_span_id=parent_span_id)
        return work.respond(finish(work, run_id=work.trace_id, stopwatch=self._equipment.stopwatch))

    def close(self) -> None:
        """End its process. Closing twice does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._equipment.asker.close()


def foreign_prompt_id(folder: ForeignFolder, *, digest: str) -> str:
    """Name what it is told: the system prompt of an endpoint, else the bundle, which holds its prompts somewhere."""
    told = digest_json({"system": folder.system_prompt}) if folder.system_prompt else Digest(digest)
    return f"{folder.name}@{short(told)}"
