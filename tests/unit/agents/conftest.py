"""The programs of the sample agent's folder, loaded from their files: the folder is no package."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "include" / "agents" / "airflow-helper"


def load_program(name: str, path: Path) -> ModuleType:
    """Load a program as a module, without running it."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def agent_folder() -> Path:
    """The sample agent."""
    return FOLDER


@pytest.fixture(scope="session")
def corpus_program() -> ModuleType:
    """The corpus builder."""
    return load_program("airflow_helper_corpus", FOLDER / "corpus.py")


@pytest.fixture(scope="session")
def server_program() -> ModuleType:
    """The tool server."""
    return load_program("airflow_helper_server", FOLDER / "tools" / "server.py")


@pytest.fixture(scope="session")
def corpus_lines() -> list[dict[str, str]]:
    """What the builder prints for the installed Airflow."""
    run = subprocess.run([sys.executable, "-B", "corpus.py"], cwd=FOLDER, capture_output=True, check=True, text=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.fixture(scope="session")
def chunks(corpus_lines: list[dict[str, str]]) -> dict[str, str]:
    """Text of each passage, by id."""
    return {line["id"]: line["text"] for line in corpus_lines}
