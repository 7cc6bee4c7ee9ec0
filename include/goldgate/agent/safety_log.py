"""What safety did with one request, each with its reason and its place in the trace."""

import logging
import threading

from goldgate.agent.safety import personal_data
from goldgate.agent.safety.guards import Guarded
from goldgate.agent.trace import OpenSpan
from goldgate.contracts.prediction import SafetyBlock, SafetyFlag
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.model import ModelRefusedError, ModelUnavailableError

_log = logging.getLogger(__name__)


class SafetyLog:
    """Notes what was refused, removed or marked. Of one request; several threads may note at a time."""

    def __init__(self, *, trace_id: str) -> None:
        self._trace_id = trace_id
        self._lock = threading.Lock()
        self._blocks: list[SafetyBlock] = []

    @property
    def blocks(self) -> list[SafetyBlock]:
        """All of them, in order."""
        with self._lock:
            return list(self._blocks)

    @property
    def flags(self) -> tuple[SafetyFlag, ...]:
        """Their flags, each once, in the order they were raised."""
        return tuple(dict.fromkeys(block.flag for block in self.blocks))

    def note(self, flag: SafetyFlag, reason: str, span: OpenSpan) -> None:
        """Note one. The reason says what kind of thing it was, never what was found."""
        with self._lock:
            # Several things may be found in one span: lists, of which one place belongs together.
            for name, value in (("goldgate.safety.flags", flag), ("goldgate.safety.reasons", reason)):
                before = span.attributes.get(name, [])
                span.set(name, [*(before if isinstance(before, list) else []), value])
            self._blocks.append(SafetyBlock(flag=flag, reason=reason, span_id=span.span_id))

    def noted(self, guarded: Guarded, span: OpenSpan) -> Guarded:
        """Note all that was done to a text, and hand it on."""
        for finding in guarded.findings:
            self.note(finding.flag, finding.reason, span)
        return guarded

    def outside(self, part: str, error: PermanentError | TransientError) -> str:
        """Name what kind of failure it was; what others wrote about it goes to this process's log alone."""
        reason, _ = personal_data.redact(str(error))
        _log.warning(f"agent.{part}.failed", extra={"trace_id": self._trace_id, "reason": reason})
        kind = "refused" if isinstance(error, PermanentError) else "unavailable"
        if not isinstance(error, ModelRefusedError | ModelUnavailableError):
            return f"{part}: {kind}"
        trouble = error.trouble.value.replace("_", " ")
        return f"{part}: {kind} ({trouble})" if error.status is None else f"{part}: {error.status} {kind} ({trouble})"
