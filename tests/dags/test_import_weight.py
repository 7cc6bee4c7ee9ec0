"""What it costs to parse the DAGs, again and again, all day."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
HEAVY = {"mlflow", "numpy", "pandas", "faiss", "kubernetes", "great_expectations", "openai", "tantivy", "httpx"}

PROGRAM = """
import json, runpy, sys, time
import airflow.sdk
bare = {name.partition(".")[0] for name in sys.modules}
began = time.process_time()
for path in sys.argv[1:]:
    runpy.run_path(path)
print(json.dumps({"cpu_s": time.process_time() - began,
                  "loaded": sorted({name.partition(".")[0] for name in sys.modules} - bare)}))
"""


@pytest.fixture(scope="module")
def parsed(tmp_path_factory):
    """All DAGs, parsed once in a process of its own."""
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT / "include"), str(CHECKOUT / "plugins")]),
    }
    paths = sorted(str(path) for path in (CHECKOUT / "dags").glob("*.py"))
    done = subprocess.run([sys.executable, "-c", PROGRAM, *paths], capture_output=True, text=True, check=True, env=env)
    return json.loads(done.stdout.splitlines()[-1])


class TestParsing:
    def test_loads_nothing_heavy(self, parsed):
        assert "goldgate_airflow" in parsed["loaded"]
        assert not HEAVY & set(parsed["loaded"])

    def test_takes_little_beside_airflow_itself(self, parsed):
        """All DAGs together; CPU time, because other work on the machine does not count."""
        assert parsed["cpu_s"] < 2.5, parsed
