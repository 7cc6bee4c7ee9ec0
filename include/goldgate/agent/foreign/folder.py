"""Read the folder of an agent that was written elsewhere, and everything that is wrong with it, at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from goldgate.agent.folder import AGENT_FILE, is_file_inside
from goldgate.agent.foreign.requirements import requirement_problems
from goldgate.contracts.base import ContractError, Problem
from goldgate.contracts.base import Path as FieldPath
from goldgate.contracts.documents import parse, text_of, yaml_documents
from goldgate.contracts.foreign import (
    AgentKind,
    CallNature,
    EndpointAgent,
    ForeignAgent,
    PythonAgent,
    PythonAgentSpec,
    agent_kind,
)
from goldgate.contracts.llm import LLM


@dataclass(frozen=True, kw_only=True)
class ForeignFolder:
    """An agent as it is written, with every reference resolved."""

    agent: ForeignAgent
    llm: LLM | None
    """Of an endpoint."""
    system_prompt: str
    """Of an endpoint; empty if there is none."""
    folder: Path

    @property
    def name(self) -> str:
        """The agent's name."""
        return self.agent.metadata.name

    @property
    def nature(self) -> CallNature:
        """What it means to ask it twice."""
        spec = self.agent.spec
        return spec.python.nature if isinstance(spec, PythonAgentSpec) else spec.endpoint.nature

    @property
    def model(self) -> str:
        """The pinned model name, as far as it is known."""
        if self.llm is not None:
            return self.llm.spec.model
        known = self.agent.spec.model if isinstance(self.agent, PythonAgent) else None
        return known.name if known else "unknown"


def kind_of(folder: Path) -> AgentKind:
    """Tell which of the three contracts an agent's folder keeps.

    Raises:
        ContractError: Its `agent.yaml` cannot be read.
    """
    kinds = [agent_kind(value) for value, _ in yaml_documents(folder / AGENT_FILE)]
    return next((kind for kind in kinds if kind is not None), "declared")


def read_foreign(folder: Path) -> ForeignFolder:
    """Read `agent.yaml` and the files it names: one Agent, and the LLM that an endpoint asks.

    Nothing of the agent's code is imported; see `goldgate.entrypoints.foreign` for that.

    Raises:
        ContractError: Something is wrong; every problem is told with file and line.
    """
    path = folder / AGENT_FILE
    agents: list[tuple[ForeignAgent, dict[FieldPath, int]]] = []
    llms: dict[str, LLM] = {}
    problems: list[Problem] = []
    for value, lines in yaml_documents(path):
        try:
            read = _document(value, lines, path)
        except ContractError as error:
            problems.extend(error.problems)
            continue
        if not isinstance(read, LLM):
            agents.append((read, lines))
        elif read.metadata.name in llms:
            found = f"a second LLM `{read.metadata.name}`"
            problems.append(_at(path, lines, "metadata", "name", found=found, expected="unique names"))
        else:
            llms[read.metadata.name] = read
    if len(agents) != 1:
        if not problems:
            found = f"{len(agents)} documents of kind Agent"
            problems.append(Problem(where=str(path), field="", found=found, expected="exactly one"))
        raise ContractError(problems)
    agent, lines = agents[0]
    problems += _broken(agent, lines, folder, llms)
    if problems:
        raise ContractError(problems)
    return _resolved(agent, folder, llms)


def _resolved(agent: ForeignAgent, folder: Path, llms: dict[str, LLM]) -> ForeignFolder:
    if isinstance(agent, PythonAgent):
        return ForeignFolder(agent=agent, llm=None, system_prompt="", folder=folder)
    endpoint = agent.spec.endpoint
    prompt = (folder / endpoint.system_prompt).read_text(encoding="utf-8") if endpoint.system_prompt else ""
    return ForeignFolder(agent=agent, llm=llms[endpoint.llm], system_prompt=prompt, folder=folder)


def _document(value: object, lines: dict[FieldPath, int], path: Path) -> ForeignAgent | LLM:
    kind = agent_kind(value)
    if kind == "python":
        return parse(value, PythonAgent, where=str(path), lines=lines)
    if kind == "endpoint":
        return parse(value, EndpointAgent, where=str(path), lines=lines)
    if isinstance(value, dict) and value.get("kind") == "LLM":
        return parse(value, LLM, where=str(path), lines=lines)
    found = f"`{value.get('kind')}`" if isinstance(value, dict) else "no resource"
    expected = "an LLM, or one Agent with `spec.python` or `spec.endpoint`"
    raise ContractError([_at(path, lines, "kind", found=found, expected=expected)])


def _broken(agent: ForeignAgent, lines: dict[FieldPath, int], folder: Path, llms: dict[str, LLM]) -> Iterator[Problem]:
    path = folder / AGENT_FILE
    if isinstance(agent, EndpointAgent):
        endpoint = agent.spec.endpoint
        if endpoint.llm not in llms:
            names = ", ".join(f"`{name}`" for name in sorted(llms)) or "none"
            expected = f"the name of a document of kind LLM (here: {names})"
            yield _at(path, lines, "spec", "endpoint", "llm", found=f"`{endpoint.llm}`", expected=expected)
        if endpoint.system_prompt is not None and not is_file_inside(folder, endpoint.system_prompt):
            where = ("spec", "endpoint", "systemPrompt")
            yield _at(path, lines, *where, found=f"`{endpoint.system_prompt}`", expected="a file of the agent's folder")
        elif endpoint.system_prompt is not None:
            yield from _text_problems(folder / endpoint.system_prompt)
        return
    yield from _broken_module(agent, lines, folder)
    requirements = agent.spec.python.requirements
    if requirements is None:
        return
    if not is_file_inside(folder, requirements):
        where = ("spec", "python", "requirements")
        yield _at(path, lines, *where, found=f"`{requirements}`", expected="a file of the agent's folder")
        return
    unreadable = _text_problems(folder / requirements)
    yield from unreadable
    for problem in requirement_problems(text_of(folder / requirements)) if not unreadable else ():
        yield Problem(
            where=f"{folder / requirements}:{problem.line}", field="", found=problem.found, expected=problem.expected
        )


def _text_problems(path: Path) -> list[Problem]:
    try:
        text = text_of(path)
    except ContractError as error:
        return list(error.problems)
    if text.startswith("\ufeff"):
        return [Problem(where=f"{path}:1", field="", found="a byte order mark", expected="UTF-8 without one")]
    return []


def _broken_module(agent: PythonAgent, lines: dict[FieldPath, int], folder: Path) -> Iterator[Problem]:
    """Find a module that is no file of the folder: one of a package would be nobody's to freeze."""
    module, _, _ = agent.spec.python.callable.partition(":")
    file = module.replace(".", "/")
    if not any(is_file_inside(folder, name) for name in (f"{file}.py", f"{file}/__init__.py")):
        where = ("spec", "python", "callable")
        expected = f"`{file}.py` in the agent's folder"
        yield _at(
            folder / AGENT_FILE,
            lines,
            *where,
            found=f"no such module for `{agent.spec.python.callable}`",
            expected=expected,
        )


def _at(path: Path, lines: dict[FieldPath, int], *field: str, found: str, expected: str) -> Problem:
    line = next((lines[field[:n]] for n in range(len(field), -1, -1) if field[:n] in lines), 1)
    return Problem(where=f"{path}:{line}", field=".".join(field), found=found, expected=expected)
