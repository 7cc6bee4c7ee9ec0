"""What the router adds to a request: the same question to the router and straight to the champion's arm, in turns.

Needs a stack with a champion, as `make demo` leaves one. Run: `.venv/bin/python benchmarks/router.py --agent NAME`.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from goldgate.entrypoints.settings import Settings

QUESTION = "Where do I set how much is logged?"


def timed_ms(ask: Callable[[], httpx.Response]) -> float:
    """Ask once, and return how long it took."""
    began = time.perf_counter()
    ask().raise_for_status()
    return (time.perf_counter() - began) * 1000


def arm_url(settings: Settings, client: httpx.Client, agent: str) -> str:
    """Find the arm that serves the agent now, by the version that the router names in its answer."""
    version = ask_router(settings, client, agent).raise_for_status().headers["x-goldgate-version"]
    told = settings.home / "run" / "arms" / f"{agent}@{version}.json"
    return str(json.loads(told.read_text(encoding="utf-8"))["url"])


def ask_router(settings: Settings, client: httpx.Client, agent: str) -> httpx.Response:
    """Ask as a caller does."""
    body = {"model": agent, "messages": [{"role": "user", "content": QUESTION}]}
    return client.post(f"{settings.router_url}/v1/chat/completions", json=body)


def main() -> None:
    """Measure, print, and write the rows if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", default="airflow-helper")
    parser.add_argument("--requests", type=int, default=300, help="pairs of requests")
    parser.add_argument("--json", type=Path, help="where to write the rows")
    arguments = parser.parse_args()
    settings = Settings.from_env(os.environ)
    with httpx.Client(timeout=30) as client:
        try:
            arm = arm_url(settings, client, arguments.agent)
        except httpx.HTTPError as error:
            parser.exit(
                1, f"No champion of `{arguments.agent}` answers at {settings.router_url}: {error}. Run `make demo`.\n"
            )
        pairs = [
            (
                timed_ms(lambda: ask_router(settings, client, arguments.agent)),
                timed_ms(lambda: client.post(f"{arm}/predict", json={"question": QUESTION})),
            )
            for _ in range(arguments.requests)
        ]
    router, direct = zip(*pairs, strict=True)
    added = [through - straight for through, straight in pairs]
    rows = [
        {"name": "router_p50", "role": "ours", "value": statistics.median(router), "unit": "ms"},
        {"name": "arm_p50", "role": "bound", "value": statistics.median(direct), "unit": "ms"},
        {"name": "added_p50", "role": "ours", "value": statistics.median(added), "unit": "ms"},
    ]
    for row in rows:
        print(f"{row['name']:<12} {row['role']:<6} {row['value']:8.2f} {row['unit']}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
