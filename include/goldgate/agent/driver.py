"""Works on TaskRuns: takes one, goes on where its record stands, and leaves it over, waiting, or to the next process.

```
create or find -> take the lease -> [validate] -> open the agent -> drive it, each step recorded -> give the lease back
```

Killed anywhere, a run is found in a state that says what may have been done; the machine of runs says how it goes on.
"""

import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from goldgate.agent.lease_keeper import LeaseKeeper
from goldgate.agent.recorded_delegate import cancel_sub_runs
from goldgate.agent.run_interruptions import Interruptions
from goldgate.agent.run_record import RunRecord
from goldgate.agent.run_work import RunParts, RunWork, has_work
from goldgate.contracts.run_mapping import state_of
from goldgate.contracts.task_runs import RunProgress, TaskRun, TaskRunStatus
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.state import RunState


@dataclass(frozen=True, kw_only=True)
class TaskRunDriver(RunParts):
    """Works on runs, one at a time for each thread."""

    owner: str
    """Names this piece of work of this process, so that others can tell when it is dead."""
    above: Callable[[], None] = lambda: None
    """Raises if whoever asked for these runs may not go on."""
    new_id: Callable[[int], str] = secrets.token_hex
    trace_id: str | None = None
    """Of new runs. None: each has its own."""

    def run(self, run: TaskRun) -> TaskRun:
        """Create a run, or find it, and work on it as far as it goes now.

        Returns:
            The run: over, waiting for a person or an agent, or interrupted because this process is to end.

        Raises:
            PermanentError: Another run has that name, or its record is damaged.
            LeaseLostError: Another process took the run over. It was not written any more.
            RunHeldError: Another process works on it.
        """
        return self.go_on(self.store.create(run.model_copy(update={"status": TaskRunStatus()})).metadata.name)

    def go_on(self, name: str) -> TaskRun:
        """Work on a run that was created before; see `run`. One that is over, or waits in vain, is left as it is."""
        while True:
            found = self._read(name)
            if not has_work(found, store=self.store, clock=self.clock):
                return found
            found = self._take_up(name)
            if self.stop.is_set() or not state_of(found.status).is_waiting_for_a_person:
                return found
            # Once more round: a word that came between the last look and the lease's end would otherwise lie there.

    def _take_up(self, name: str) -> TaskRun:
        """Work on a run as far as it goes now; gives it as it was recorded."""
        lease = self.store.take(name, owner=self.owner, for_s=self.lease_s)
        keeper = LeaseKeeper(
            self.store, lease, for_s=self.lease_s, clock=self.clock, above=self.above, every_s=self.renew_every_s
        )
        with ExitStack() as after, keeper:
            run = named(self._read(name), new_id=self.new_id, trace_id=self.trace_id)
            if run.status.phase.is_terminal:
                return run
            record = RunRecord(
                run, store=self.store, lease=lease, clock=self.clock, before_failure=self._cancels_sub_runs_of(name)
            )
            interruptions = Interruptions(
                record=record,
                store=self.store,
                keeper=keeper,
                clock=self.clock,
                stop=self.stop,
                listen_every_s=self.listen_every_s,
            )
            below = replace(self, above=keeper.check, trace_id=run.status.trace_id)
            work = RunWork(parts=self, record=record, interruptions=interruptions, run_below=below.run)
            after.callback(work.close)
            work.do()
            return record.run

    def _cancels_sub_runs_of(self, name: str) -> Callable[[RunState], None]:
        return lambda state: cancel_sub_runs(state, self.store, clock=self.clock, by=f"run {name}")

    def _read(self, name: str) -> TaskRun:
        if (found := self.store.read(name)) is None:
            raise PermanentError(f"Found no run named `{name}`; expected one. See `goldgate task get`.")
        return found


def named(run: TaskRun, *, new_id: Callable[[int], str] = secrets.token_hex, trace_id: str | None = None) -> TaskRun:
    """Give a run that nobody has begun the ids that it then keeps for ever. Whoever records it first does so.

    Args:
        run: As it was read.
        new_id: Makes an id of so many bytes.
        trace_id: Of whoever asked for it. None: it has its own.
    """
    if run.status.start_time is not None or run.status.phase.is_terminal:
        return run
    run_id = f"{run.metadata.name}-{new_id(4)}"
    ids = {
        "trace_id": trace_id or new_id(16),
        "span_id": new_id(8),
        "progress": RunProgress(run_id=run_id),
    }
    return run.model_copy(update={"status": run.status.model_copy(update=ids)})
