"""What the pages show in Python runs as it stands."""

import os
import re
import runpy
from pathlib import Path

import pytest

from goldgate.entrypoints.settings import CHECKOUT
from tests.fakes.agent_folders import LLM, agent, write_folder
from tests.fakes.scripted_endpoint import Answer, ScriptedEndpoint, completion

PAGE = CHECKOUT / "include" / "docs" / "task-runs.md"


class TestThePageOfTaskRuns:
    def test_runs_one_and_finds_its_record(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ):
        shown = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        document = agent().replace("name: tiny", "name: airflow-helper")
        write_folder(tmp_path / "agents" / "airflow-helper", LLM, document)
        with ScriptedEndpoint(Answer(body=completion("Thirty-two."))) as endpoint:
            settings = {
                "GOLDGATE_HOME": str(tmp_path / "home"),
                "GOLDGATE_AGENTS": str(tmp_path / "agents"),
                "GOLDGATE_OTLP_URL": "off",
                "MODEL_URL": endpoint.url,
                "PATH": os.environ["PATH"],
            }
            for name, value in settings.items():
                monkeypatch.setenv(name, value)

            program = tmp_path / "shown.py"
            program.write_text("\n".join(shown))
            runpy.run_path(str(program))

        assert len(shown) == 1
        assert capsys.readouterr().out.strip().endswith("FinalAnswer Thirty-two.")
