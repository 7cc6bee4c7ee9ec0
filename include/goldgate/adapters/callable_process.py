"""A callable in a child process that speaks JSON lines: started late, restarted within limits, killed when it hangs.

What the process inherits is what it is given here. What it prints goes to `say`, bounded, with its secrets cut out.
"""

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitTimeoutError
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from pydantic import JsonValue

from goldgate.domain.secret_text import SecretText
from goldgate.ports.foreign import CallableFailure

Say = Callable[[str, str], None]
"""Takes a line that the process printed, and the trace id it was printed for, or an empty one."""

_RESTARTS_WITHIN_S: Final = 600
_STOP_WITHIN_S: Final = 2.0
"""After its input has ended. Then it is killed."""

_READ_ON_S: Final = 1.0
"""After its end, for what it had written before."""

_LONGEST_LINE: Final = 2000
_LINES_PER_QUESTION: Final = 100
_MOST_LINES: Final = 1000
"""What a process may print is earned by questions, so that one that prints for ever fills no log."""


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """How a callable is started, and what it may use."""

    command: Sequence[str]
    folder: Path
    """Working directory."""
    env: Mapping[str, str]
    """All that it inherits, beside a HOME and a TMPDIR of its own."""
    secrets: Collection[str] = ()
    """Cut out of everything that it prints and answers."""
    max_concurrency: int = 8
    max_restarts: int = 3
    start_within_s: float = 60
    max_answer_bytes: int = 1_000_000


class CallableProcess:
    """See `goldgate.ports.foreign.ForeignCallable`."""

    def __init__(self, spec: ProcessSpec, *, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        self._spec = spec
        self._say = say
        self._clock = clock
        self._secrets = SecretText(spec.secrets)
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(spec.max_concurrency)
        self._life: _Life | None = None
        self._deaths: deque[float] = deque()
        self._scratch: Path | None = None
        self._is_closed = False

    def start(self, *, within_s: float) -> str | None:
        """Start it now."""
        life = self._alive()
        problem = life.what if isinstance(life, CallableFailure) else life.await_ready(within_s=within_s)
        return None if problem is None else self._secrets.cut_from(problem)

    def ask(
        self, request: Mapping[str, JsonValue], *, within_s: float, traceparent: str
    ) -> JsonValue | CallableFailure:
        """Ask once."""
        give_up_at = self._clock() + within_s
        if not self._places.acquire(timeout=within_s):
            return CallableFailure(kind="unavailable", what="busy")
        try:
            life = self._alive()
            if isinstance(life, CallableFailure):
                return life
            within = min(give_up_at - self._clock(), self._spec.start_within_s)
            if (problem := life.await_ready(within_s=within)) is not None:
                self._bury(life)
                # Up to what the import raised; what that said is in the log, and nothing for callers.
                return CallableFailure(kind="unavailable", what=f"does not start: {problem.partition(':')[0]}")
            return self._asked(life, request, within_s=give_up_at - self._clock(), traceparent=traceparent)
        finally:
            self._places.release()

    def close(self) -> None:
        """End the process, and forget what it wrote into its own folders."""
        with self._lock:
            self._is_closed = True
            life, self._life = self._life, None
        if life is not None:
            life.end()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _asked(
        self, life: "_Life", request: Mapping[str, JsonValue], *, within_s: float, traceparent: str
    ) -> JsonValue | CallableFailure:
        number, answer = life.send(request, traceparent=traceparent)
        try:
            value = answer.result(timeout=max(within_s, 0))
        except WaitTimeoutError:
            # Nobody can stop a thread of it. The others that it works on may end; new questions go to a new process.
            self._retire(life)
            return CallableFailure(kind="timeout")
        finally:
            life.forget(number)
        if isinstance(value, CallableFailure):
            return value
        try:
            answered: JsonValue = self._secrets.cut_from_value(value)
        except ValueError:
            return CallableFailure(kind="garbled")  # nested so deeply that nothing here reads it
        return answered

    def _alive(self) -> "_Life | CallableFailure":
        with self._lock:
            if self._is_closed:
                return CallableFailure(kind="unavailable", what="closed")
            if self._life is not None and self._life.is_over:
                self._life = None
                self._deaths.append(self._clock())
            if self._life is None:
                while self._deaths and self._deaths[0] < self._clock() - _RESTARTS_WITHIN_S:
                    self._deaths.popleft()
                if len(self._deaths) > self._spec.max_restarts:
                    return CallableFailure(kind="unavailable", what=f"died {len(self._deaths)} times in ten minutes")
                self._life = self._begun()
            return self._life

    def _begun(self) -> "_Life":
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="goldgate-callable-"))
        own = {"HOME": str(self._scratch), "TMPDIR": str(self._scratch)}
        return _Life(self._spec, env={**self._spec.env, **own}, say=self._scrubbed)

    def _bury(self, life: "_Life") -> None:
        """End a process that never became ready. It counts as dead."""
        with self._lock:
            if self._life is life:
                self._life = None
                self._deaths.append(self._clock())
        life.end()

    def _retire(self, life: "_Life") -> None:
        with self._lock:
            if self._life is life:
                self._life = None
        life.retire()

    def _scrubbed(self, line: str, trace_id: str) -> None:
        self._say(self._secrets.cut_from(line)[:_LONGEST_LINE], trace_id)


@dataclass(kw_only=True)
class _Asked:
    future: "Future[JsonValue | CallableFailure]" = field(default_factory=Future)
    trace_id: str


class _Life:
    """One process, from its start to its end."""

    def __init__(self, spec: ProcessSpec, *, env: Mapping[str, str], say: Say) -> None:
        self._spec = spec
        self._tell = say
        self._lock = threading.Lock()
        self._asked: dict[int, _Asked] = {}
        self._number = 0
        self._lines_left = _MOST_LINES
        self._is_retired = False
        self.is_over = False
        self._ready: Future[str | None] = Future()
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        try:
            self._process = self._started(env)
        except OSError as error:
            self.is_over = True
            self._ready.set_result(f"its interpreter does not run: {error.strerror}")
            return
        self._reader = threading.Thread(target=self._read, name="callable-read", daemon=True)
        self._reader.start()
        for target in (self._write, self._read_errors, self._watch):
            threading.Thread(target=target, name=f"callable-{target.__name__}", daemon=True).start()

    def await_ready(self, *, within_s: float) -> str | None:
        """Wait for its imports. Returns why it is not ready."""
        try:
            return self._ready.result(timeout=max(within_s, 0))
        except WaitTimeoutError:
            return f"not ready within {within_s:g} s"

    def send(
        self, request: Mapping[str, JsonValue], *, traceparent: str
    ) -> "tuple[int, Future[JsonValue | CallableFailure]]":
        asked = _Asked(trace_id=str(request.get("trace_id") or ""))
        with self._lock:
            self._number += 1
            number = self._number
            self._asked[number] = asked
            self._lines_left = min(self._lines_left + _LINES_PER_QUESTION, _MOST_LINES)
            is_over = self.is_over
        line = {"id": number, "request": dict(request), "traceparent": traceparent, "most": self._spec.max_answer_bytes}
        if is_over:
            _settle(asked, CallableFailure(kind="died"))
        self._outbox.put(json.dumps(line).encode() + b"\n")
        return number, asked.future

    def forget(self, number: int) -> None:
        """Nobody waits for that answer any more."""
        with self._lock:
            self._asked.pop(number, None)
            is_idle = self._is_retired and not self._asked
        if is_idle:
            self.end(within_s=0)

    def retire(self) -> None:
        """Take no more questions, and end when the last one is answered or given up."""
        with self._lock:
            self._is_retired = True

    def end(self, *, within_s: float = _STOP_WITHIN_S) -> None:
        """End the process and all its children."""
        if not hasattr(self, "_process"):
            return
        self._outbox.put(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(within_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _started(self, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - the interpreter of the agent's environment, and our runner
            list(self._spec.command),
            cwd=self._spec.folder,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def _write(self) -> None:
        with contextlib.suppress(OSError), _stream(self._process.stdin) as pipe:
            while (line := self._outbox.get()) is not None:
                pipe.write(line)
                pipe.flush()

    def _read(self) -> None:
        most = self._spec.max_answer_bytes + 1000
        with _stream(self._process.stdout) as pipe:
            while line := pipe.readline(most):
                if not line.endswith(b"\n") or not self._take(line):
                    break
        self._die()

    def _take(self, line: bytes) -> bool:
        try:
            said: Any = json.loads(line)
        except ValueError:
            return False
        if "said" in said:
            self._say(str(said["said"]), str(said.get("trace_id") or ""))
        elif "ready" in said:
            self._settle_ready(None)
        elif "failed" in said:
            self._say(f"{said.get('kind')}: {said['failed']}", "")
            self._settle_ready(f"importing it raised {_class_name(said.get('kind'))}: {str(said['failed'])[:300]}")
        elif (asked := self._asked.get(int(said.get("id", 0)))) is not None:
            _settle(asked, self._outcome(said, asked))
        return True

    def _outcome(self, said: Mapping[str, Any], asked: _Asked) -> JsonValue | CallableFailure:
        if "error" in said:
            self._say(f"{said['error']}: {said.get('text', '')}", asked.trace_id)
            return CallableFailure(kind="raised", what=_class_name(said["error"]))
        if "too_large" in said:
            return CallableFailure(kind="too_large")
        value: JsonValue = said.get("value")
        return value

    def _watch(self) -> None:
        """Notice its end even while a child that it forked holds the pipe open."""
        self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reader.join(_READ_ON_S)
        self._die()

    def _read_errors(self) -> None:
        """What its libraries write past Python. Several questions at a time: nobody knows for which."""
        with _stream(self._process.stderr) as pipe:
            while line := pipe.readline(_LONGEST_LINE):
                self._say(line.decode(errors="replace").rstrip(), "")

    def _say(self, line: str, trace_id: str) -> None:
        with self._lock:
            if self._lines_left < 0:
                return
            self._lines_left -= 1
            is_last = self._lines_left < 0
        self._tell("[more is left out until the next question]" if is_last else line, trace_id)

    def _die(self) -> None:
        with self._lock:
            self.is_over = True
            waiting = list(self._asked.values())
        self._outbox.put(None)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._settle_ready(f"its process ended with exit code {self._process.wait()}")
        for asked in waiting:
            _settle(asked, CallableFailure(kind="died"))

    def _settle_ready(self, problem: str | None) -> None:
        with contextlib.suppress(Exception):  # settled before
            self._ready.set_result(problem)


@contextlib.contextmanager
def _stream(pipe: IO[bytes] | None) -> Iterator[IO[bytes]]:
    if pipe is None:
        msg = "a pipe that was asked for is not there"
        raise OSError(msg)
    try:
        yield pipe
    finally:
        with contextlib.suppress(OSError):
            pipe.close()


def _settle(asked: _Asked, outcome: JsonValue | CallableFailure) -> None:
    with contextlib.suppress(Exception):  # settled before
        asked.future.set_result(outcome)


def _class_name(name: object) -> str:
    """The class of what was raised, if it is one: a callable may write anything there."""
    text = str(name)
    return text[:80] if text.isidentifier() else "an error"
