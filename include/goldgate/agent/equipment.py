"""What an agent works with, shared by all its requests."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from goldgate.agent.folder import AgentFolder
from goldgate.agent.memory.knowledge import Knowledge
from goldgate.agent.tools.toolbox import Toolbox
from goldgate.agent.trace import NewId, NoSink, Stopwatch
from goldgate.ports.agents import Agent
from goldgate.ports.identifiers import IdentifierBooks
from goldgate.ports.model import ChatModel
from goldgate.ports.traces import SpanSink


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """What an agent works with: shared by all its requests."""

    folder: AgentFolder
    knowledge: Knowledge
    model: ChatModel
    toolbox: Toolbox
    stopwatch: Stopwatch
    new_id: NewId
    now_ns: Callable[[], int] = time.time_ns
    sink: SpanSink = field(default_factory=NoSink)
    agents: Mapping[str, Agent] = field(default_factory=dict)
    """The agents that this one may ask, by name."""
    books: IdentifierBooks | None = None
    """What personal numbers are checked by. None: only those with a check of our own are found."""
    digest: str = ""
    """Of the bundle, verified when it was loaded. Empty for an agent that is no bundle."""
