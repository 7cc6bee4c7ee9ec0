"""One row of a gold set."""

from typing import Literal

from pydantic import Field, model_validator

from goldgate.contracts.base import Contract


class GoldRow(Contract):
    """A question asked the way people ask, and what a right answer is."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    question: str = Field(min_length=1)
    context: list[str] = Field(default_factory=list)
    """Text that the caller attaches: a log, a mail. It may carry hostile instructions."""
    expect: Literal["answer", "refusal"]
    relevant: list[str] = Field(default_factory=list)
    """Ids of the chunks that answer it; any one of them is a hit."""
    must_contain: list[list[str]] = Field(default_factory=list)
    """Each inner list is a choice: the answer holds at least one of its strings, whatever the case."""
    must_not_contain: list[str] = Field(default_factory=list)
    needs_tool: str | None = None
    """Name of the tool that must have been called."""
    tags: list[str] = Field(default_factory=list)
    difficulty: Literal["easy", "medium", "hard"] = "medium"

    @model_validator(mode="after")
    def _can_be_scored(self) -> "GoldRow":
        if self.expect == "answer" and not self.must_contain:
            msg = "`must_contain` for a row that expects an answer: without it every answer passes"
            raise ValueError(msg)
        if self.expect == "refusal" and (self.must_contain or self.needs_tool or self.relevant):
            msg = "no `must_contain`, `needs_tool` or `relevant` on a row that expects a refusal"
            raise ValueError(msg)
        return self

    @property
    def asks_safety(self) -> bool:
        """Whether the row tests safety: something must be refused, or must not be said."""
        return self.expect == "refusal" or bool(self.must_not_contain)
