"""Runs a callable in a process of its own: `python runner.py module:function --concurrency 8`.

Standard library only, for every Python from 3.9 on: it runs in the environment of the agent, where Goldgate is not.
It speaks JSON lines over the standard input and output that it was started with; the agent's own `print` goes to the
standard error, so it cannot break the protocol.

To it:   {"id": 1, "request": {...}, "traceparent": "00-...-01", "most": 1000000}
From it: {"ready": true}  or  {"failed": "why", "kind": "ImportError"}
         {"id": 1, "value": ...}  or  {"id": 1, "error": "ValueError", "text": "..."}
         {"said": "a line that the agent printed", "trace_id": "..."}
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import importlib
import inspect
import io
import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

TRACE: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="")
"""Trace id of the question that this thread or task answers."""

LONGEST_LINE = 2000
"""Characters of a printed line that are kept."""


class Wire:
    """The way back: one line at a time, whole."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._lock = threading.Lock()

    def send(self, value: dict[str, Any], most: int | None = None) -> None:
        """Write one value. Longer than `most` bytes: an error is written in its place."""
        line = json.dumps(value, ensure_ascii=False, allow_nan=False, default=plain).encode("utf-8", "replace") + b"\n"
        if most is not None and len(line) > most:
            line = json.dumps({"id": value["id"], "too_large": len(line)}).encode() + b"\n"
        with self._lock:
            while line:
                line = line[self._file.write(line) :]


class Said(io.TextIOBase):
    """Standard output and error of the agent: whole lines, each with the trace that was being answered."""

    encoding = "utf-8"

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._held: dict[str, str] = {}
        self._lock = threading.Lock()

    def writable(self) -> bool:
        """Say so: `print` asks."""
        return True

    def write(self, text: str) -> int:
        """Take text, and send what makes whole lines."""
        trace = TRACE.get()
        with self._lock:
            *lines, rest = (self._held.pop(trace, "") + text).split("\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], ""
            if rest:
                self._held[trace] = rest
        for line in lines:
            if line.strip():
                self._wire.send({"said": line[:LONGEST_LINE], "trace_id": trace})
        return len(text)


def plain(value: Any) -> Any:
    """Write what JSON does not know: models of pydantic, data classes."""
    for name in ("model_dump", "_asdict", "dict"):
        if callable(getattr(value, name, None)):
            return getattr(value, name)()
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    raise TypeError(f"found {type(value).__name__} in a response; expected what JSON can say")


def resolve(name: str) -> Callable[[dict[str, Any]], Any]:
    """Import `module:function`; a class is made, and its `predict` is the callable."""
    module, _, path = name.partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if inspect.isclass(found):
        found = found()
    if not callable(found) or hasattr(found, "predict"):
        found = found.predict
    return found


def failure(error: BaseException) -> dict[str, str]:
    """Tell what was raised, also when it cannot say so itself."""
    try:
        text = str(error)[:LONGEST_LINE]
    except BaseException as of_its_text:  # noqa: BLE001 - whatever it is, somebody waits for an answer
        text = f"(its text raised {type(of_its_text).__name__})"
    return {"error": type(error).__name__, "text": text}


class Server:
    """Answers lines until the input ends."""

    def __init__(self, target: Callable[[dict[str, Any]], Any], wire: Wire, concurrency: int) -> None:
        self._target = target
        self._wire = wire
        self._concurrency = concurrency

    def answer(self, call: dict[str, Any]) -> None:
        """Answer one question on this thread."""
        try:
            with_trace(call, self._concurrency)
            value = self._target(call["request"])
            if inspect.isawaitable(value):
                value = asyncio.run(awaited(value))
            self._wire.send({"id": call["id"], "value": value}, call["most"])
        except BaseException as error:  # noqa: BLE001 - told to whoever asked
            self._wire.send({"id": call["id"], **failure(error)})

    def on_threads(self, lines: Iterable[bytes]) -> None:
        """Answer with threads, so many at a time."""
        calls: queue.Queue[dict[str, Any]] = queue.Queue()

        def work() -> None:
            while True:
                contextvars.copy_context().run(self.answer, calls.get())

        for _ in range(self._concurrency):
            threading.Thread(target=work, daemon=True).start()
        for line in lines:
            calls.put(json.loads(line))

    def on_loop(self, lines: Iterable[bytes]) -> None:
        """Answer with tasks of one event loop, so that clients which belong to a loop can be kept."""
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        gate: list[asyncio.Semaphore] = []

        async def answer(call: dict[str, Any]) -> None:
            if not gate:
                gate.append(asyncio.Semaphore(self._concurrency))
            async with gate[0]:
                try:
                    with_trace(call, self._concurrency)
                    value = await self._target(call["request"])
                    self._wire.send({"id": call["id"], "value": value}, call["most"])
                except BaseException as error:  # noqa: BLE001 - as above
                    self._wire.send({"id": call["id"], **failure(error)})

        for line in lines:
            asyncio.run_coroutine_threadsafe(answer(json.loads(line)), loop)

    def run(self, lines: Iterable[bytes]) -> None:
        """Answer the way that the callable is made for."""
        (self.on_loop if is_async(self._target) else self.on_threads)(lines)


def is_async(target: Any) -> bool:
    """Tell whether it belongs on an event loop: an `async` function, or an object with an `async` call."""
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(getattr(target, "__call__", None))  # noqa: B004 - not whether it can be called, but how


async def awaited(value: Any) -> Any:
    """Wait for what a function returned."""
    return await value


def with_trace(call: dict[str, Any], concurrency: int) -> None:
    """Make the trace known: to what is printed, to OpenTelemetry if the agent uses it, and to its child processes."""
    TRACE.set(call["request"].get("trace_id") or "")
    if concurrency == 1:
        os.environ["TRACEPARENT"] = call["traceparent"]
    if "opentelemetry.trace" in sys.modules:
        # By its name, late: it is a package of the agent, not of the runtime.
        context, propagate = map(importlib.import_module, ("opentelemetry.context", "opentelemetry.propagate"))
        context.attach(propagate.extract({"traceparent": call["traceparent"]}))


def main() -> NoReturn:
    """Answer until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("callable")
    parser.add_argument("--concurrency", type=int, default=1)
    arguments = parser.parse_args()
    # The protocol keeps its own descriptors; whatever the agent or its libraries write goes elsewhere.
    lines = os.fdopen(os.dup(0), "rb")
    wire = Wire(os.dup(1))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr = Said(wire)
    sys.path[0] = str(Path.cwd())
    try:
        target = resolve(arguments.callable)
    except BaseException as error:  # noqa: BLE001 - told to whoever started it
        told = failure(error)
        wire.send({"failed": told["text"], "kind": told["error"]})
        os._exit(1)
    wire.send({"ready": True})
    Server(target, wire, arguments.concurrency).run(lines)
    os._exit(0)  # threads that hang do not keep it: nobody reads what they would say


if __name__ == "__main__":
    main()
