"""What tracing adds to a request: the same waterfall without a sink, and with spans leaving over OTLP, in turns.

The collector is a server in a process of its own that answers at once, so that what is measured is what the request
itself pays. Run: `.venv/bin/python benchmarks/tracing.py --json FILE`.
"""

import argparse
import json
import multiprocessing
import secrets
import statistics
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.queues import Queue
from pathlib import Path

from goldgate.agent.trace import NoSink, Waterfall
from goldgate.agent.trace_names import chat_attributes, run_attributes, run_name
from goldgate.contracts.llm import LLMSpec
from goldgate.contracts.prediction import SpanName
from goldgate.domain.runs.state import Phase, RunState, Spent
from goldgate.entrypoints.settings import TRACES_OFF, Settings
from goldgate.entrypoints.tracing import open_sink
from goldgate.ports.traces import SpanSink

SPANS: Sequence[SpanName] = ("preproc", "safety", "retrieval", "rerank", "safety", "llm", "postproc", "safety")
"""What one request of the sample agent makes."""

LLM = LLMSpec(model="m-1", base_url="http://127.0.0.1:1/v1")
OVER = RunState(phase=Phase.FINAL_ANSWER, spent=Spent(steps=1, tokens_in=2000, tokens_out=100))


def collect(told: "Queue[int]") -> None:
    """Be a collector that takes everything at once."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.put(server.server_address[1])
    server.serve_forever()


def traced_us(sink: SpanSink) -> float:
    """Make the spans of one request, and return how long that took."""
    began = time.perf_counter()
    waterfall = Waterfall(
        stopwatch=time.perf_counter,
        new_id=secrets.token_hex,
        now_ns=time.time_ns,
        sink=sink,
        trace_id=secrets.token_hex(16),
    )
    for name in SPANS:
        with waterfall.span(name, attributes=chat_attributes(LLM) if name == "llm" else {}):
            pass
    waterfall.end(run_name("helper"), attributes=run_attributes(OVER, agent="helper", bundle="f" * 64))
    return (time.perf_counter() - began) * 1_000_000


def main() -> None:
    """Measure, print, and write the rows if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000, help="pairs of requests")
    parser.add_argument("--per-second", type=float, default=200, help="rate at which they come")
    parser.add_argument("--json", type=Path, help="where to write the rows")
    arguments = parser.parse_args()
    told: Queue[int] = multiprocessing.Queue()
    collector = multiprocessing.Process(target=collect, args=(told,), daemon=True)
    collector.start()
    env = {"GOLDGATE_OTLP_URL": f"http://127.0.0.1:{told.get()}"}
    sink = open_sink(Settings.from_env(env), env=env, agent="helper")
    off = open_sink(Settings.from_env({"GOLDGATE_OTLP_URL": TRACES_OFF}), env={}, agent="helper")
    if not isinstance(off, NoSink):
        parser.exit(1, "Tracing is on where it was turned off.\n")
    for _ in range(20):
        traced_us(sink)
    time.sleep(1)
    pairs = []
    for _ in range(arguments.requests):
        pairs.append((traced_us(sink), traced_us(off)))
        time.sleep(1 / arguments.per_second)
    sink.close()
    collector.terminate()
    with_sink, without = (statistics.median(side) for side in zip(*pairs, strict=True))
    rows = [
        {"name": "traced_p50", "role": "ours", "value": with_sink, "unit": "us"},
        {"name": "untraced_p50", "role": "bound", "value": without, "unit": "us"},
        {"name": "added_p50", "role": "ours", "value": statistics.median(a - b for a, b in pairs), "unit": "us"},
        {"name": "traced_ratio", "role": "ours", "value": with_sink / without, "unit": "x"},
        {"name": "dropped", "role": "ours", "value": sink.dropped, "unit": "spans"},
    ]
    for row in rows:
        print(f"{row['name']:<14} {row['role']:<6} {row['value']:8.2f} {row['unit']}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
