"""The loop of `agent_loop.py` with other runtimes, each as its own documentation shows it. Runs in the peers' venv."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SYSTEM = "You add numbers with the tool."
QUESTION = "Add one to every number from 0 to 9."
MODEL_CALLS, TOOL_CALLS = 11, 10


@dataclass(frozen=True, kw_only=True)
class Loop:
    """How one run is made. Only `run` is timed."""

    run: Callable[[], object]
    prepare: Callable[[], object] = lambda: None
    stored: Callable[[], int] = lambda: 0
    """How many bytes the run left on disk."""


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def size(path: Path) -> int:
    """Bytes of a database, with what it has not merged yet."""
    return sum(part.stat().st_size for part in path.parent.glob(f"{path.name}*"))


def openai_agents(url: str, folder: Path, *, is_stored: bool = False) -> Loop:
    """OpenAI Agents, its tracing off."""
    from openai import AsyncOpenAI  # noqa: PLC0415 - as above

    from agents import (  # noqa: PLC0415 - each contender pays for its own
        Agent,
        OpenAIChatCompletionsModel,
        Runner,
        SQLiteSession,
        function_tool,
        set_tracing_disabled,
    )

    set_tracing_disabled(disabled=True)
    client = AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
    model = OpenAIChatCompletionsModel(model="m", openai_client=client)
    agent = Agent(name="adder", instructions=SYSTEM, model=model, tools=[function_tool(add)])
    sessions: list[SQLiteSession] = []

    def prepare() -> None:
        if is_stored:
            sessions.append(SQLiteSession("adder", str(folder / f"{len(sessions)}.db")))

    def run() -> None:
        done = Runner.run_sync(agent, QUESTION, max_turns=20, session=sessions[-1] if is_stored else None)
        assert done.final_output == "Done."
        assert len(done.raw_responses) == MODEL_CALLS

    def stored() -> int:
        return size(folder / f"{len(sessions) - 1}.db") if is_stored else 0

    return Loop(run=run, prepare=prepare, stored=stored)


def openai_agents_sqlite(url: str, folder: Path) -> Loop:
    """With its SQLite session, one file a run."""
    return openai_agents(url, folder, is_stored=True)


def langgraph(url: str, folder: Path, *, durability: str | None = None) -> Loop:
    """LangGraph's prebuilt agent; `durability` as it names it, None for no checkpoints."""
    import sqlite3  # noqa: PLC0415 - as above
    import warnings  # noqa: PLC0415 - as above

    from langchain_openai import ChatOpenAI  # noqa: PLC0415 - as above
    from langgraph.checkpoint.sqlite import SqliteSaver  # noqa: PLC0415 - as above
    from langgraph.prebuilt import create_react_agent  # noqa: PLC0415 - as above

    warnings.simplefilter("ignore")
    model = ChatOpenAI(model="m", base_url=url, api_key="none", max_retries=0, use_responses_api=False)
    graphs = [create_react_agent(model, [add], prompt=SYSTEM)]
    connections: list[sqlite3.Connection] = []

    def prepare() -> None:
        if durability is not None:
            connections.append(sqlite3.connect(folder / f"{len(connections)}.db", check_same_thread=False))
            saver = SqliteSaver(connections[-1])
            saver.setup()
            graphs.append(create_react_agent(model, [add], prompt=SYSTEM, checkpointer=saver))

    def run() -> None:
        config = {"recursion_limit": 50, "configurable": {"thread_id": "adder"}}
        how = {} if durability is None else {"durability": durability}
        done = graphs[-1].invoke({"messages": [("user", QUESTION)]}, config, **how)
        assert done["messages"][-1].content == "Done."
        assert len(done["messages"]) == MODEL_CALLS + TOOL_CALLS + 1

    def stored() -> int:
        if durability is None:
            return 0
        connections[-1].close()
        return size(folder / f"{len(connections) - 1}.db")

    return Loop(run=run, prepare=prepare, stored=stored)


def langgraph_sqlite(url: str, folder: Path) -> Loop:
    """With SQLite checkpoints as they are by default: written while the next step runs."""
    return langgraph(url, folder, durability="async")


def langgraph_sqlite_sync(url: str, folder: Path) -> Loop:
    """With SQLite checkpoints that are written before the next step."""
    return langgraph(url, folder, durability="sync")


def pydantic_ai(url: str, folder: Path) -> Loop:
    """Pydantic AI, which stores nothing."""
    del folder
    from pydantic_ai import Agent  # noqa: PLC0415 - as above
    from pydantic_ai.models.openai import OpenAIChatModel  # noqa: PLC0415 - as above
    from pydantic_ai.providers.openai import OpenAIProvider  # noqa: PLC0415 - as above

    model = OpenAIChatModel("m", provider=OpenAIProvider(base_url=url, api_key="none"))
    agent = Agent(model, instructions=SYSTEM, tools=[add])

    def run() -> None:
        done = agent.run_sync(QUESTION)
        assert done.output == "Done."
        assert len(done.all_messages()) == 2 * MODEL_CALLS

    return Loop(run=run)


def main() -> None:
    """Run the loop for every line read."""
    name, url, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    contenders = (
        openai_agents,
        openai_agents_sqlite,
        langgraph,
        langgraph_sqlite,
        langgraph_sqlite_sync,
        pydantic_ai,
    )
    loop = {each.__name__: each for each in contenders}[name](url, folder)
    for _ in sys.stdin:
        loop.prepare()
        began = time.perf_counter()
        loop.run()
        elapsed_ms = (time.perf_counter() - began) * 1000
        print(json.dumps({"elapsed_ms": elapsed_ms, "stored_bytes": loop.stored()}), flush=True)


if __name__ == "__main__":
    main()
