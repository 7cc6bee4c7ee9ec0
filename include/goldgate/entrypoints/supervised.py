"""Start one program of the stack in a clean place: `python -m goldgate.entrypoints.supervised COMMAND...`.

A program that was killed leaves its children: MLflow's worker keeps the port, the scheduler's workers go on with tasks
that the next scheduler starts again. The supervisor knows only the process that it started. So what an earlier life of
the same program left is ended first; then this process becomes the command.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from goldgate.adapters.local_processes import end_processes, processes_below, processes_with, unmarked_processes_in
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.local_programs import MARKER

NAME: Final = "SUPERVISOR_PROCESS_NAME"
"""Set by supervisord for every process that it starts; inherited by their children."""

_END_WITHIN_S: Final = 3.0


def end_earlier_life(env: Mapping[str, str], *, supervisor: int) -> list[int]:
    """End the processes of this stack that carry this program's name, except this one.

    The scheduler's workers carry no name. One that is not below the supervisor has lost its parent, and is ended too.

    Args:
        env: What this process was started with.
        supervisor: The process that everything alive of this stack descends from.

    Returns:
        Those that were ended.

    Raises:
        PermanentError: One of them does not end, or this process was not started by the stack's supervisor.
    """
    if MARKER not in env or NAME not in env:
        raise PermanentError(f"Found no {MARKER} or no {NAME}; expected to be started by the stack's supervisor.")
    found = processes_with({MARKER: env[MARKER], NAME: env[NAME]})
    orphans = set(unmarked_processes_in(Path(env[MARKER]))) - processes_below(supervisor)
    earlier = [pid for pid in sorted({*found, *orphans}) if pid != os.getpid()]
    left = end_processes(earlier, within_s=_END_WITHIN_S)
    if left:
        raise PermanentError(f"Processes {left} of an earlier `{env[NAME]}` do not end.")
    return earlier


def main(argv: Sequence[str] | None = None) -> int:
    """Become the command; 1 if the place could not be made clean."""
    command = list(sys.argv[1:] if argv is None else argv)
    try:
        for pid in end_earlier_life(os.environ, supervisor=os.getppid()):
            print(f"supervised: ended process {pid} of an earlier life", file=sys.stderr, flush=True)  # noqa: T201 - a log
    except PermanentError as error:
        print(f"supervised: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 1
    return os.execv(command[0], command)  # noqa: S606 - the command of our own configuration


if __name__ == "__main__":
    sys.exit(main())
