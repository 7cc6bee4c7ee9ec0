"""Airflow runs every file below `plugins/` under its bare name; `.airflowignore` keeps our package out of that."""

import json
import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

PROGRAM = """
import json, sys
before = {name: id(module) for name, module in sys.modules.items() if name in sys.stdlib_module_names}
import airflow.sdk
from airflow import plugins_manager
loaded, problems = plugins_manager._get_plugins()
replaced = [name for name, module in sys.modules.items()
            if name.partition(".")[0] in sys.stdlib_module_names
            and "/plugins/" in str(getattr(module, "__file__", "") or "")]
moved = [name for name, was in before.items() if id(sys.modules[name]) != was]
print(json.dumps({"plugins": [plugin.name for plugin in loaded], "problems": problems, "replaced": replaced,
                  "moved": moved, "bare": [name for name in sys.modules if name in {"playbook", "step", "links"}]}))
"""


def loaded_in_a_fresh_interpreter(airflow_home: Path) -> dict[str, object]:
    env = {**os.environ, "AIRFLOW_HOME": str(airflow_home), "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins")}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=env)
    return json.loads(done.stdout.splitlines()[-1])


class TestPluginsFolder:
    def test_loads_our_plugin_and_nothing_of_our_package_by_its_bare_name(self, tmp_path):
        found = loaded_in_a_fresh_interpreter(tmp_path)

        assert "goldgate" in found["plugins"]
        assert found["problems"] == {}
        assert found["bare"] == []

    def test_replaces_no_module_of_the_standard_library(self, tmp_path):
        found = loaded_in_a_fresh_interpreter(tmp_path)

        assert found["replaced"] == []
        assert found["moved"] == []

    def test_names_the_package_in_airflowignore(self):
        assert (CHECKOUT / "plugins" / ".airflowignore").read_text().split() == ["goldgate_airflow"]

    def test_holds_one_plugin_file(self):
        assert [path.name for path in (CHECKOUT / "plugins").glob("*.py")] == ["goldgate_plugin.py"]
