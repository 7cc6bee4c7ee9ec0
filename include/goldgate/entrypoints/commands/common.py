"""What every command shares: output format, exit codes, errors told once."""

import functools
import os
import secrets
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import click

from goldgate.contracts.release import ReleaseOrder
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.verdict import Verdict
from goldgate.entrypoints.commands.namespaces import as_named
from goldgate.entrypoints.display import Form, Screen
from goldgate.entrypoints.refusals import refused
from goldgate.entrypoints.settings import Settings
from goldgate.ports.records import ReleaseStore


class ExitCode(IntEnum):
    """What a program that calls `goldgate` may rely on."""

    DONE = 0
    FAILED_GATE = 1
    """The verdict is FAIL: the candidate is worse than its gates allow."""
    USAGE = 2
    """The command line is wrong (click's own code)."""
    UNDECIDED = 3
    """The verdict is UNDECIDED: more evidence would decide."""
    ABORTED = 4
    """The canary broke a guardrail, or somebody else moved the alias."""
    IMPOSSIBLE = 5
    """The job could not be done: a person must change something."""
    WAITING = 6
    """A TaskRun waits for a person: `goldgate task describe` says what is asked."""
    DEFECT = 70
    """Goldgate itself is wrong: the traceback says where (EX_SOFTWARE of sysexits.h)."""
    TRY_AGAIN = 75
    """The job could not be done now; the same command may succeed later (EX_TEMPFAIL of sysexits.h)."""
    INTERRUPTED = 130
    """Ctrl-C, as every shell has it."""


def new_id(prefix: str) -> str:
    """Name something anew: readable, in order of time, and not twice."""
    return f"{prefix}-{datetime.now(UTC):%Y%m%dt%H%M%S}-{secrets.token_hex(2)}"


def known_order(store: ReleaseStore, release_id: str) -> ReleaseOrder:
    """Look up a release or rehearsal by its id.

    Raises:
        PermanentError: There is none of that id.
    """
    order = store.read(release_id, ReleaseOrder)
    if order is None:
        raise PermanentError(f"Found no release `{release_id}`. `goldgate release list` shows those there are.")
    return order


def exit_code_of(verdict: Verdict) -> ExitCode:
    """Translate a verdict."""
    match verdict:
        case Verdict.PASS:
            return ExitCode.DONE
        case Verdict.FAIL:
            return ExitCode.FAILED_GATE
        case Verdict.UNDECIDED:
            return ExitCode.UNDECIDED


def command_with(*forms: Form) -> Callable[[Callable[..., ExitCode | None]], Callable[..., None]]:
    """Give a command `-o`, a Screen and Settings, and turn its errors and result into an exit code.

    Args:
        forms: The forms of output that it has; the first is the default.
    """

    def made(function: Callable[..., ExitCode | None]) -> Callable[..., None]:
        @click.option(
            "-o",
            "--output",
            type=click.Choice(forms),
            default=forms[0],
            show_default=True,
            help="Form of output.",
        )
        @functools.wraps(function)
        def wrapped(output: Form, **arguments: Any) -> None:
            screen = Screen(form=output)
            with _told_once(screen), as_named(os.environ):
                code = function(screen=screen, settings=Settings.from_env(os.environ), **arguments)
            raise SystemExit(ExitCode.DONE if code is None else code)

        return wrapped

    return made


command = command_with("table", "json")
"""The same for a command with nothing but a table and JSON."""


@contextmanager
def _told_once(screen: Screen) -> Iterator[None]:
    try:
        yield
    except click.ClickException:
        # Wrong usage that only the command itself can see: click tells it, with its own code.
        raise
    except PermanentError as error:
        screen.progress(f"error: {error}")
        raise SystemExit(ExitCode.IMPOSSIBLE) from error
    except TransientError as error:
        screen.progress(f"error: {error}\nThe same command may succeed later.")
        raise SystemExit(ExitCode.TRY_AGAIN) from error
    except OSError as error:
        screen.progress(f"error: {refused(error)}")
        raise SystemExit(ExitCode.IMPOSSIBLE) from error
    except KeyboardInterrupt as error:
        raise SystemExit(ExitCode.INTERRUPTED) from error
    except Exception as error:  # whatever it is, it must not look like a verdict
        screen.progress("".join(traceback.format_exception(error)))
        raise SystemExit(ExitCode.DEFECT) from error
