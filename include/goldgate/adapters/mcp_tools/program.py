"""MCP over the standard input and output of a program: newline-delimited JSON, bounded in every direction.

The SDK's own transport keeps a line of any length, gives a server six variables that nobody named, and logs what it
cannot parse. This one does none of that; what an SDK session reads and writes is the same.
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import mcp_types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from goldgate.adapters.mcp_tools.lines import BoundedLines, TooLong
from goldgate.adapters.mcp_tools.repairs import answer_for, whole
from goldgate.adapters.mcp_tools.wire import MOST_BYTES, TOO_LARGE, Streams, Wire

_log = logging.getLogger(__name__)

_CHUNK: Final = 65_536
_MOST_SKIPPED: Final = 256_000_000
"""Of one line that is too long: past it the program is ended, because it may never end the line."""
_MOST_UNASKED: Final = 10_000
"""Lines since something was last sent to it: answers, notifications, requests, and what is no message at all."""
_MOST_SAID: Final = 4_000
_GRACE_S: Final = 2.0
"""To end by itself after its input was closed, and again after SIGTERM. As the SDK has it."""
_LAST_WORDS_S: Final = 0.2

Outgoing = MemoryObjectReceiveStream[SessionMessage]
Incoming = MemoryObjectSendStream[SessionMessage | Exception]


@dataclass(frozen=True, kw_only=True)
class Program:
    """How a tool server is started: all that it gets."""

    words: Sequence[str]
    env: Mapping[str, str]
    folder: Path

    @contextlib.asynccontextmanager
    async def connect(self, wire: Wire) -> AsyncIterator[Streams]:
        """Start it, carry messages until the context ends, and end it with all its children."""
        process = await asyncio.create_subprocess_exec(
            *self.words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(self.env),
            cwd=self.folder,
            start_new_session=True,
        )
        to_session, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        outgoing, to_program = anyio.create_memory_object_stream[SessionMessage](0)
        tasks = [
            asyncio.create_task(_read(process, to_session, wire)),
            asyncio.create_task(_write(process, to_program, wire)),
            asyncio.create_task(_listen(process, wire)),
        ]
        try:
            yield incoming, outgoing
        finally:
            wire.ended.set()
            with anyio.CancelScope(shield=True):
                await _stop(process, grace_s=0 if wire.why else _GRACE_S)
                # What it wrote last is still in the pipe; a grandchild may hold that open for ever.
                await asyncio.wait(tasks[2:], timeout=_LAST_WORDS_S)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                for stream in (to_session, incoming, outgoing, to_program):
                    stream.close()
                process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - else it warns when a grandchild keeps a pipe open


async def _read(process: asyncio.subprocess.Process, to_session: Incoming, wire: Wire) -> None:
    lines = BoundedLines(most_bytes=MOST_BYTES)
    stdout = process.stdout
    try:
        while stdout is not None and (chunk := await stdout.read(_CHUNK)):
            for line in lines.feed(chunk):
                wire.heard += 1
                if (message := _message(line, wire)) is not None and wire.heard <= _MOST_UNASKED:
                    await to_session.send(message)
            if wire.heard > _MOST_UNASKED:
                wire.why = f"it wrote more than {_MOST_UNASKED} lines that nobody asked for"
            if lines.pending > _MOST_SKIPPED:
                wire.why = f"it wrote a line of more than {_MOST_SKIPPED} bytes"
            if wire.why:
                _log.warning("agent.tool.cut_off", extra={"reason": wire.why})
                break
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        pass  # the session is gone
    finally:
        wire.ended.set()
        to_session.close()  # the session sees the end, and tells everybody who waits


def _message(line: bytes | TooLong, wire: Wire) -> SessionMessage | None:
    """Read a line; None for one that no session needs to see."""
    if isinstance(line, TooLong):
        if (answers := line.answers) is None:
            wire.why = f"it wrote a line of {line.size} bytes, and at most {MOST_BYTES} are read"
            return None
        error = mcp_types.ErrorData(code=TOO_LARGE, message=f"an answer of {line.size} bytes")
        return SessionMessage(mcp_types.JSONRPCError(jsonrpc="2.0", id=answers, error=error))
    message = _parsed(line) or _parsed(whole(line)) or answer_for(line)
    if message is None:
        return None
    if isinstance(message, mcp_types.JSONRPCNotification):
        # Progress and logs are not asked for; a flood of them must cost next to nothing.
        if message.method == "notifications/tools/list_changed":
            wire.changed.set()
        return None
    return SessionMessage(message)


def _parsed(line: bytes) -> mcp_types.JSONRPCMessage | None:
    try:
        return mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except (ValueError, RecursionError):
        return None


async def _write(process: asyncio.subprocess.Process, to_program: Outgoing, wire: Wire) -> None:
    stdin = process.stdin
    with contextlib.suppress(OSError):  # it reads no more: its end is seen where it is read
        async for held in to_program:
            if stdin is not None:
                wire.heard = 0
                stdin.write(held.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
                await stdin.drain()


async def _listen(process: asyncio.subprocess.Process, wire: Wire) -> None:
    kept = b""
    while process.stderr is not None and (chunk := await process.stderr.read(_CHUNK)):
        kept = (kept + chunk)[-_MOST_SAID:]
        wire.said = kept.decode(errors="replace")


async def _stop(process: asyncio.subprocess.Process, *, grace_s: float) -> None:
    """Close its input, wait, then end its whole group: first asked, then forced."""
    if process.stdin is not None:
        process.stdin.close()
    if await _ended(process, within_s=grace_s):
        _signal(process, signal.SIGTERM)  # what it started and left behind
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal(process, number)
        if await _ended(process, within_s=_GRACE_S):
            return


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signal its group, which is its own: it was started in a session of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


async def _ended(process: asyncio.subprocess.Process, *, within_s: float) -> bool:
    # Not `wait`: it also waits for the pipes, which a grandchild may hold open.
    deadline = asyncio.get_running_loop().time() + within_s
    while process.returncode is None:
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(0.01)
    return True
