"""Agents as a cluster has them, for the in-memory resources."""

from pathlib import Path
from typing import Any

from goldgate.entrypoints.agent_resources import resources_of
from goldgate.entrypoints.freezing import freeze_agent
from goldgate.entrypoints.stored_bundles import parts_of_agent
from goldgate.ports.resources import Document

API = "goldgate.dev/v1alpha1"
KEY = {"env": "MODEL_KEY", "secret": {"name": "models", "key": "openai"}}


def document(kind: str, name: str, **spec: Any) -> Document:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}


def inline_llm(name: str = "model", **spec: Any) -> Document:
    """An LLM whose address comes from the environment, as in `tests.fakes.agent_folders`."""
    return document("LLM", name, **{"model": "scripted-1", "baseUrlFrom": {"env": "MODEL_URL"}, "free": True, **spec})


def inline_agent(name: str = "kind", **spec: Any) -> Document:
    """An agent that stands in its resources alone."""
    prompts = {"systemText": "Be kind. \u00e9\u2028\U0001f600\n", "userText": "{context}\n{question}\n"}
    return document("Agent", name, **{"description": "Is kind.", "llm": "model", "prompts": prompts, **spec})


def applied(folder: Path, *, into: Path, env: dict[str, str]) -> list[Document]:
    """Freeze a folder, and write all that stands in a cluster for it."""
    frozen = freeze_agent(folder, into=into, env=env)
    parts = parts_of_agent(frozen.path, digest=frozen.digest, agent=frozen.agent)
    return [*parts, *resources_of(frozen.path, digest=frozen.digest)]
