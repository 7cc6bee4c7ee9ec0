"""What can be wrong with the answer of a chat endpoint, and what follows from it."""

import enum
import re

_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|maximum (?:context|prompt|input)|prompt is too long|input is too long|"
    r"too many (?:input )?tokens|token count .{0,40}exceeds|reduce the length",
    re.IGNORECASE,
)
_FILTER_CODES = frozenset({"content_filter", "content_policy_violation", "responsibleaipolicyviolation"})
_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})


class Trouble(enum.Enum):
    """Why a model gave no answer."""

    CONNECTION = "connection"
    """Nobody was reached, or the connection broke."""
    TIMEOUT = "timeout"
    """It had all the time that its resource allows."""
    OUT_OF_TIME = "out_of_time"
    """The caller's own time ended first: this says little about the endpoint."""
    RATE_LIMIT = "rate_limit"
    SERVER = "server"
    """It failed, or is overloaded: statuses 408, 409 and 5xx."""
    GARBLED = "garbled"
    """What came is cut off or is no JSON, though it was meant to be."""
    BREAKER = "breaker"
    """It was not asked: it failed too often, and is left alone for a while."""
    QUOTA = "quota"
    """The account has no money left: no wait cures that."""
    CONTEXT_LENGTH = "context_length"
    """The request is longer than the model, the endpoint or the resource takes."""
    TOO_LARGE = "too_large"
    """The response is longer than the resource allows."""
    CONTENT_FILTER = "content_filter"
    UNAUTHORIZED = "unauthorized"
    """The key is wrong, or may not do this."""
    NOT_FOUND = "not_found"
    """No such address, or no such model."""
    REDIRECT = "redirect"
    NO_COMPLETION = "no_completion"
    """A proper answer that is no chat completion: most often of another server."""
    BAD_REQUEST = "bad_request"

    @property
    def may_pass(self) -> bool:
        """The same request may succeed later."""
        return self in _PASSING

    @property
    def is_of_the_endpoint(self) -> bool:
        """It speaks against the endpoint, and not against what was asked or how long one could wait."""
        return self in _PASSING - {Trouble.OUT_OF_TIME, Trouble.BREAKER}

    @property
    def may_heal_by_shortening(self) -> bool:
        """A shorter prompt to the same model may be answered."""
        return self not in _DEAF_TO_LENGTH


_PASSING = frozenset(
    {
        Trouble.CONNECTION,
        Trouble.TIMEOUT,
        Trouble.OUT_OF_TIME,
        Trouble.RATE_LIMIT,
        Trouble.SERVER,
        Trouble.GARBLED,
        Trouble.BREAKER,
    }
)
_DEAF_TO_LENGTH = frozenset(
    {
        Trouble.QUOTA,
        Trouble.UNAUTHORIZED,
        Trouble.NOT_FOUND,
        Trouble.REDIRECT,
        Trouble.CONTENT_FILTER,
        Trouble.CONNECTION,
        Trouble.BREAKER,
    }
)
_BY_STATUS = {
    401: Trouble.UNAUTHORIZED,
    402: Trouble.QUOTA,
    403: Trouble.UNAUTHORIZED,
    404: Trouble.NOT_FOUND,
    408: Trouble.SERVER,
    409: Trouble.SERVER,
    413: Trouble.CONTEXT_LENGTH,
    429: Trouble.RATE_LIMIT,
}
_BY_CODE = {
    "rate_limit_error": Trouble.RATE_LIMIT,
    "rate_limit_exceeded": Trouble.RATE_LIMIT,
    "rate_limited": Trouble.RATE_LIMIT,
    "overloaded_error": Trouble.SERVER,
    "server_error": Trouble.SERVER,
}
"""For errors that come without a status of their own."""


def classify(status: int, *, codes: frozenset[str] = frozenset(), message: str = "") -> Trouble:
    """Say what an error answer means.

    Args:
        status: Of HTTP; of an error inside an answer with status 200, the number it names, else 0.
        codes: What stands in `code` and `type` of the error, lower case.
        message: Its text.
    """
    if (named := _by_code(codes, is_last_word=status == 0)) is not None:
        return named
    if (known := _BY_STATUS.get(status)) is not None:
        return known
    if status >= 500:  # noqa: PLR2004 - of HTTP
        return Trouble.SERVER
    if 300 <= status < 400:  # noqa: PLR2004 - of HTTP
        return Trouble.REDIRECT
    return Trouble.CONTEXT_LENGTH if _TOO_LONG.search(message) else Trouble.BAD_REQUEST


def _by_code(codes: frozenset[str], *, is_last_word: bool) -> Trouble | None:
    """Read codes that say more than any status; the others only where there is no status."""
    if codes & _FILTER_CODES:
        return Trouble.CONTENT_FILTER
    if codes & _QUOTA_CODES:
        return Trouble.QUOTA
    if "context_length_exceeded" in codes:
        return Trouble.CONTEXT_LENGTH
    return next((_BY_CODE[code] for code in sorted(codes) if code in _BY_CODE), None) if is_last_word else None
