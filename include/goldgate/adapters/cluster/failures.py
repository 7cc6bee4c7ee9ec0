"""What an API server's refusals mean for the caller, and how long a request is tried again.

An API server restarts, is overloaded, or is cut off for a while; whoever works through it must not end with that. Just
after it began it also refuses what it allows a moment later: it serves before it has read the roles and the resources
(seen for 0.1 s on an idle machine), so refusals are asked once more, for a short time.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import httpx2
from lightkube.core.exceptions import ApiError, ConfigError

from goldgate.domain.errors import PermanentError, TransientError, first_line, root_cause

T = TypeVar("T")

_PASSING: Final = frozenset({408, 410, 429, 500, 502, 503, 504})
"""410: the rest of a list is no longer known; it is listed anew."""
_JUST_STARTED: Final = frozenset({401, 403, 404})
_UNKNOWN_STATUS: Final = 401
_FORBIDDEN_STATUS: Final = 403
_TOO_LARGE: Final = 413
_DENIED: Final = re.compile("ValidatingAdmissionPolicy '[^']*' with binding '[^']*' denied request: (.+)")
_MOST_SAID: Final = 1000

MISSING_STATUS: Final = 404
TAKEN_STATUS: Final = 409
INVALID_STATUS: Final = 422

FAILURES: Final = (httpx2.HTTPError, ConfigError)
"""What lightkube raises when it got no answer, or a refusal, or found no token to ask with."""


def status_code(error: BaseException) -> int | None:
    """Tell how the API server refused; None if no answer came at all."""
    return error.response.status_code if isinstance(error, httpx2.HTTPStatusError) else None


def is_absent(error: BaseException) -> bool:
    """Whether the API server says that there is no such object. It knows the kind, and can be believed."""
    return isinstance(error, ApiError) and status_code(error) == MISSING_STATUS


def is_too_large(error: BaseException) -> bool:
    """Whether the object is more than etcd or the API server takes. The former calls it a fault of its own: 500."""
    return status_code(error) == _TOO_LARGE or "too large" in str(error)


def is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed later: no connection, no answer, overload, a fault of the server."""
    if isinstance(error, httpx2.TransportError):
        return not isinstance(error, httpx2.UnsupportedProtocol)
    return status_code(error) in _PASSING and not is_too_large(error)


def denial(error: Exception) -> str | None:
    """Tell what an admission policy said, which has its own advice; None if none refused."""
    if status_code(error) != _FORBIDDEN_STATUS:
        return None
    said = _DENIED.search(str(error))
    return said[1][:_MOST_SAID].rstrip(".") if said else None


def _unreached(error: Exception) -> str:
    root = root_cause(error)
    return "it refused the connection" if isinstance(root, ConnectionRefusedError) else first_line(root).rstrip(".")


def refusal(error: Exception, *, doing: str) -> PermanentError | TransientError:
    """Say in Goldgate's words why a request failed.

    Args:
        error: What lightkube raised.
        doing: What was wanted, as the rest of a sentence: `read TaskRun a`.
    """
    code = status_code(error)
    if is_passing(error):
        why = _unreached(error) if code is None else f"it answered {code}: {first_line(error)}"
        return TransientError(f"The API server could not {doing}: {why or type(error).__name__}. Try again later.")
    if is_too_large(error):
        return PermanentError(
            f"The API server would not {doing}: it is too large for one object ({first_line(error)}). Make it smaller."
        )
    if code == MISSING_STATUS and not is_absent(error):
        return PermanentError(
            f"The API server would not {doing}: it does not know that kind. Expected the resources of Goldgate; apply "
            "them with `kubectl apply -k include/deploy/crds`."
        )
    if code == _UNKNOWN_STATUS:
        # Another process, such as the next pod, comes with another token: no reason to give up what was begun.
        return TransientError(
            f"The API server would not {doing}: it does not know who asks ({first_line(error)}). The token or "
            "certificate has expired, or is not of this cluster. Try again with a new one."
        )
    denied = denial(error)
    advice = ". Give this account that right." if code == _FORBIDDEN_STATUS and denied is None else ""
    return PermanentError(f"The API server would not {doing}: {denied or first_line(error)}{advice}")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a request is tried again while the API server restarts or is overloaded."""

    within_s: float = 60.0
    """A restart takes some 30 s on a loaded control plane: a run that is under way outlives that."""
    refused_within_s: float = 3.0
    """For refusals that a server which just began takes back: since the first attempt, or since it was last away."""
    first_pause_s: float = 0.1
    longest_pause_s: float = 2.0
    monotonic_s: Callable[[], float] = time.monotonic
    sleep_s: Callable[[float], None] = time.sleep

    def attempts(self) -> "Attempts":
        """Begin to count the time of one request."""
        return Attempts(self)

    def ask(self, request: Callable[[], T]) -> T:
        """Send a request until it is answered. It must be one that may arrive twice.

        Raises:
            httpx2.HTTPError: As lightkube raised it last.
        """
        attempts = self.attempts()
        while True:
            try:
                return request()
            except httpx2.HTTPError as error:
                if not attempts.may_go_on(error):
                    raise


class Attempts:
    """The attempts of one request."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._began_s = self._back_s = patience.monotonic_s()
        self._pause_s = patience.first_pause_s
        self.lost_an_answer = False
        """A request may have been carried out without that we know."""

    def may_go_on(self, error: BaseException) -> bool:
        """Wait before the next attempt, if there is to be one."""
        patience = self._patience
        if is_passing(error):
            self.lost_an_answer = True
            may_go_on = self.paused(at_least_s=_asked_to_wait_s(error, longest_s=patience.longest_pause_s))
            self._back_s = patience.monotonic_s()
            return may_go_on
        if status_code(error) in _JUST_STARTED and not is_absent(error):
            self._pause_s = min(self._pause_s, patience.refused_within_s / 4)
            return self._is_left(patience.refused_within_s, since_s=self._back_s) and self.paused()
        return False

    def paused(self, *, at_least_s: float = 0.0) -> bool:
        """Wait before the next attempt, unless the time is over."""
        patience = self._patience
        pause_s = max(self._pause_s, at_least_s)
        if not self._is_left(patience.within_s, since_s=self._began_s, pause_s=pause_s):
            return False
        patience.sleep_s(pause_s)
        self._pause_s = min(self._pause_s * 1.5, patience.longest_pause_s)
        return True

    def _is_left(self, within_s: float, *, since_s: float, pause_s: float | None = None) -> bool:
        """Whether the next attempt comes in time."""
        pause_s = self._pause_s if pause_s is None else pause_s
        return self._patience.monotonic_s() - since_s + pause_s < within_s


def _asked_to_wait_s(error: BaseException, *, longest_s: float) -> float:
    if not isinstance(error, httpx2.HTTPStatusError):
        return 0.0
    asked = error.response.headers.get("Retry-After", "")
    return min(float(asked), longest_s) if asked.isdecimal() else 0.0
