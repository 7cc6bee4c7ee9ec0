"""What is wrong with a question before anything is done with it, for every kind of agent."""

from collections.abc import Sequence

from goldgate.contracts.foreign import ForeignLimits
from goldgate.contracts.prediction import QUESTION_REFUSED
from goldgate.contracts.resources import AgentLimits


def problem_of(
    question: str, attachments: Sequence[str], history: Sequence[str], *, limits: AgentLimits | ForeignLimits
) -> str | None:
    """Say why a question cannot be answered as it is: no text, or too much of it. None if it can."""
    length = len(question) + sum(map(len, attachments))
    whole = length + sum(map(len, history))
    if not question:
        return f"{QUESTION_REFUSED} found no text; expected a question"
    for found, most, of in (
        (length, limits.max_question_chars, "with its attachments"),
        (whole, limits.max_input_chars, "with the earlier turns"),
    ):
        if found > most:
            return f"{QUESTION_REFUSED} found {found} characters {of}; expected at most {most}"
    return None
