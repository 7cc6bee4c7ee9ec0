"""The router's figures, in the text format that Prometheus reads.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/, text format 0.0.4.
"""

import bisect
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

Labels = tuple[tuple[str, str], ...]

LATENCY_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""From a trivial agent to one that asks a slow model many times."""

_HELP: Final = {
    "goldgate_requests_total": "Requests by the arm that answered or failed.",
    "goldgate_refused_total": "Requests refused before an arm was asked, by reason.",
    "goldgate_rate_limited_total": "Requests that were one too many, by agent and whose limit was reached.",
    "goldgate_tokens_total": "Tokens by direction.",
    "goldgate_cost_usd_total": "What requests cost.",
    "goldgate_safety_blocks_total": "Answered requests by safety flag.",
}


class RouterMetrics:
    """Counters and one histogram. Safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[str, Counter[Labels]] = {name: Counter() for name in _HELP}
        self._buckets: dict[Labels, list[int]] = {}
        self._latency_s: Counter[Labels] = Counter()

    def add(self, name: str, amount: float = 1, *, labels: Mapping[str, str]) -> None:
        """Count. `name` is one of the counters above."""
        with self._lock:
            self._counters[name][_labels(labels)] += amount  # type: ignore[assignment] # a Counter adds floats as well

    def observe_latency(self, seconds: float, *, labels: Mapping[str, str]) -> None:
        """Add one request to the latency histogram."""
        key = _labels(labels)
        with self._lock:
            buckets = self._buckets.setdefault(key, [0] * (len(LATENCY_BUCKETS_S) + 1))
            buckets[bisect.bisect_left(LATENCY_BUCKETS_S, seconds)] += 1
            self._latency_s[key] += seconds  # type: ignore[assignment] # as above

    def render(self, *, gauges: Mapping[str, Mapping[Labels, float]]) -> str:
        """Write everything. `gauges` are figures read only now: name to labels to value."""
        with self._lock:
            lines = [line for name in _HELP for line in self._counter_lines(name)]
            lines += self._histogram_lines()
        for name, values in gauges.items():
            lines += [f"# TYPE {name} gauge", *(_sample(name, labels, value) for labels, value in values.items())]
        return "\n".join(lines) + "\n"

    def _counter_lines(self, name: str) -> Iterator[str]:
        yield f"# HELP {name} {_HELP[name]}"
        yield f"# TYPE {name} counter"
        for labels, value in sorted(self._counters[name].items()):
            yield _sample(name, labels, value)

    def _histogram_lines(self) -> Iterator[str]:
        name = "goldgate_latency_seconds"
        yield f"# HELP {name} Time from the request to the arm until its answer."
        yield f"# TYPE {name} histogram"
        for labels, buckets in sorted(self._buckets.items()):
            total = 0
            for bound, count in zip((*LATENCY_BUCKETS_S, float("inf")), buckets, strict=True):
                total += count
                text = "+Inf" if bound == float("inf") else f"{bound:g}"
                yield _sample(f"{name}_bucket", (*labels, ("le", text)), total)
            yield _sample(f"{name}_sum", labels, self._latency_s[labels])
            yield _sample(f"{name}_count", labels, total)


def _labels(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def _sample(name: str, labels: Labels, value: float) -> str:
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"{name}{{{inner}}} {value!r}" if inner else f"{name} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
