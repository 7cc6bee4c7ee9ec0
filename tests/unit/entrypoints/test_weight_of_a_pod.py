"""What the program of a run's pod imports: each pod pays for it in processor time before it does anything."""

import subprocess
import sys

import pytest

from goldgate.entrypoints.settings import CHECKOUT

PROGRAM = """
import sys
import goldgate.entrypoints.task_run, goldgate.entrypoints.cluster_agents, goldgate.adapters.cluster.task_runs
import goldgate.entrypoints.agents
print("\\n".join(sys.modules))
"""


@pytest.fixture(scope="module")
def imported() -> set[str]:
    env = {"PYTHONPATH": str(CHECKOUT / "include")}
    ran = subprocess.run([sys.executable, "-c", PROGRAM], check=True, env=env, capture_output=True, text=True)
    return set(ran.stdout.split())


class TestThePodOfARun:
    @pytest.mark.parametrize("part", ["release", "evaluation", "policy", "ledger", "canary", "gold"])
    def test_builds_no_contract_of_releases(self, imported: set[str], part: str):
        """0.07 s for all of them."""
        assert f"goldgate.contracts.{part}" not in imported

    @pytest.mark.parametrize("package", ["kubernetes", "mlflow", "openai", "psutil", "pandas", "airflow"])
    def test_loads_no_package_that_it_may_do_without(self, imported: set[str], package: str):
        assert package not in imported

    def test_is_what_is_looked_at(self, imported: set[str]):
        assert {"lightkube", "goldgate.agent.driver", "goldgate.agent.loop"} <= imported
