"""The official client, without the part of it that nobody here uses.

Where aiohttp is installed, importing the client imports it too: 0.3 s of 1.9 until a new process asks its model, as
`benchmarks/agent_loop.py` measures it on two busy cores. The client does without it (its extra `aiohttp`).
"""

import sys

# None is how Python marks what is not there to be imported.
sys.modules.setdefault("openai._vendor.httpx_aiohttp", None)  # type: ignore[arg-type]

import openai  # noqa: E402 - after the line above

__all__ = ["openai"]
