"""Write the folder of an agent that was written elsewhere."""

from pathlib import Path
from textwrap import dedent, indent

from goldgate.agent.foreign.folder import ForeignFolder, read_foreign
from tests.fakes.agent_folders import LLM

ECHO = 'def predict(request):\n    return {"answer": request["question"].upper()}\n'


def document(spec: str) -> str:
    """The Agent document; `spec` is YAML to add to its spec."""
    head = """\
    apiVersion: goldgate.dev/v1alpha1
    kind: Agent
    metadata: {name: brought}
    spec:
      description: Was written elsewhere.
    """
    return dedent(head) + indent(dedent(spec), "  ")


def write_python(folder: Path, spec: str = "", *, python: str = "", program: str = ECHO) -> Path:
    """Write a folder with a callable; `python` is YAML to add to `spec.python`, `spec` to `spec`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = 'python:\n  callable: "agent:predict"\n' + indent(dedent(python), "  ") + dedent(spec)
    (folder / "agent.yaml").write_text(document(text))
    (folder / "agent.py").write_text(program)
    return folder


def write_endpoint(folder: Path, spec: str = "", *, endpoint: str = "{llm: model}", llm: str = LLM) -> Path:
    """Write a folder with an endpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "agent.yaml").write_text("---\n".join([llm, document(f"endpoint: {endpoint}\n" + dedent(spec))]))
    return folder


def python_agent(folder: Path, spec: str = "", *, python: str = "") -> ForeignFolder:
    """Write a folder with a callable, and read it."""
    return read_foreign(write_python(folder, spec, python=python))
