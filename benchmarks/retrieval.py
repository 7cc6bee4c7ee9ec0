"""How well an agent's passages are found: hit@1, 3 and 5, and the mean reciprocal rank, for each way of ranking them.

A hit: a passage that the row calls `relevant` is among the first n. Rows that name none are left out. No model is
asked, and nothing is left behind. Run: `.venv/bin/python benchmarks/retrieval.py --rows dev.jsonl --json FILE`.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from goldgate.agent.folder import read_agent
from goldgate.agent.memory.corpus import CORPUS_FILE, read_chunks
from goldgate.agent.memory.knowledge import Knowledge
from goldgate.contracts.documents import read_jsonl
from goldgate.contracts.gold import GoldRow
from goldgate.entrypoints.freezing import freeze_agent
from goldgate.entrypoints.knowledge_parts import open_knowledge
from goldgate.entrypoints.settings import Settings

WAYS = {
    "bm25": {"mode": "lexical", "reranker": "none"},
    "vectors": {"mode": "vector", "reranker": "none"},
    "hybrid": {"mode": "hybrid", "reranker": "none"},
    "hybrid_reranked": {"mode": "hybrid", "reranker": "late-interaction"},
}
"""Everything else is as the agent says, but that no question is refused for its relevance."""


def rank(knowledge: Knowledge, row: GoldRow) -> int | None:
    """Find the place of the first right passage, counted from one."""
    found = knowledge.rerank(row.question, knowledge.find(row.question).ids).passages
    places = (place for place, passage in enumerate(found, start=1) if passage.id in row.relevant)
    return next(places, None)


def figures(way: str, ranks: Sequence[int | None]) -> list[dict[str, object]]:
    """Sum up one way of ranking."""
    places = [place for place in ranks if place is not None]
    values = {f"hit@{most}": sum(place <= most for place in places) / len(ranks) for most in (1, 3, 5)}
    values["mrr"] = sum(1 / place for place in places) / len(ranks)
    return [
        {"name": f"{way}_{name}", "role": "ours", "value": value, "unit": "ratio"} for name, value in values.items()
    ]


def main() -> None:
    """Measure, print, and write the rows if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", default="airflow-helper")
    parser.add_argument("--rows", default="dev.jsonl", help="a file of the agent's folder, in the form of a gold set")
    parser.add_argument("--json", type=Path, help="where to write the rows")
    arguments = parser.parse_args()
    settings = Settings.from_env(os.environ)
    folder = settings.agents / arguments.agent
    asked = [row for row in read_jsonl(folder / arguments.rows, GoldRow) if row.relevant]
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        bundle = freeze_agent(folder, into=Path(temporary), env=settings.completed(os.environ)).path
        spec, chunks = read_agent(bundle).agent.spec.retrieval, read_chunks(bundle / CORPUS_FILE)
        for way, changes in WAYS.items():
            ranked = spec.model_copy(update={**changes, "min_relevance": 0.0})
            knowledge = open_knowledge(ranked, chunks=chunks, env={})
            rows += figures(way, [rank(knowledge, row) for row in asked])
    print(f"{len(asked)} questions of {arguments.rows}, {len(chunks)} passages")
    for row in rows:
        print(f"{row['name']:<22} {row['role']:<6} {row['value']:6.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
