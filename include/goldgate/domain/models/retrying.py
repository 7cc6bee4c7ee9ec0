"""When a call that failed is made again."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 8.0
"""The bound of a wait doubles from the first to the longest."""

LONGEST_ASKED_S = 60.0
"""An endpoint that asks for more is not waited for inside a call: whoever asked may try elsewhere meanwhile."""

LONGEST_TOLD_S = 3600.0
"""What an endpoint asked for is handed on up to here: a year, or a clock that is wrong, stops nobody."""


def next_wait_s(attempt: int, *, asked_s: float | None, drawn: float, left_s: float) -> float | None:
    """Say how long to wait before the next attempt; None if there is to be none.

    Without a word of the endpoint the wait is drawn between nothing and a bound that doubles ("full jitter"), so that
    callers who failed together do not come back together.

    Args:
        attempt: How many were made before the one that failed.
        asked_s: What the endpoint asked for. It is kept exactly.
        drawn: A number drawn from 0 to 1.
        left_s: Time left for the whole call.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    # An exponent beyond the bound would only overflow.
    bound_s = min(FIRST_WAIT_S * 2 ** min(attempt, 32), LONGEST_WAIT_S)
    wait_s = asked_s if asked_s is not None else drawn * bound_s
    return None if wait_s > LONGEST_ASKED_S or wait_s >= left_s else wait_s


def asked_wait_s(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Read how long an endpoint asks to wait, at most an hour; None if it does not, or not in a way that is known.

    Args:
        headers: Names in lower case. `retry-after-ms` goes before `Retry-After`, which holds seconds or an HTTP date.
        now: With its time zone.

    Source: RFC 9110, section 10.2.3; `retry-after-ms` is OpenAI's.
    """
    after = headers.get("retry-after", "")
    for text, divisor in ((headers.get("retry-after-ms", ""), 1000), (after, 1)):
        try:
            seconds = float(text) / divisor
        except ValueError:
            continue
        if seconds >= 0 and math.isfinite(seconds):
            return min(seconds, LONGEST_TOLD_S)
    try:
        moment = parsedate_to_datetime(after)
    except (ValueError, IndexError, OverflowError):
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), LONGEST_TOLD_S)
