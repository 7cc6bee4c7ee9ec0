"""The model registry: which versions exist, and which one serves."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A registered version of an agent."""

    agent: str
    version: str
    bundle_digest: str
    release_id: str
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class CanaryTraffic:
    """A version on trial. Without renewal it ends by itself at `until`."""

    version: str
    ratio: float
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Who serves an agent now. The registry is the only place where this is decided."""

    agent: str
    champion: str | None
    canary: CanaryTraffic | None


@dataclass(frozen=True, kw_only=True)
class AliasMoved:
    """The alias names the new version."""

    previous: str | None


@dataclass(frozen=True, kw_only=True)
class AliasSuperseded:
    """Somebody else had moved the alias; nothing was changed."""

    found: str | None


class Registry(Protocol):
    """Versions, aliases and canary traffic of agents.

    Every method raises `TransientError` if the registry cannot be reached, and `PermanentError` if it
    refuses (an unknown version, no permission).
    """

    def register(self, *, agent: str, model_uri: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
        """Make a version of a logged model. Called again for the same `release_id` tag, it returns the first."""

    def version(self, agent: str, version: str) -> ModelVersion:
        """Look one version up."""

    def agents(self) -> list[str]:
        """Name every agent that was ever registered, in any order."""

    def traffic(self, agent: str) -> Traffic:
        """Read who serves the agent, in one look. No champion if the agent was never registered."""

    def move_champion(self, agent: str, *, to: str, expected: str | None) -> AliasMoved | AliasSuperseded:
        """Compare and set the alias `champion`. `expected` None: there must be no champion yet."""

    def set_canary(self, agent: str, canary: CanaryTraffic | None) -> None:
        """Send a share of traffic to a version, renew it, or (None) end it."""

    def fetch_bundle(self, agent: str, version: str, *, into: Path) -> Path:
        """Download the frozen agent folder of a version into a new folder below `into`, and check its digest.

        Returns the folder. A folder that is there already, whole, is returned as it is; a damaged one is set aside.
        """
