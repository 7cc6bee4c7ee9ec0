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
