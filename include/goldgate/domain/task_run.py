"""The phases of a TaskRun."""

import enum


class Phase(enum.Enum):
    """Where a TaskRun stands."""

    INITIALIZING = "Initializing"
    PENDING = "Pending"
    READY_FOR_LLM = "ReadyForLLM"
    TOOL_CALLS_PENDING = "ToolCallsPending"
    FINAL_ANSWER = "FinalAnswer"
    FAILED = "Failed"

    @property
    def is_terminal(self) -> bool:
        """A terminal run is never worked on again."""
        return self in {Phase.FINAL_ANSWER, Phase.FAILED}


class Status(enum.Enum):
    """How a TaskRun fares."""

    READY = "Ready"
    PENDING = "Pending"
    ERROR = "Error"
