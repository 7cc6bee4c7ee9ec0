"""What the playbook asks of a frozen agent: is it the one that was meant, and what is tracked of it."""

from collections.abc import Sequence
from pathlib import Path

from goldgate.agent.folder import AgentFolder
from goldgate.agent.memory.corpus import CORPUS_FILE, read_chunks
from goldgate.contracts.base import Problem
from goldgate.contracts.gold import GoldRow
from goldgate.entrypoints.freezing import FrozenBundle
from goldgate.evals.gold_checks import check_gold_set


def gold_problems(rows: Sequence[GoldRow], *, bundle: FrozenBundle, agent: str, folder: Path) -> list[Problem]:
    """Find what makes a bundle and its gold set unfit to be released as that agent."""
    problems: list[Problem] = []
    if bundle.agent != agent:
        where = str(folder / "agent.yaml")
        problems.append(Problem(where=where, field="metadata.name", found=f"`{bundle.agent}`", expected=f"`{agent}`"))
    chunks = {chunk.id: f"{chunk.title}\n{chunk.text}" for chunk in read_chunks(bundle.path / CORPUS_FILE)}
    return problems + check_gold_set(rows, chunks=chunks, where=str(folder / "gold.jsonl"))


def tracked_params(agent: AgentFolder) -> dict[str, str]:
    """Name the parameters of llm, retrieval and limits that the tracker shows beside the figures."""
    spec, llm = agent.agent.spec, agent.llm.spec
    params = {f"llm.{name}": value for name, value in llm.parameters.model_dump(exclude_none=True).items()}
    retrieval = spec.retrieval.model_dump(exclude={"embedder", "long_question"})
    params |= {f"retrieval.{name}": value for name, value in retrieval.items()}
    params |= {"retrieval.embedder": spec.retrieval.embedder.kind, "limits.max_steps": spec.limits.max_steps}
    if (long := spec.retrieval.long_question) is not None:
        params |= {f"retrieval.long_question.{name}": value for name, value in long.model_dump().items()}
    return {name: str(value) for name, value in params.items()}
