"""What an agent runtime adds to the bare model client: eleven model calls and ten tool calls, side by side.

The model is a local server in a process of its own that answers at once, always the same. Each contender runs in a
process of its own, and they take turns, so that whatever else the machine does falls on all of them. The peers live in
an environment of their own, made once by uv and kept outside the checkout.

Run: `.venv/bin/python benchmarks/agent_loop.py [--rounds 15] [--no-peers] [--json FILE]`.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "goldgate"
MODEL_CALLS = 11
PEER_PACKAGES = (
    "openai==3.51.0",
    "openai-agents==0.24.0",
    "langgraph==1.2.22",
    "langgraph-checkpoint-sqlite==3.1.2",
    "langchain-openai==1.7.3",
    "pydantic-ai-slim[openai]==2.68.0",
)
BOUND = "bare_openai"
OURS = ("goldgate_in_memory", "goldgate_durable")
PEERS = (
    "openai_agents",
    "openai_agents_sqlite",
    "langgraph",
    "langgraph_sqlite",
    "langgraph_sqlite_sync",
    "pydantic_ai",
)


@dataclass(kw_only=True)
class Contender:
    """A process that runs the loop once for every line it is sent, and says how long it took."""

    name: str
    role: str
    process: "subprocess.Popen[str]"
    elapsed_ms: list[float] = field(default_factory=list)
    stored_bytes: list[int] = field(default_factory=list)

    def run(self) -> tuple[float, int]:
        """Run the loop once: milliseconds, and bytes left on disk."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with exit code {self.process.wait()}; its error stands above.")
        told = json.loads(line)
        return float(told["elapsed_ms"]), int(told["stored_bytes"])


@contextlib.contextmanager
def started(command: Sequence[str], env: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """Start a program to talk to, and end it."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:  # noqa: S603 - our own
        try:
            yield process
        finally:
            process.terminate()


def peers_python() -> Path:
    """Make the environment of the peers, unless it is there as it should be."""
    folder = CACHE / "agent-loop-peers"
    python, made_of = folder / "bin" / "python", folder / "made-of.txt"
    wanted = "\n".join(PEER_PACKAGES)
    if not made_of.is_file() or made_of.read_text(encoding="utf-8") != wanted:
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True)  # noqa: S603 - ours
        subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), *PEER_PACKAGES], check=True)  # noqa: S603 - ours
        made_of.write_text(wanted, encoding="utf-8")
    return python


def synced_write_ms(folder: Path) -> float:
    """Write a file of a record's size, sync it, rename it, sync the folder: what one durable record costs at least."""
    began = time.perf_counter()
    with (folder / "synced.new").open("wb") as file:
        file.write(b"x" * 8000)
        file.flush()
        os.fsync(file.fileno())
    (folder / "synced.new").replace(folder / "synced")
    opened = os.open(folder, os.O_RDONLY)
    os.fsync(opened)
    os.close(opened)
    return (time.perf_counter() - began) * 1000


def measure(rounds: int, *, peers: bool, folder: Path) -> tuple[list[Contender], list[float]]:
    """Let all contenders take turns, and a synced write after each round."""
    synced: list[float] = []
    env = {**os.environ, "OPENAI_API_KEY": "none", "PYTHONPATH": str(HERE.parent / "include")}
    with contextlib.ExitStack() as stack:
        model = stack.enter_context(started([sys.executable, str(HERE / "agent_loop_model.py")], env))
        assert model.stdout is not None
        url = f"http://127.0.0.1:{int(model.stdout.readline())}/v1"
        others = peers_python() if peers else None

        def contender(name: str, role: str, python: Path | str, script: str) -> Contender:
            own = folder / name
            own.mkdir()
            command = [str(python), str(HERE / script), name, url, str(own)]
            return Contender(name=name, role=role, process=stack.enter_context(started(command, env)))

        contenders = [contender(BOUND, "bound", sys.executable, "agent_loop_ours.py")]
        contenders += [contender(name, "ours", sys.executable, "agent_loop_ours.py") for name in OURS]
        if others is not None:
            contenders += [contender(name, "peer", others, "agent_loop_peers.py") for name in PEERS]
        for each in contenders:
            each.run()  # imports, connections, tables
            each.run()
        for round_ in range(rounds):
            # Every round begins with another one, so that none always follows the same neighbour.
            turn = round_ % len(contenders)
            for each in (*contenders[turn:], *contenders[:turn]):
                elapsed_ms, stored = each.run()
                each.elapsed_ms.append(elapsed_ms)
                each.stored_bytes.append(stored)
            synced.append(synced_write_ms(folder))
    return contenders, synced


class FirstCall:
    """A model that notes when it is first asked, and answers with text."""

    def __init__(self) -> None:
        self.at: float | None = None
        first = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                first.at = first.at or time.perf_counter()
                self.rfile.read(int(self.headers["Content-Length"]))
                message = {"role": "assistant", "content": "Done."}
                body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def cold_starts_s(times: int, *, folder: Path) -> list[float]:
    """Start the process that works on a TaskRun, and tell how long until it asks the model."""
    found = []
    for number in range(times + 1):
        first = FirstCall()
        home = folder / f"cold-{number}"
        env = {
            **os.environ,
            "PYTHONPATH": str(HERE.parent / "include"),
            "GOLDGATE_HOME": str(home),
            "GOLDGATE_AGENTS": str(home / "agents"),
            "LOOP_MODEL_URL": f"http://127.0.0.1:{first.server.server_port}/v1",
        }
        made = [sys.executable, str(HERE / "agent_loop_ours.py"), "make_run", env["LOOP_MODEL_URL"], str(home)]
        subprocess.run(made, check=True, env=env)  # noqa: S603 - ours
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "goldgate.entrypoints.task_run", "cold"], check=True, env=env, capture_output=True
        )
        first.server.shutdown()
        first.server.server_close()
        if first.at is None:
            raise SystemExit("The runtime process never asked the model.")
        found.append(first.at - began)
    return found[1:]  # the first one fills the machine's file cache


def rows_of(
    contenders: Sequence[Contender], synced: Sequence[float], cold_s: Sequence[float]
) -> list[dict[str, object]]:
    """Make the rows of the report."""
    bound = contenders[0]
    rows: list[dict[str, object]] = []
    for each in contenders:
        per_step = statistics.median(each.elapsed_ms) / MODEL_CALLS
        rows.append({"name": f"{each.name}_step", "role": each.role, "value": per_step, "unit": "ms"})
    for each in contenders[1:]:
        # Of the same round, so that a slow moment of the machine falls on both.
        added = [(own - bare) / MODEL_CALLS for own, bare in zip(each.elapsed_ms, bound.elapsed_ms, strict=True)]
        name = f"{each.name}_added_step"
        rows.append({"name": name, "role": each.role, "value": statistics.median(added), "unit": "ms"})
    rows += [
        {"name": f"{each.name}_stored", "role": each.role, "value": max(each.stored_bytes), "unit": "bytes"}
        for each in contenders
        if any(each.stored_bytes)
    ]
    rows.append({"name": "synced_write", "role": "bound", "value": statistics.median(synced), "unit": "ms"})
    if cold_s:
        rows.append({"name": "cold_start", "role": "ours", "value": statistics.median(cold_s), "unit": "s"})
    return rows


def main() -> None:
    """Measure, print, and write the rows if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="how often each contender runs the loop")
    parser.add_argument("--no-peers", action="store_true", help="only ours and the bound")
    parser.add_argument("--cold-starts", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=CACHE, help="on the disk that is to be measured")
    parser.add_argument("--json", type=Path, help="where to write the rows")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        contenders, synced = measure(arguments.rounds, peers=not arguments.no_peers, folder=Path(folder))
        cold_s = cold_starts_s(arguments.cold_starts, folder=Path(folder)) if arguments.cold_starts else []
    rows = rows_of(contenders, synced, cold_s)
    for row in rows:
        print(f"{row['name']:<34} {row['role']:<6} {row['value']:10.3f} {row['unit']}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
