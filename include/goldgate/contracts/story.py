"""`story.yaml`: releases of one agent as data, so that a demonstration can play them without knowing the agent."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from goldgate.contracts.base import Contract
from goldgate.contracts.resource_parts import Name, RelativePath

Outcome = Literal["promoted", "blocked", "aborted"]
"""How a release ends: it serves, the gates stop it, or the canary does."""


class LiveTraffic(Contract):
    """Requests that callers send through the router while releases run."""

    path: RelativePath
    """JSON-lines file of the folder: a `LiveQuestion` a line."""
    requests_per_second: float = Field(gt=0, le=1000)
    callers: int = Field(ge=1)
    """How many callers take turns. The router keeps each of them on one arm, so few callers split coarsely."""


class LiveQuestion(Contract):
    """One question of live traffic. What a right answer is, nobody knows there."""

    question: str = Field(min_length=1)
    context: list[str] = Field(default_factory=list)
    """Text that the caller attaches."""


class StoryRelease(Contract):
    """One release of the story."""

    name: Name
    reason: str = Field(min_length=1)
    """Why somebody would want it: what a person writes who opens the release."""
    patch: dict[str, JsonValue] = Field(default_factory=dict)
    """What is changed in the `spec` of the Agent document, as a merge patch; empty for the folder as it is."""
    expect: Outcome


class Story(Contract):
    """Releases in their order, and the traffic beside them."""

    version: Literal[1]
    live: LiveTraffic
    releases: Annotated[list[StoryRelease], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_differ(self) -> "Story":
        names = [release.name for release in self.releases]
        if len(set(names)) != len(names):
            msg = "`releases` with names that differ"
            raise ValueError(msg)
        return self


def merge_patch(target: JsonValue, patch: JsonValue) -> JsonValue:
    """Apply a merge patch and return the result; neither argument is changed.

    Objects are merged key by key, null removes a key, and anything else, lists included, replaces what was there.

    Source: RFC 7396, section 2.
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged
