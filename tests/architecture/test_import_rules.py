"""Who may import whom, proven in processes of their own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
HEAVY = {"mlflow", "pandas", "faiss", "great_expectations", "kubernetes", "openai", "tantivy"}


def loaded_by(statement: str) -> set[str]:
    """Top-level packages in memory after a statement, in a fresh interpreter."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{n.partition('.')[0] for n in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    return set(json.loads(done.stdout.splitlines()[-1]))


def modules_below(package: str) -> list[str]:
    """Name every module of a room, in the folders below it too."""
    include = CHECKOUT / "include"
    paths = sorted((include / "goldgate" / package).rglob("*.py"))
    modules = [".".join(path.relative_to(include).with_suffix("").parts) for path in paths if path.stem != "__init__"]
    assert modules, f"nothing is called {package}"
    return modules


class TestImportContracts:
    def test_hold(self):
        """The contracts themselves are in pyproject.toml; lint-imports ends non-zero if one is broken."""
        done = subprocess.run(
            [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
            capture_output=True,
            text=True,
            check=False,
            cwd=CHECKOUT,
        )

        assert done.returncode == 0, done.stdout


class TestGoldgate:
    def test_never_loads_airflow(self):
        """Every module of every room but the adapters, which the import contract holds to it."""
        rooms = ("domain", "contracts", "ports", "agent", "evals", "release", "serving", "standin", "entrypoints")
        names = [name for room in rooms for name in modules_below(room)]

        loaded = loaded_by("\n".join(f"import {name}" for name in names))

        assert "goldgate" in loaded
        assert not {"airflow", "goldgate_airflow"} & loaded

    @pytest.mark.parametrize("room", ["domain", "contracts", "ports"])
    def test_keeps_its_inner_rooms_light(self, room):
        """DAG files import them at every parse."""
        loaded = loaded_by("\n".join(f"import {name}" for name in modules_below(room)))

        assert not (HEAVY | {"numpy", "fastapi"}) & loaded

    def test_keeps_the_domain_on_the_standard_library(self):
        loaded = loaded_by("\n".join(f"import {name}" for name in modules_below("domain")))
        foreign = {name for name in loaded - sys.stdlib_module_names if not name.startswith(("_", "goldgate"))}

        assert foreign <= loaded_by("pass")
