"""The locks of the images hold what their programs import, pinned with hashes, and nothing of Airflow."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

INCLUDE = Path(__file__).parents[3] / "include"
PROGRAMS = {
    "agent": ["goldgate.entrypoints.arm", "goldgate.entrypoints.agents", "goldgate.entrypoints.task_run"],
    "router": ["goldgate.entrypoints.router"],
}


def pins(name: str) -> dict[str, str]:
    """Read a lock: distribution to its whole entry, with hashes."""
    text = (INCLUDE / "images" / name / "requirements.txt").read_text()
    entries = re.split(r"(?m)^(?=[a-z0-9])", text)
    return {normal(re.split(r"[=\[ ]", entry)[0]): entry for entry in entries if entry[:1].isalnum()}


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def imported(modules: list[str]) -> set[frozenset[str]]:
    """Find what our own code imports, at the top of a file or late, from these modules on.

    Each import is the set of distributions that may provide it: `mlflow` comes from three.
    """
    by_module = packages_distributions()
    seen: set[str] = set()
    waiting, found = list(modules), set[frozenset[str]]()
    while waiting:
        if (module := waiting.pop()) in seen:
            continue
        seen.add(module)
        for name in imports_of(INCLUDE / Path(*module.split("."))):
            top = name.split(".")[0]
            if top == "goldgate":
                waiting.append(name)
            elif top not in sys.stdlib_module_names:
                found.add(frozenset(normal(distribution) for distribution in by_module.get(top, [f"unknown {top}"])))
    return found


def imports_of(path: Path) -> set[str]:
    file = path.with_suffix(".py")
    if not file.exists():
        return set()
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("name", PROGRAMS)
class TestImageLock:
    def test_pins_every_distribution_with_hashes(self, name: str):
        assert len(pins(name)) > 20
        for distribution, entry in pins(name).items():
            assert "==" in entry, distribution
            assert "--hash=sha256:" in entry, distribution

    def test_holds_no_airflow_and_no_mlflow_server(self, name: str):
        locked = pins(name)

        assert not [distribution for distribution in locked if "airflow" in distribution]
        assert "mlflow" not in locked
        assert "mlflow-skinny" in locked

    def test_holds_what_its_programs_import(self, name: str):
        needed = imported(PROGRAMS[name])

        assert {frozenset({"pydantic"}), frozenset({"uvicorn"})} <= needed
        assert [providers for providers in needed if not providers & pins(name).keys()] == []
