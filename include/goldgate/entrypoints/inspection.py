"""What the playbook asks of a frozen agent: is it the one that was meant, and what is tracked of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from goldgate.agent.folder import AGENT_FILE, AgentFolder, read_agent
from goldgate.agent.foreign.folder import ForeignFolder, kind_of, read_foreign
from goldgate.agent.memory.corpus import CORPUS_FILE, read_chunks
from goldgate.contracts.base import ContractError, Problem
from goldgate.contracts.documents import read_jsonl, read_yaml
from goldgate.contracts.foreign import PythonAgentSpec
from goldgate.contracts.gold import GoldRow
from goldgate.contracts.policy import GoldSetPin, ReleasePolicy
from goldgate.contracts.prices import price_of
from goldgate.entrypoints.freezing import FrozenBundle
from goldgate.evals.gold_checks import check_gold_set


def gold_problems(rows: Sequence[GoldRow], *, bundle: FrozenBundle, agent: str, folder: Path) -> list[Problem]:
    """Find what makes a bundle and its gold set unfit to be released as that agent."""
    problems: list[Problem] = []
    if bundle.agent != agent:
        where = str(folder / "agent.yaml")
        problems.append(Problem(where=where, field="metadata.name", found=f"`{bundle.agent}`", expected=f"`{agent}`"))
    if kind_of(bundle.path) != "declared":
        # What it knows is its own: a row's passages are ids that it reports, and no text is here to check them by.
        bare = [row.model_copy(update={"relevant": []}) for row in rows]
        return problems + check_gold_set(bare, chunks={}, where=str(folder / "gold.jsonl"))
    chunks = {chunk.id: f"{chunk.title}\n{chunk.text}" for chunk in read_chunks(bundle.path / CORPUS_FILE)}
    return problems + check_gold_set(rows, chunks=chunks, where=str(folder / "gold.jsonl"))


def refuse_broken(folder: Path, *, policy: str) -> None:
    """Hold every file that people write for an agent to its contract, so that all that is wrong is told at once.

    Args:
        folder: The agent's folder.
        policy: Name of the file of its release policy.

    Raises:
        ContractError: With every problem of every file.
    """
    problems: list[Problem] = []
    gold: str = GoldSetPin.model_fields["path"].default
    with _gathered(problems):
        agent_name(folder)
    with _gathered(problems):
        gold = read_yaml(folder / policy, ReleasePolicy).gold_set.path
    with _gathered(problems):
        read_jsonl(folder / gold, GoldRow)
    if problems:
        raise ContractError(problems)


@contextmanager
def _gathered(problems: list[Problem]) -> Iterator[None]:
    try:
        yield
    except ContractError as error:
        problems.extend(error.problems)


def agent_name(folder: Path) -> str:
    """Read how an agent is called, whichever kind of agent it is.

    Raises:
        ContractError: The folder breaks its contracts.
    """
    if kind_of(folder) == "declared":
        return read_agent(folder).agent.metadata.name
    return read_foreign(folder).name


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """What the tracker keeps of an agent beside its figures."""

    params: dict[str, str]
    prompts: dict[str, str]
    """What the agent is told, by file name."""


def tracked(bundle: Path) -> Tracked:
    """Read what is tracked of a bundle, whichever kind of agent it holds."""
    if kind_of(bundle) == "declared":
        agent = read_agent(bundle)
        prompts = {"system.md": agent.prompts.system, "user.md": agent.prompts.user}
        return Tracked(params=tracked_params(agent), prompts=prompts)
    foreign = read_foreign(bundle)
    told = {"system.md": foreign.system_prompt} if foreign.system_prompt else {}
    written = (bundle / AGENT_FILE).read_text(encoding="utf-8")
    return Tracked(params=_foreign_params(foreign), prompts={AGENT_FILE: written, **told})


def _foreign_params(foreign: ForeignFolder) -> dict[str, str]:
    spec = foreign.agent.spec
    params: dict[str, object] = {"llm.model": foreign.model, "limits.timeout_s": spec.limits.timeout_seconds}
    if isinstance(spec, PythonAgentSpec):
        python = {"python.callable": spec.python.callable, "python.max_concurrency": spec.python.max_concurrency}
        params |= {**python, "reports": ", ".join(spec.reports) or "nothing"}
    if foreign.llm is not None:
        parameters = foreign.llm.spec.parameters.model_dump(exclude_none=True)
        params |= {f"llm.{name}": value for name, value in parameters.items()}
    return {name: str(value) for name, value in params.items()}


def tracked_params(agent: AgentFolder) -> dict[str, str]:
    """Name the parameters of llm, retrieval and limits that the tracker shows beside the figures."""
    spec, llm = agent.agent.spec, agent.llm.spec
    params = {f"llm.{name}": value for name, value in llm.parameters.model_dump(exclude_none=True).items()}
    params |= {"llm.model": llm.model, "llm.price": price_of(llm).source}
    retrieval = spec.retrieval.model_dump(exclude={"embedder", "long_question"})
    params |= {f"retrieval.{name}": value for name, value in retrieval.items()}
    params |= {"retrieval.embedder": spec.retrieval.embedder.kind, "limits.max_steps": spec.limits.max_steps}
    if (long := spec.retrieval.long_question) is not None:
        params |= {f"retrieval.long_question.{name}": value for name, value in long.model_dump().items()}
    return {name: str(value) for name, value in params.items()}
