"""The loop of `agent_loop.py` with the bare client, with Goldgate in memory, and with Goldgate and durable records."""

import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ADD_SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}
SYSTEM = "You add numbers with the tool."
QUESTION = "Add one to every number from 0 to 9."
RESOURCES = """\
apiVersion: goldgate.dev/v1alpha1
kind: LLM
metadata: {name: model}
spec: {model: m, baseUrlFrom: {env: LOOP_MODEL_URL}, free: true}
---
apiVersion: goldgate.dev/v1alpha1
kind: MCPServer
metadata: {name: calc}
spec: {command: python, args: [none.py]}
---
apiVersion: goldgate.dev/v1alpha1
kind: Agent
metadata: {name: adder}
spec:
  description: Adds.
  llm: model
  prompts: {system: system.md, user: user.md}
  tools: TOOLS
  limits: {maxSteps: 20}
"""


@dataclass(frozen=True, kw_only=True)
class Loop:
    """How one run is made. Only `run` is timed."""

    run: Callable[[], object]
    prepare: Callable[[], object] = lambda: None
    stored: Callable[[], int] = lambda: 0
    """How many bytes the run left on disk."""


def bare_openai(url: str, folder: Path) -> Loop:
    """The official client in a loop: the least that anything built on it can take."""
    del folder
    import openai  # noqa: PLC0415 - each contender pays for its own

    client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
    function = {"name": "add", "description": "Add two numbers.", "parameters": ADD_SCHEMA}

    def run() -> None:
        messages: list[object] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
        while True:
            done = client.chat.completions.create(
                model="m",
                messages=messages,  # type: ignore[arg-type]
                tools=[{"type": "function", "function": function}],  # type: ignore[list-item]
            )
            message = done.choices[0].message
            messages.append(message.model_dump(exclude_none=True))
            if not message.tool_calls:
                assert len(messages) == 23  # noqa: PLR2004 - two, ten pairs, the answer
                return
            for call in message.tool_calls:
                given = json.loads(call.function.arguments)  # type: ignore[union-attr]
                result = str(given["a"] + given["b"])
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})

    return Loop(run=run)


def write_agent(folder: Path, *, tools: str) -> Path:
    """Write the agent's folder."""
    folder.mkdir(parents=True)
    (folder / "agent.yaml").write_text(RESOURCES.replace("TOOLS", tools), encoding="utf-8")
    (folder / "system.md").write_text(SYSTEM, encoding="utf-8")
    (folder / "user.md").write_text("{context}{question}", encoding="utf-8")
    return folder


def equipment(url: str, folder: Path) -> object:
    """What the agent works with: all real but the tool server, which is this process, as the peers' tools are."""
    from pydantic import JsonValue  # noqa: PLC0415 - as above

    from goldgate.adapters.json_schema import compile_schema  # noqa: PLC0415 - as above
    from goldgate.agent.equipment import Equipment  # noqa: PLC0415 - as above
    from goldgate.agent.folder import read_agent  # noqa: PLC0415 - as above
    from goldgate.agent.tools.pins import pin  # noqa: PLC0415 - as above
    from goldgate.agent.tools.toolbox import Toolbox  # noqa: PLC0415 - as above
    from goldgate.entrypoints.knowledge_parts import open_knowledge  # noqa: PLC0415 - as above
    from goldgate.entrypoints.model_parts import open_model  # noqa: PLC0415 - as above
    from goldgate.ports.model import ToolDefinition  # noqa: PLC0415 - as above
    from goldgate.ports.tools import ToolResult  # noqa: PLC0415 - as above

    definition = ToolDefinition(name="add", description="Add two numbers.", input_schema=dict(ADD_SCHEMA))  # type: ignore[arg-type]

    class Adder:
        def definitions(self, *, within_s: float = 30) -> Sequence[ToolDefinition]:
            del within_s
            return [definition]

        def call(self, name: str, arguments: Mapping[str, JsonValue], *, within_s: float, key: str = "") -> ToolResult:
            del name, within_s, key
            return ToolResult(content=str(arguments["a"] + arguments["b"]), is_error=False)  # type: ignore[operator]

        def close(self) -> None:
            pass

    agent = read_agent(write_agent(folder / "adder", tools="[{mcpServer: calc, allow: [add], pure: [add]}]"))
    spec = agent.agent.spec
    return Equipment(
        folder=agent,
        knowledge=open_knowledge(spec.retrieval, chunks=[], env={}),
        model=open_model(agent, env={"LOOP_MODEL_URL": url}),
        toolbox=Toolbox(
            [pin("calc", definition)], spec=spec, sessions={"calc": Adder()}, compile_schema=compile_schema
        ),
        stopwatch=time.perf_counter,
        new_id=secrets.token_hex,
    )


def goldgate_in_memory(url: str, folder: Path) -> Loop:
    """A served request."""
    from goldgate.agent.runtime import AgentRuntime  # noqa: PLC0415 - as above
    from goldgate.contracts.prediction import PredictRequest  # noqa: PLC0415 - as above

    runtime = AgentRuntime(equipment(url, folder))  # type: ignore[arg-type]

    def run() -> None:
        response = runtime.predict(PredictRequest(question=QUESTION))
        assert (response.answer, len(response.tool_calls)) == ("Done.", 10), response

    return Loop(run=run)


def goldgate_durable(url: str, folder: Path) -> Loop:
    """A TaskRun: the real driver, the real store, every record synced."""
    from goldgate.adapters.file_task_runs import FileTaskRunStore  # noqa: PLC0415 - as above
    from goldgate.adapters.process_owners import is_known_dead, this_process  # noqa: PLC0415 - as above
    from goldgate.adapters.system_clock import SystemClock  # noqa: PLC0415 - as above
    from goldgate.agent.driver import TaskRunDriver  # noqa: PLC0415 - as above
    from goldgate.agent.runtime import AgentRuntime  # noqa: PLC0415 - as above
    from goldgate.contracts.task_runs import TaskRunSpec, TaskSpec  # noqa: PLC0415 - as above

    kept = equipment(url, folder)
    driver = TaskRunDriver(
        store=FileTaskRunStore(folder / "taskruns", clock=SystemClock(), is_dead=is_known_dead),
        open_agent=lambda _name, _bundle: AgentRuntime(kept),  # type: ignore[arg-type]
        find_task=lambda _: TaskSpec(agent_ref="adder", user_message=QUESTION),
        clock=SystemClock(),
        owner=this_process(),
    )
    number = 0

    def run() -> None:
        nonlocal number
        number += 1
        done = driver.run(task_run(f"adder-{number}", TaskRunSpec(agent_ref="adder", user_message=QUESTION)))
        status = done.status  # type: ignore[attr-defined]
        assert (status.output, status.usage.tool_calls) == ("Done.", 10), status

    def stored() -> int:
        parts = (folder / "taskruns").glob(f"adder-{number}.*")
        return sum(path.stat().st_size for path in parts if path.is_file())

    return Loop(run=run, stored=stored)


def task_run(name: str, spec: object) -> object:
    """Make a TaskRun."""
    from goldgate.contracts.resource_parts import Metadata  # noqa: PLC0415 - as above
    from goldgate.contracts.task_runs import TaskRun  # noqa: PLC0415 - as above

    return TaskRun(kind="TaskRun", metadata=Metadata(name=name), spec=spec)  # type: ignore[arg-type]


def make_run(home: Path) -> None:
    """Leave a run for a process that is to be started cold."""
    from goldgate.contracts.task_runs import TaskRunSpec  # noqa: PLC0415 - as above
    from goldgate.entrypoints.settings import Settings  # noqa: PLC0415 - as above
    from goldgate.entrypoints.task_run import open_store  # noqa: PLC0415 - as above

    write_agent(home / "agents" / "adder", tools="[]")
    run = task_run("cold", TaskRunSpec(agent_ref="adder", user_message=QUESTION))
    open_store(Settings.from_env(os.environ)).create(run)  # type: ignore[arg-type]


def main() -> None:
    """Run the loop for every line read."""
    name, url, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if name == "make_run":
        make_run(folder)
        return
    contenders = {each.__name__: each for each in (bare_openai, goldgate_in_memory, goldgate_durable)}
    loop = contenders[name](url, folder)
    for _ in sys.stdin:
        loop.prepare()
        began = time.perf_counter()
        loop.run()
        elapsed_ms = (time.perf_counter() - began) * 1000
        print(json.dumps({"elapsed_ms": elapsed_ms, "stored_bytes": loop.stored()}), flush=True)


if __name__ == "__main__":
    main()
