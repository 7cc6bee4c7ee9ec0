"""The only two bases of Goldgate's errors, named by what the caller does next.

A negative verdict is never an error: see `goldgate.domain.verdict`.
"""

from datetime import timedelta


class PermanentError(Exception):
    """Retrying cannot help; a person or a new candidate is needed."""


class TransientError(Exception):
    """The same call may succeed later."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        """Keep the wait that the other side asked for, if it named one."""
        super().__init__(message)
        self.retry_after = retry_after


def root_cause(error: BaseException) -> BaseException:
    """Find what began it: the innermost of the errors that an error was raised from or while handling."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def connection_problem(error: BaseException) -> str:
    """Say in one line what the system said of a connection, not how a client prints it."""
    root = root_cause(error)
    if isinstance(root, ConnectionRefusedError):
        return "it refused the connection. Look with `make status`."
    return first_line(root)


def first_line(error: BaseException) -> str:
    """Keep the first line of an error's text, and at most 300 characters of it."""
    return str(error).split("\n", 1)[0][:300]
