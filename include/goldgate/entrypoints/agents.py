"""Load bundles to answer."""

import secrets
import time
from collections.abc import Mapping
from pathlib import Path

from goldgate.adapters.json_schema import compile_schema
from goldgate.agent.bundle import verify_bundle
from goldgate.agent.equipment import Equipment
from goldgate.agent.folder import read_agent
from goldgate.agent.foreign.folder import kind_of
from goldgate.agent.memory.corpus import CORPUS_FILE, read_chunks
from goldgate.agent.runtime import AgentRuntime
from goldgate.agent.tools.pins import read_pins
from goldgate.agent.tools.toolbox import Toolbox
from goldgate.agent.trace import NoSink
from goldgate.entrypoints.foreign import load_foreign
from goldgate.entrypoints.identifier_parts import identifier_books
from goldgate.entrypoints.knowledge_parts import open_knowledge
from goldgate.entrypoints.model_parts import open_model
from goldgate.entrypoints.tool_parts import LateToolSession
from goldgate.ports.agents import Agent
from goldgate.ports.traces import SpanSink


def load_agent(bundle: Path, *, env: Mapping[str, str], sink: SpanSink | None = None) -> Agent:
    """Make a bundle answer, and the agents inside it that it may ask. Tool servers start when a tool is first called.

    Args:
        bundle: The frozen agent.
        env: What its resources refer to.
        sink: Where its spans go; None: nowhere.

    Raises:
        PermanentError: A file of the bundle is not what was frozen, or a variable that the agent names is not set.
        ContractError: The bundle was frozen under other contracts.
        TransientError: The endpoint that embeds its passages could not be reached.
    """
    if kind_of(bundle) != "declared":
        return load_foreign(bundle, env=env, sink=sink)
    digest = verify_bundle(bundle)
    agent = read_agent(bundle)
    knowledge = open_knowledge(agent.agent.spec.retrieval, chunks=read_chunks(bundle / CORPUS_FILE), env=env)
    model = open_model(agent, env=env)
    sessions = {server.metadata.name: LateToolSession(server, folder=bundle, env=env) for server in agent.servers}
    toolbox = Toolbox(read_pins(bundle), spec=agent.agent.spec, sessions=sessions, compile_schema=compile_schema)
    agents = {
        grant.agent: load_agent(bundle / "agents" / grant.agent, env=env, sink=sink)
        for grant in agent.agent.spec.agents
    }
    equipment = Equipment(
        folder=agent,
        knowledge=knowledge,
        model=model,
        toolbox=toolbox,
        stopwatch=time.perf_counter,
        new_id=secrets.token_hex,
        sink=sink or NoSink(),
        agents=agents,
        books=identifier_books(),
        digest=digest,
    )
    return AgentRuntime(equipment, release=model.close)
