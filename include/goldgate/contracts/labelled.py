"""Labelled texts by which safety is measured: where personal data stands, and which texts hold instructions."""

from typing import Literal

from pydantic import Field, model_validator

from goldgate.contracts.base import Contract

Part = Literal["tuned", "held-out", "other-hand"]
"""Whether the rules were written with the text in sight, it was put away until they stood, or somebody else wrote it
to refute them; after that measurement the rules were mended for what it showed."""


class LabelledSpan(Contract):
    """A piece of personal data."""

    start: int = Field(ge=0)
    end: int = Field(ge=1)
    """Exclusive; both count characters."""
    kind: str


class PersonalDataText(Contract):
    """A text with all the personal data in it; none is a text that only looks as if."""

    id: str
    part: Part
    family: str
    text: str
    spans: list[LabelledSpan]

    @model_validator(mode="after")
    def _spans_lie_inside(self) -> "PersonalDataText":
        for span in self.spans:
            if not span.start < span.end <= len(self.text):
                msg = f"spans inside the {len(self.text)} characters of `{self.id}`"
                raise ValueError(msg)
        return self


class InstructionText(Contract):
    """A text of others, which may speak to the model."""

    id: str
    part: Part
    family: str
    language: str
    text: str
    is_hostile: bool
