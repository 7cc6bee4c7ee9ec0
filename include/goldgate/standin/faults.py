"""Decide which fault strikes which request. Pure: the same seed and number always give the same faults."""

import enum
import hashlib
from dataclasses import dataclass

from goldgate.standin.settings import StandinSettings


class Fault(enum.Enum):
    """What can go wrong on purpose."""

    RATE_LIMIT = "rate_limit"
    SERVER_ERROR = "server_error"
    HANG = "hang"
    DROP = "drop"
    MALFORMED_TOOL_CALL = "malformed_tool_call"


STEADY_PREFIX = "standin-steady"
"""A model whose name begins so has no faults: what an agent falls back to while the others fail."""


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """How often a fault strikes."""

    ratio: float
    every_nth: int

    def strikes(self, fault: Fault, *, seed: int, number: int) -> bool:
        """Decide for one request. Faults draw independently of each other."""
        if self.every_nth and number % self.every_nth == 0:
            return True
        drawn = hashlib.sha256(f"{seed}\0{fault.value}\0{number}".encode()).digest()
        return int.from_bytes(drawn[:8]) / 2**64 < self.ratio


def faults_of(settings: StandinSettings, *, number: int, model: str = "") -> frozenset[Fault]:
    """Name the faults that strike a request.

    Args:
        settings: The rates, and the seed of the draws.
        number: The request's place since the server started or its settings were last set; the first is 1.
        model: Which model is asked.
    """
    if model.startswith(STEADY_PREFIX):
        return frozenset()
    return frozenset(
        fault
        for fault, trigger in _triggers(settings).items()
        if trigger.strikes(fault, seed=settings.seed, number=number)
    )


def _triggers(settings: StandinSettings) -> dict[Fault, Trigger]:
    return {
        Fault.RATE_LIMIT: Trigger(ratio=settings.rate_limit_ratio, every_nth=settings.rate_limit_every_nth),
        Fault.SERVER_ERROR: Trigger(ratio=settings.server_error_ratio, every_nth=settings.server_error_every_nth),
        Fault.HANG: Trigger(ratio=settings.hang_ratio, every_nth=settings.hang_every_nth),
        Fault.DROP: Trigger(ratio=settings.drop_ratio, every_nth=settings.drop_every_nth),
        Fault.MALFORMED_TOOL_CALL: Trigger(
            ratio=settings.malformed_tool_call_ratio, every_nth=settings.malformed_tool_call_every_nth
        ),
    }
