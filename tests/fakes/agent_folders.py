"""Write an agent's folder."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent, indent

from goldgate.agent.tools.pins import write_pins
from goldgate.entrypoints.freezing import propose_agent_pins

SYSTEM = "You answer from the passages.\n"
USER = "{context}\n\nQuestion: {question}\n"

LLM = """\
apiVersion: goldgate.dev/v1alpha1
kind: LLM
metadata: {name: model}
spec:
  model: scripted-1
  baseUrlFrom: {env: MODEL_URL}
  price: {inputUsdPerMillionTokens: 1, cachedInputUsdPerMillionTokens: 0.5, outputUsdPerMillionTokens: 4}
"""

SERVER = """\
apiVersion: goldgate.dev/v1alpha1
kind: MCPServer
metadata: {name: calc}
spec: {command: python, args: [server.py]}
"""

SERVER_PROGRAM = '''\
"""Tools for tests."""

import asyncio
import os

from mcp.server import MCPServer

server = MCPServer("calc")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def names() -> str:
    """Name the variables of the environment."""
    return " ".join(sorted(os.environ))


@server.tool()
def leave() -> str:
    """End the server."""
    os._exit(3)


@server.tool()
async def hang() -> str:
    """Never answer."""
    await asyncio.Event().wait()
    return ""


@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("no such thing")


if __name__ == "__main__":
    server.run()
'''


def agent(spec: str = "") -> str:
    """The Agent document; `spec` is YAML to add to its spec."""
    head = """\
    apiVersion: goldgate.dev/v1alpha1
    kind: Agent
    metadata: {name: tiny}
    spec:
      description: Answers.
      llm: model
      prompts: {system: prompts/system.md, user: prompts/user.md}
    """
    return dedent(head) + indent(dedent(spec), "  ")


def write_folder(folder: Path, *documents: str, files: dict[str, str] | None = None) -> Path:
    """Write `agent.yaml` (an LLM and a bare Agent unless documents are given), prompts, and other files."""
    held = {
        "agent.yaml": "---\n".join(documents or (LLM, agent())),
        "prompts/system.md": SYSTEM,
        "prompts/user.md": USER,
        **(files or {}),
    }
    for name, text in held.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def pin_tools(folder: Path) -> Path:
    """Pin the tools of a folder as its servers offer them, as `goldgate agent pin --yes` does."""
    names = ("agent.yaml", "server.py")
    texts = tuple((folder / name).read_text(encoding="utf-8") for name in names if (folder / name).exists())
    (folder / "tools.json").write_text(_pins(texts, folder), encoding="utf-8")
    return folder


def _pins(texts: tuple[str, ...], folder: Path) -> str:
    """Start the servers once for the same resources and program, wherever they lie."""
    if texts not in _KNOWN:
        with TemporaryDirectory() as into:
            proposal = propose_agent_pins(folder, into=Path(into), env={"PATH": os.environ["PATH"]})
        _KNOWN[texts] = write_pins(proposal.pins)
    return _KNOWN[texts]


_KNOWN: dict[tuple[str, ...], str] = {}
