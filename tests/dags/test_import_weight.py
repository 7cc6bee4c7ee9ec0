"""What it costs to parse the DAGs, again and again, all day."""

import json
import os
import subprocess
import sys
from pathlib import Path

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


def parsed(airflow_home: Path) -> dict[str, object]:
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(airflow_home),
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT / "include"), str(CHECKOUT / "plugins")]),
    }
    paths = sorted(str(path) for path in (CHECKOUT / "dags").glob("*.py"))
    done = subprocess.run([sys.executable, "-c", PROGRAM, *paths], capture_output=True, text=True, check=True, env=env)
    return json.loads(done.stdout.splitlines()[-1])


class TestParsing:
    def test_loads_nothing_heavy(self, tmp_path):
        found = parsed(tmp_path)

        assert not HEAVY & set(found["loaded"])

    def test_takes_little_beside_airflow_itself(self, tmp_path):
        """All DAGs together; CPU time, because other work on the machine does not count."""
        found = parsed(tmp_path)

        assert found["cpu_s"] < 2.5, found
