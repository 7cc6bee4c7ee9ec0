from datetime import UTC, datetime

import pytest

from goldgate.agent.run_log import LlmTimes, LoggedRuns, run_log
from goldgate.contracts.request_log import RunLog
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import RunProgress, RunUsage, TaskRun, TaskRunSpec, TaskRunStatus
from goldgate.domain.runs.state import Phase
from goldgate.ports.task_runs import LeaseLostError
from goldgate.ports.traces import SpanRecord
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_sink import InMemorySink
from tests.fakes.in_memory_task_runs import InMemoryTaskRunStore

AT = datetime(2026, 1, 2, 3, tzinfo=UTC)
TRACE, SPAN, BUNDLE = "a" * 32, "b" * 16, "f" * 64


class KeptLines:
    """Implements `RunLogWriter`."""

    def __init__(self) -> None:
        self.lines: list[RunLog] = []

    def add(self, entry: RunLog) -> None:
        self.lines.append(entry)

    def close(self) -> None:
        """Do nothing."""


def run(phase: Phase = Phase.FINAL_ANSWER, **status) -> TaskRun:
    facts = {
        "phase": phase,
        "trace_id": TRACE,
        "span_id": SPAN,
        "completion_time": AT,
        "update_time": AT,
        "output": "raw text",
        "retrieved": ["a", "b"],
        "citations": ["b", "z"],
        "safety_flags": ["out_of_domain"],
        "progress": RunProgress(run_id="r-1", bundle=BUNDLE),
        "usage": RunUsage(
            llm_calls=2, tool_calls=1, tokens_in=30, tokens_out=7, tokens_cached=4, cost_usd=0.5, active_seconds=1.5
        ),
    }
    return TaskRun(
        kind="TaskRun",
        metadata=Metadata(name="r"),
        spec=TaskRunSpec(agent_ref="helper", user_message="raw text"),
        status=TaskRunStatus(**{**facts, **status}),
    )


class TestRunLog:
    def test_holds_every_field_of_the_minimal_log_under_its_name(self):
        """The names and units of the release playbook."""
        written = run_log(run(), llm_ms=700, prompt="helper@0123456789ab").model_dump(mode="json", by_alias=True)

        expected = {
            "trace_id": TRACE,
            "model_id@version": f"helper@{'f' * 12}",
            "prompt_id@version": "helper@0123456789ab",
            "latency_ms_total": 1500,
            "latency_ms_llm": 700,
            "tokens_in": 30,
            "tokens_out": 7,
            "tokens_cached": 4,
            "cost_usd": 0.5,
            "retriever_k": 2,
            "hit@k": None,
            "context_precision": None,
            "context_use_rate": 0.5,
            "safety_flags": ["out_of_domain"],
            "error": None,
        }
        assert written.items() >= expected.items()

    def test_holds_nothing_that_was_asked_or_answered(self):
        failed = run(Phase.FAILED, error="model: raw text")

        assert "raw text" not in run_log(failed, llm_ms=0, prompt=None).model_dump_json()

    def test_names_the_kind_of_a_failure(self):
        written = run_log(run(Phase.FAILED, error="timeout: 30 s are over"), llm_ms=0, prompt=None)

        assert (written.error, written.phase, written.prompt) == ("timeout", "Failed", "helper@unknown")

    def test_does_not_know_how_long_models_took_when_several_processes_worked(self):
        assert run_log(run(usage=RunUsage(take_ups=1)), llm_ms=700, prompt=None).latency_ms_llm is None

    def test_names_no_bundle_that_was_never_opened(self):
        assert run_log(run(progress=RunProgress()), llm_ms=0, prompt=None).model == "helper@unknown"


class TestLoggedRuns:
    def runs(self) -> tuple[LoggedRuns, KeptLines]:
        log = KeptLines()
        store = InMemoryTaskRunStore(clock=FrozenClock())
        return LoggedRuns(store, log=log, llm_ms_of=lambda _: 5.0, prompt_of={BUNDLE: "helper@p"}.get), log

    def test_log_a_run_when_it_is_over_and_not_before(self):
        runs, log = self.runs()
        runs.create(run(Phase.INITIALIZING))
        lease = runs.take("r", owner="me", for_s=60)

        runs.save(lease, run(Phase.READY_FOR_LLM))
        assert log.lines == []
        runs.save(lease, run())

        (line,) = log.lines
        assert (line.task_run, line.phase, line.prompt, line.latency_ms_llm) == ("r", "FinalAnswer", "helper@p", 5.0)

    def test_log_nothing_that_could_not_be_recorded(self):
        runs, log = self.runs()
        runs.create(run(Phase.INITIALIZING))
        lease = runs.take("r", owner="me", for_s=60)
        runs.release(lease)
        runs.take("r", owner="another", for_s=60)

        with pytest.raises(LeaseLostError):
            runs.save(lease, run())
        assert log.lines == []


class TestLlmTimes:
    def span(self, parent: str, *, ms: float, kind: str = "client") -> SpanRecord:
        end_ns = round(ms * 1_000_000)
        return SpanRecord(
            trace_id=TRACE, span_id="1" * 16, parent_span_id=parent, name="chat m", kind=kind, start_ns=0, end_ns=end_ns
        )

    def test_add_up_the_models_of_one_run_and_hand_every_span_on(self):
        """A sub-agent is another run of the same trace."""
        sink = InMemorySink()
        times = LlmTimes(sink)
        for one in (
            self.span(SPAN, ms=20),
            self.span(SPAN, ms=22.5),
            self.span("c" * 16, ms=900),
            self.span(SPAN, ms=7, kind="internal"),
        ):
            times.record(one)

        assert times.take(SPAN) == 42.5
        assert times.take(SPAN) == 0
        assert len(sink.spans) == 4

    def test_close_what_they_hand_on_to(self):
        sink = InMemorySink()

        LlmTimes(sink).close()

        assert sink.is_closed
