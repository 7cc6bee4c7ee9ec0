"""TaskRuns as files below one folder, each record replaced whole.

<root>/<name>.json         the record, as a person reads it
<root>/<name>.lease        who works on it, and since which epoch; also the lock under which this is decided
<root>/<name>.words/       what people said to it, one file each, until it was acted on

A record is written beside the old one and synced; then, under the lock, the epoch is compared and the new record
renamed over the old: whoever lost the lease cannot write, however long it slept before. What a killed process left
half-written has a name of its epoch, and the next owner removes it.
"""

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from goldgate.contracts.base import problems_of
from goldgate.contracts.durable import Sync, sync_folder
from goldgate.contracts.task_runs import TaskRun
from goldgate.domain.errors import PermanentError
from goldgate.ports.delivery import Clock
from goldgate.ports.task_runs import Lease, LeaseLostError, RunHeldError, RunWord

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_WORD_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LEASE_BYTES: Final = 1024
"""A lease is written in place with one call and always as long: there is never the rest of an older one behind it."""


class DamagedTaskRunError(PermanentError):
    """What stands on disk is no TaskRun. Nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class _Held:
    epoch: int = 0
    owner: str = ""
    """Empty: it was given back."""
    renewed: datetime | None = None
    until: datetime | None = None


_WORD: Final = TypeAdapter(RunWord)
_HELD: Final = TypeAdapter(_Held)


class FileTaskRunStore:
    """The TaskRuns below one folder; see `goldgate.ports.task_runs.TaskRunStore`."""

    def __init__(
        self,
        root: Path,
        *,
        clock: Clock,
        is_dead: Callable[[str], bool] = lambda _: False,
        sync: Sync = os.fsync,
    ) -> None:
        """Open a folder of runs, made when the first is recorded.

        Args:
            root: The folder.
            clock: By which leases end.
            is_dead: Whether an owner is known to have ended: its lease then ends at once. By default nobody is.
            sync: Brings an open file to disk.
        """
        self._root = root
        self._clock = clock
        self._sync = sync
        self._is_dead = is_dead

    def create(self, run: TaskRun) -> TaskRun:
        """Record a new run, or find the same."""
        name = run.metadata.name
        path = self._path(name)
        # Records hold what was said, which is for nobody else on this machine.
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked(name):
            found = self.read(name)
            if found is None:
                self._write_beside(self._temporary(name, epoch=0), _text(run)).replace(path)
                sync_folder(self._root, sync=self._sync)
                return run
        if found.spec != run.spec:
            raise PermanentError(
                f"Found another run named `{name}` in `{path}`, which asks something else; expected a new name or the "
                "same `spec`. Rename the run."
            )
        return found

    def read(self, name: str) -> TaskRun | None:
        """Read a run as it was last recorded."""
        path = self._path(name)
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            run = TaskRun.model_validate_json(text)
        except ValidationError as error:
            found = "; ".join(str(problem) for problem in problems_of(error, where=str(path))[:3])
            raise DamagedTaskRunError(
                f"The record of run `{name}` cannot be read, and nothing was changed: {found}. Restore `{path}` from a "
                "copy, or move it away and start the run anew."
            ) from error
        if run.metadata.name != name:
            raise DamagedTaskRunError(
                f"Found run `{run.metadata.name}` in `{path}`; expected `{name}`. Give the file the name of its run."
            )
        return run

    def names(self) -> list[str]:
        """Name all runs."""
        try:
            files = [file.name for file in self._root.iterdir()]
        except FileNotFoundError:
            return []
        stems = (file.removesuffix(".json") for file in files if file.endswith(".json"))
        return sorted(stem for stem in stems if _LABEL.fullmatch(stem))

    def take(self, name: str, *, owner: str, for_s: float) -> Lease:
        """Take the lease, if nobody has it."""
        self._require_run(name)
        with self._locked(name) as lease_file:
            held = self._held(lease_file, name)
            now = self._clock.now()
            if held.owner and held.until is not None and held.until > now and not self._is_dead(held.owner):
                raise RunHeldError(
                    f"Run `{name}` is worked on by `{held.owner}` until {held.until.isoformat(timespec='seconds')} at "
                    "least. Try again then, or look what that process is doing.",
                    retry_after=held.until - now,
                )
            lease = Lease(run=name, owner=owner, epoch=held.epoch + 1, last_renewed=held.renewed)
            self._hold(lease_file, lease, now=now, for_s=for_s)
            self._sync(lease_file)
            self._temporary(name, epoch=held.epoch).unlink(missing_ok=True)
        return lease

    def renew(self, lease: Lease, *, for_s: float) -> None:
        """Keep the lease."""
        with self._locked(lease.run) as lease_file:
            self._require_held(lease_file, lease)
            # Not synced: if the machine dies, so does the owner, and the next one sees another boot.
            self._hold(lease_file, lease, now=self._clock.now(), for_s=for_s)

    def release(self, lease: Lease) -> None:
        """Give the lease back."""
        with self._locked(lease.run) as lease_file:
            held = self._held(lease_file, lease.run)
            if (held.epoch, held.owner) == (lease.epoch, lease.owner):
                given_back = _Held(epoch=lease.epoch, renewed=self._clock.now())
                _write_lease(lease_file, given_back)

    def save(self, lease: Lease, run: TaskRun) -> None:
        """Record a run whole, if the lease is held."""
        if run.metadata.name != lease.run:
            raise PermanentError(f"Found a lease of run `{lease.run}`; expected one of `{run.metadata.name}`.")
        written = self._write_beside(self._temporary(lease.run, epoch=lease.epoch), _text(run))
        try:
            with self._locked(lease.run) as lease_file:
                self._require_held(lease_file, lease)
                written.replace(self._path(lease.run))
        except LeaseLostError:
            written.unlink(missing_ok=True)
            raise
        sync_folder(self._root, sync=self._sync)

    def post(self, name: str, word: RunWord) -> None:
        """Leave a word."""
        self._require_run(name)
        folder = self._words(name)
        path = self._word_path(name, word.id)
        is_new = not folder.is_dir()
        folder.mkdir(exist_ok=True)
        with self._locked(name):
            # Under the lock one writes at a time, so that one name is enough, and what is left of a crash is reused.
            self._write_beside(folder / ".half", _WORD.dump_json(word)).replace(path)
        sync_folder(folder, sync=self._sync)
        if is_new:
            sync_folder(self._root, sync=self._sync)

    def words(self, name: str) -> list[RunWord]:
        """Read the words, oldest first."""
        try:
            files = [file for file in self._words(name).iterdir() if file.suffix == ".json"]
        except FileNotFoundError:
            return []
        found = (self._word(file) for file in files)
        return sorted((word for word in found if word is not None), key=lambda word: (word.at, word.id))

    def drop(self, lease: Lease, word: RunWord) -> None:
        """Forget a word."""
        with self._locked(lease.run) as lease_file:
            self._require_held(lease_file, lease)
            self._word_path(lease.run, word.id).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            sync_folder(self._words(lease.run), sync=self._sync)

    def remove(self, lease: Lease) -> None:
        """Forget a run, its record first: what is left of a removal that was cut short belongs to no run."""
        with self._locked(lease.run) as lease_file:
            self._require_held(lease_file, lease)
            self._path(lease.run).unlink(missing_ok=True)
            shutil.rmtree(self._words(lease.run), ignore_errors=True)
            self._path(lease.run).with_suffix(".lease").unlink(missing_ok=True)
        sync_folder(self._root, sync=self._sync)

    def close(self) -> None:
        """Let go of nothing: no file stays open."""

    def _path(self, name: str) -> Path:
        if not _LABEL.fullmatch(name):
            raise PermanentError(
                f"Found the run name `{name}`; expected at most 63 lower-case letters, digits and dashes, beginning "
                "and ending with a letter or digit."
            )
        return self._root / f"{name}.json"

    def _words(self, name: str) -> Path:
        return self._path(name).with_suffix(".words")

    def _word_path(self, name: str, word_id: str) -> Path:
        if not _WORD_ID.fullmatch(word_id):
            raise PermanentError(f"Found the id `{word_id}` of a word; expected 1 to 64 letters, digits, `_` and `-`.")
        return self._words(name) / f"{word_id}.json"

    def _temporary(self, name: str, *, epoch: int) -> Path:
        return self._root / f".{name}.json.{epoch}"

    def _require_run(self, name: str) -> None:
        path = self._path(name)
        if not path.exists():
            raise PermanentError(f"Found no run named `{name}`; expected its record in `{path}`.")

    def _word(self, path: Path) -> RunWord | None:
        try:
            return _WORD.validate_json(path.read_bytes())
        except FileNotFoundError:
            return None  # dropped since it was listed
        except ValidationError as error:
            raise DamagedTaskRunError(f"Found no word in `{path}`; expected one. Remove the file.") from error

    def _write_beside(self, path: Path, content: bytes) -> Path:
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            self._sync(file.fileno())
        return path

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[int]:
        """Wait without limit: everything under it takes milliseconds, and the kernel frees a dead holder."""
        lease_file = os.open(self._path(name).with_suffix(".lease"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lease_file, fcntl.LOCK_EX)
            yield lease_file
        finally:
            os.close(lease_file)

    def _held(self, lease_file: int, name: str) -> _Held:
        text = os.pread(lease_file, _LEASE_BYTES, 0).rstrip()
        try:
            return _HELD.validate_json(text) if text else _Held()
        except ValidationError as error:
            path = self._path(name).with_suffix(".lease")
            raise DamagedTaskRunError(
                f"Who works on run `{name}` cannot be read from `{path}`. If no process works on it, remove the file."
            ) from error

    def _hold(self, lease_file: int, lease: Lease, *, now: datetime, for_s: float) -> None:
        until = now + timedelta(seconds=for_s)
        _write_lease(lease_file, _Held(epoch=lease.epoch, owner=lease.owner, renewed=now, until=until))

    def _require_held(self, lease_file: int, lease: Lease) -> None:
        held = self._held(lease_file, lease.run)
        if (held.epoch, held.owner) != (lease.epoch, lease.owner):
            now_owner = f"`{held.owner}`" if held.owner else "nobody"
            raise LeaseLostError(
                f"Run `{lease.run}` is held by {now_owner} in epoch {held.epoch}; expected epoch {lease.epoch}. "
                "Nothing was written: this process stops."
            )


def _write_lease(lease_file: int, held: _Held) -> None:
    os.pwrite(lease_file, _HELD.dump_json(held).ljust(_LEASE_BYTES - 1) + b"\n", 0)


def _text(run: TaskRun) -> bytes:
    return run.__pydantic_serializer__.to_json(run, by_alias=True) + b"\n"
