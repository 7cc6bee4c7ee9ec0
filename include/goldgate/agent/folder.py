"""Read an agent's folder: its resources, its prompts, and everything that is wrong with them, at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from goldgate.agent.prompts import Prompts, prompt_id
from goldgate.agent.tools.offers import NAME_FOR_MODELS, offers
from goldgate.contracts.base import ContractError, Problem
from goldgate.contracts.base import Path as FieldPath
from goldgate.contracts.documents import parse, yaml_documents
from goldgate.contracts.llm import LLM
from goldgate.contracts.prices import price_of
from goldgate.contracts.resources import Agent, AgentGrant, MCPServer, PersonGrant, ToolGrant
from goldgate.domain.errors import PermanentError
from goldgate.domain.prompt_variables import system_problems, user_problems

AGENT_FILE = "agent.yaml"
_KINDS: dict[str, type[LLM] | type[MCPServer] | type[Agent]] = {"LLM": LLM, "MCPServer": MCPServer, "Agent": Agent}


@dataclass(frozen=True, kw_only=True)
class AgentFolder:
    """An agent as it is written, with every reference resolved."""

    agent: Agent
    llm: LLM
    llms: Mapping[str, LLM]
    """Every LLM of the file by its name: the agent's own and those it may fall back on."""
    servers: tuple[MCPServer, ...]
    """The servers that the agent's grants name, in their order."""
    prompts: Prompts
    prompt_id: str
    folder: Path


@dataclass(frozen=True, kw_only=True)
class _Document:
    resource: LLM | MCPServer | Agent
    where: str
    lines: dict[FieldPath, int]

    def problem(self, *path: str | int, found: str, expected: str) -> Problem:
        line = next((self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), 1)
        return Problem(where=f"{self.where}:{line}", field=".".join(map(str, path)), found=found, expected=expected)


@dataclass(frozen=True, kw_only=True)
class _Documents:
    where: str
    items: list[_Document] = field(default_factory=list)

    def named(self, kind: type[LLM] | type[MCPServer], name: str) -> LLM | MCPServer | None:
        return next(
            (d.resource for d in self.items if isinstance(d.resource, kind) and d.resource.metadata.name == name), None
        )


def read_agent(folder: Path) -> AgentFolder:
    """Read `agent.yaml` and the prompts it names.

    `agent.yaml` holds LLM, MCPServer and Agent documents in any order, exactly one Agent among them.

    Raises:
        ContractError: Something is wrong; every problem is told with file and line.
    """
    documents, problems = _read_documents(folder / AGENT_FILE)
    agents = [d for d in documents.items if isinstance(d.resource, Agent)]
    if len(agents) != 1 and not problems:
        count = f"{len(agents)} documents of kind Agent"
        problems.append(Problem(where=documents.where, field="", found=count, expected="exactly one"))
    problems += _repeated_names(documents)
    if len(agents) != 1 or not isinstance(agent := agents[0].resource, Agent):
        raise ContractError(problems)
    problems += _broken_references(agents[0], agent, documents)
    problems += _unpriced(agent, documents)
    problems += _broken_corpus(agents[0], agent, folder)
    written = agent.spec.prompts
    prompts = Prompts(
        system=_prompt(agents[0], "system", folder, problems, path=written.system, text=written.system_text),
        user=_prompt(agents[0], "user", folder, problems, path=written.user, text=written.user_text),
    )
    llm = documents.named(LLM, agent.spec.llm)
    if problems or not isinstance(llm, LLM):
        raise ContractError(problems)
    granted = [documents.named(MCPServer, grant.mcp_server) for grant in agent.spec.tools]
    return AgentFolder(
        agent=agent,
        llm=llm,
        llms={d.resource.metadata.name: d.resource for d in documents.items if isinstance(d.resource, LLM)},
        servers=tuple(server for server in granted if isinstance(server, MCPServer)),
        prompts=prompts,
        prompt_id=prompt_id(agent.metadata.name, prompts),
        folder=folder,
    )


def _read_documents(path: Path) -> tuple[_Documents, list[Problem]]:
    documents = _Documents(where=str(path))
    problems: list[Problem] = []
    for value, lines in yaml_documents(path):
        kind = value.get("kind") if isinstance(value, dict) else None
        contract = _KINDS.get(kind) if isinstance(kind, str) else None
        if contract is None:
            line = lines.get(("kind",), lines.get((), 1))
            found = f"`{kind}`" if kind is not None else "no kind"
            expected = "one of " + ", ".join(_KINDS)
            problems.append(Problem(where=f"{path}:{line}", field="kind", found=found, expected=expected))
            continue
        try:
            resource = parse(value, contract, where=str(path), lines=lines)
        except ContractError as error:
            problems.extend(error.problems)
        else:
            documents.items.append(_Document(resource=resource, where=str(path), lines=lines))
    return documents, problems


def _repeated_names(documents: _Documents) -> Iterator[Problem]:
    seen: set[tuple[str, str]] = set()
    for document in documents.items:
        key = (document.resource.kind, document.resource.metadata.name)
        if key in seen:
            yield document.problem("metadata", "name", found=f"a second {key[0]} `{key[1]}`", expected="unique names")
        seen.add(key)


def _broken_references(document: _Document, agent: Agent, documents: _Documents) -> Iterator[Problem]:
    if documents.named(LLM, agent.spec.llm) is None:
        yield document.problem("spec", "llm", found=f"`{agent.spec.llm}`", expected=_names_of(LLM, documents))
    for position, fallback in enumerate(agent.spec.fallbacks):
        if fallback.llm is not None and documents.named(LLM, fallback.llm) is None:
            path = ("spec", "fallbacks", position, "llm")
            yield document.problem(*path, found=f"`{fallback.llm}`", expected=_names_of(LLM, documents))
    seen: set[str] = set()
    for position, grant in enumerate(agent.spec.tools):
        path = ("spec", "tools", position, "mcpServer")
        if documents.named(MCPServer, grant.mcp_server) is None:
            yield document.problem(*path, found=f"`{grant.mcp_server}`", expected=_names_of(MCPServer, documents))
        if grant.mcp_server in seen:
            yield document.problem(*path, found=f"`{grant.mcp_server}` twice", expected="one grant for each server")
        seen.add(grant.mcp_server)
    yield from _unfit_names(document, agent)


def _unfit_names(document: _Document, agent: Agent) -> Iterator[Problem]:
    """Everything the model may call has a name of its own, and one that endpoints take."""
    owners: dict[str, str] = {}
    for offer in offers(agent.spec):
        path = ("spec", {ToolGrant: "tools", AgentGrant: "agents", PersonGrant: "person"}[type(offer.by)])
        if not NAME_FOR_MODELS.fullmatch(offer.name):
            expected = "a name that models may call: at most 64 letters, digits, `_` and `-`"
            yield document.problem(*path, found=f"`{offer.called}`", expected=expected)
        if offer.name in owners:
            found = f"`{offer.name}` of {offer.source}, and of {owners[offer.name]}"
            yield document.problem(*path, found=found, expected="names that differ")
        owners.setdefault(offer.name, offer.source)


def _unpriced(agent: Agent, documents: _Documents) -> Iterator[Problem]:
    """Find the models that may be asked and whose price nobody knows."""
    used = {agent.spec.llm, *(fallback.llm for fallback in agent.spec.fallbacks)}
    for document in documents.items:
        if isinstance(document.resource, LLM) and document.resource.metadata.name in used:
            try:
                price_of(document.resource.spec)
            except PermanentError:
                model = f"model `{document.resource.spec.model}`, which the price table does not know"
                yield document.problem("spec", "model", found=model, expected="`price`, or `free: true`, beside it")


def _names_of(kind: type[LLM] | type[MCPServer], documents: _Documents) -> str:
    names = sorted(f"`{d.resource.metadata.name}`" for d in documents.items if isinstance(d.resource, kind))
    found = f"here: {', '.join(names)}" if names else "here there is none"
    return f"the name of a document of kind {kind.__name__} ({found})"


def _broken_corpus(document: _Document, agent: Agent, folder: Path) -> Iterator[Problem]:
    corpus = agent.spec.corpus
    for position, pattern in enumerate(corpus.files):
        if not matching_files(folder, pattern):
            expected = "a pattern that matches a file"
            yield document.problem("spec", "corpus", "files", position, found=f"`{pattern}`", expected=expected)
    if corpus.builder is not None and not is_file_inside(folder, corpus.builder):
        expected = "a file of the agent's folder"
        yield document.problem("spec", "corpus", "builder", found=f"`{corpus.builder}`", expected=expected)


def _prompt(
    document: _Document, role: str, folder: Path, problems: list[Problem], *, path: str | None, text: str | None
) -> str:
    """Read a prompt from its file, or from the document itself."""
    if path is None:
        return text or ""
    file = folder / path
    if not is_file_inside(folder, path):
        expected = "a file of the agent's folder"
        problems.append(document.problem("spec", "prompts", role, found=f"`{path}`", expected=expected))
        return ""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        problems.append(Problem(where=str(file), field="", found=error.reason, expected="UTF-8"))
        return ""
    check = system_problems if role == "system" else user_problems
    problems.extend(
        Problem(where=f"{file}:{found.line}", field="", found=found.found, expected=found.expected)
        for found in check(text)
    )
    return text


def matching_files(folder: Path, pattern: str) -> list[Path]:
    """List the files of a folder that a pattern names, sorted; none that lies outside through a link."""
    found = (path for path in folder.glob(pattern) if is_file_inside(folder, path.relative_to(folder).as_posix()))
    return sorted(found)


def is_file_inside(folder: Path, path: str) -> bool:
    """Tell whether a relative path is a file whose real place is below the folder."""
    file = folder / path
    return file.is_file() and file.resolve().is_relative_to(folder.resolve())
