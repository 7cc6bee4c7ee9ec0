"""Writes one line of the minimal log for every TaskRun that ends."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Literal

from goldgate.agent.trace_names import error_kind
from goldgate.contracts.request_log import RunLog
from goldgate.contracts.task_runs import TaskRun
from goldgate.domain.digest import short
from goldgate.domain.retrieval import context_use_rate, retriever_k
from goldgate.domain.runs.state import Phase
from goldgate.ports.records import RunLogWriter
from goldgate.ports.task_runs import Lease, RunWord, TaskRunStore
from goldgate.ports.traces import SpanRecord, SpanSink


class LlmTimes:
    """Adds up how long models took, by root span, and hands every span on. Implements `SpanSink`."""

    def __init__(self, sink: SpanSink) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self._ms: defaultdict[str, float] = defaultdict(float)

    def record(self, span: SpanRecord) -> None:
        """Look at a span on its way."""
        if span.kind == "client" and span.parent_span_id is not None:
            with self._lock:
                self._ms[span.parent_span_id] += (span.end_ns - span.start_ns) / 1_000_000
        self._sink.record(span)

    @property
    def dropped(self) -> int:
        """How many were lost since the start."""
        return self._sink.dropped

    def close(self) -> None:
        """Send what is left."""
        self._sink.close()

    def take(self, root_span_id: str | None) -> float:
        """Return the milliseconds of a run, and forget them."""
        with self._lock:
            return self._ms.pop(root_span_id or "", 0.0)


class LoggedRuns:
    """Records runs in another store, and logs each once it is over. Implements `TaskRunStore`.

    A process that is killed between the last record of a run and its line leaves no line: the record tells all.
    """

    def __init__(
        self,
        store: TaskRunStore,
        *,
        log: RunLogWriter,
        llm_ms_of: Callable[[str | None], float],
        prompt_of: Callable[[str], str | None],
    ) -> None:
        """Put the log before a store.

        Args:
            store: Records.
            log: Takes the lines.
            llm_ms_of: Tells how long models took below a root span, in this process.
            prompt_of: Tells the prompt id of the agent of a bundle; None for one that was not opened.
        """
        self._store = store
        self._log = log
        self._llm_ms_of = llm_ms_of
        self._prompt_of = prompt_of

    def save(self, lease: Lease, run: TaskRun) -> None:
        """Record a run whole, and log it if that ends it."""
        self._store.save(lease, run)
        if run.status.phase.is_terminal:
            prompt = self._prompt_of(run.status.progress.bundle)
            self._log.add(run_log(run, llm_ms=self._llm_ms_of(run.status.span_id), prompt=prompt))

    def create(self, run: TaskRun) -> TaskRun:
        """Record a new run, or find the same."""
        return self._store.create(run)

    def read(self, name: str) -> TaskRun | None:
        """Read a run."""
        return self._store.read(name)

    def names(self) -> Sequence[str]:
        """Name all runs."""
        return self._store.names()

    def take(self, name: str, *, owner: str, for_s: float) -> Lease:
        """Take the lease of a run."""
        return self._store.take(name, owner=owner, for_s=for_s)

    def renew(self, lease: Lease, *, for_s: float) -> None:
        """Keep a lease."""
        self._store.renew(lease, for_s=for_s)

    def release(self, lease: Lease) -> None:
        """Give a lease back."""
        self._store.release(lease)

    def post(self, name: str, word: RunWord) -> None:
        """Leave a word."""
        self._store.post(name, word)

    def words(self, name: str) -> Sequence[RunWord]:
        """Read the words."""
        return self._store.words(name)

    def remove(self, lease: Lease) -> None:
        """Forget a run. Its line stays for as long as its log is kept."""
        self._store.remove(lease)

    def drop(self, lease: Lease, word: RunWord) -> None:
        """Forget a word."""
        self._store.drop(lease, word)

    def close(self) -> None:
        """Let go of the connections of the other store. The log is whose it was."""
        self._store.close()


def run_log(run: TaskRun, *, llm_ms: float, prompt: str | None) -> RunLog:
    """Write the line of a run that is over.

    Args:
        run: As it was recorded last.
        llm_ms: How long models took, as far as this process saw it.
        prompt: Of the agent that answered; None if none was opened.
    """
    status, usage = run.status, run.status.usage
    agent = run.spec.agent_ref or (status.progress.task.agent_ref if status.progress.task else "unknown")
    phase: Literal["FinalAnswer", "Failed"] = "FinalAnswer" if status.phase is Phase.FINAL_ANSWER else "Failed"
    given, is_answered = status.retrieved, status.phase is Phase.FINAL_ANSWER
    ended = status.completion_time or status.update_time
    if ended is None:
        msg = f"run `{run.metadata.name}` is over and has no time"
        raise ValueError(msg)
    return RunLog(
        at=ended,
        agent=agent,
        task_run=run.metadata.name,
        phase=phase,
        trace_id=status.trace_id or "",
        span_id=status.span_id or "",
        model=f"{agent}@{short(status.progress.bundle) or 'unknown'}",
        prompt=prompt or f"{agent}@unknown",
        latency_ms_total=usage.active_seconds * 1000,
        latency_ms_llm=None if usage.take_ups else llm_ms,
        tokens_in=usage.tokens_in,
        tokens_out=usage.tokens_out,
        tokens_cached=usage.tokens_cached,
        cost_usd=usage.cost_usd,
        is_metered=usage.is_metered,
        # An agent written elsewhere may not tell what it retrieved; its record then shows nothing either.
        retriever_k=retriever_k(given) if given else None,
        hit_at_k=None,
        context_precision=None,
        context_use_rate=context_use_rate(given, status.citations) if given and is_answered else None,
        safety_flags=list(status.safety_flags),
        error=error_kind(status.error),
        llm_calls=usage.llm_calls,
        tool_calls=usage.tool_calls,
        take_ups=usage.take_ups,
    )
