"""What an index on disk saves: time to open it, time to change it, and memory of processes that share it.

Synthetic passages of sixty words, so that any size can be had; the embedder is `wordllama`. Every figure is measured in
a process of its own. Run: `.venv/bin/python benchmarks/index.py --passages 359 100000 --processes 4`.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from goldgate.adapters.wordllama_embedder import WordLlamaEmbedder
from goldgate.entrypoints.index_parts import open_indexes
from goldgate.ports.knowledge import Chunk

SEED = 7
QUESTIONS = ["which port does the server use", "how many workers run at once", "where is the log kept"]


def passages(count: int) -> list[Chunk]:
    """Make passages, the same ones for the same number."""
    rng = random.Random(SEED)  # noqa: S311 - made-up text
    words = [f"{start}{end}" for start in ("ser", "por", "wor", "lo", "que") for end in map(str, range(2_000))]
    return [Chunk(id=f"c{n}", title=f"title {n}", text=" ".join(rng.choices(words, k=60))) for n in range(count)]


def open_once(count: int, folder: Path | None, *, changed: int) -> None:
    """Open an index in this process, tell how long it took, wait for a word, and tell what it holds in memory."""
    chunks = passages(count)
    for number in range(changed):
        chunks[number] = Chunk(id=f"c{number}", title="changed", text=f"Another text, {number}.")
    embedder = WordLlamaEmbedder()
    embedder.embed(QUESTIONS)
    # Imported before the clock starts: what is measured is the index, not Python.
    import goldgate.adapters.faiss_index  # noqa: F401, PLC0415

    process = psutil.Process()
    before = process.memory_full_info().pss
    began = time.perf_counter()
    lexical, vectors = open_indexes(chunks, folder=folder, embedder=embedder, made_by={})
    seconds = time.perf_counter() - began
    for question in QUESTIONS:
        lexical.search(question, limit=40)
        if vectors is not None:
            vectors.search(question, limit=40)
    print(json.dumps({"seconds": seconds}), flush=True)
    sys.stdin.readline()
    print(json.dumps({"bytes": process.memory_full_info().pss - before}), flush=True)
    sys.stdin.readline()  # until all have told: a process that ends shares no more


def measured(count: int, folder: Path | None, *, processes: int = 1, changed: int = 0) -> tuple[float, float]:
    """Open an index in so many processes at once.

    Returns:
        Seconds of the slowest, and megabytes of one, what they share divided among them.
    """
    command = [sys.executable, __file__, "--child", str(count), str(folder or ""), str(changed)]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this file
        for _ in range(processes)
    ]
    seconds = [json.loads(child.stdout.readline())["seconds"] for child in children if child.stdout]
    held = []
    for child in children:
        assert child.stdin
        assert child.stdout
        child.stdin.write("\n")
        child.stdin.flush()
        held.append(json.loads(child.stdout.readline())["bytes"])
    for child in children:
        child.communicate()
    return max(seconds), sum(held) / len(held) / 1e6


def rows_of(count: int, *, processes: int) -> list[dict[str, object]]:
    """Measure one size: made in memory at every load, and kept on disk."""
    with tempfile.TemporaryDirectory(prefix="goldgate-index-") as temporary:
        folder = Path(temporary)
        in_memory_s, in_memory_mb = measured(count, None)
        built_s, _ = measured(count, folder)
        on_disk_mb = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
        opened_s, _ = measured(count, folder)
        shared_s, shared_mb = measured(count, folder, processes=processes)
        updated_s, _ = measured(count, folder, changed=1)
    figures = [
        ("in_memory_load", "peer", in_memory_s, "s"),
        ("in_memory_of_each", "peer", in_memory_mb, "MB"),
        ("build", "ours", built_s, "s"),
        ("load", "ours", opened_s, "s"),
        (f"load_of_{processes}_at_once", "ours", shared_s, "s"),
        (f"memory_of_each_of_{processes}", "ours", shared_mb, "MB"),
        ("update_of_one_passage", "ours", updated_s, "s"),
        ("on_disk", "ours", on_disk_mb, "MB"),
    ]
    return [{"name": f"{count}_{name}", "role": role, "value": value, "unit": u} for name, role, value, u in figures]


def main() -> None:
    """Measure, print, and write the rows if a file is named."""
    if sys.argv[1:2] == ["--child"]:
        count, folder, changed = sys.argv[2:5]
        open_once(int(count), Path(folder) if folder else None, changed=int(changed))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, nargs="+", default=[359, 100_000])
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    arguments = parser.parse_args()
    rows = [row for count in arguments.passages for row in rows_of(count, processes=arguments.processes)]
    for row in rows:
        print(f"{row['name']:<32} {row['role']:<6} {row['value']:10.3f} {row['unit']}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
