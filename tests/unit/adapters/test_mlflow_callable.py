"""A Python callable packaged by a real MLflow server, and loaded where only its own packages and MLflow's are."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from goldgate.contracts.foreign import ENVIRONMENT_FILE
from goldgate.entrypoints.freezing import freeze_agent
from tests.fakes.foreign_folders import write_python

pytestmark = pytest.mark.slow

PREDICT = """\
import json, sys
import mlflow.pyfunc
model = mlflow.pyfunc.load_model(sys.argv[1])
(answer,) = model.predict([{"question": "why?"}])
heavy = {"openai", "faiss", "mcp", "tantivy"} & set(sys.modules)
import goldgate
said = {"answer": answer["answer"], "error": answer["error"]}
print(json.dumps({**said, "heavy": sorted(heavy), "of": goldgate.__file__}))
"""


@pytest.fixture(scope="module")
def model(mlflow_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the packaged agent lies on this machine."""
    tmp_path = tmp_path_factory.mktemp("packaged")
    import mlflow

    from goldgate.adapters.mlflow_tracking import MlflowTracking

    folder = write_python(tmp_path / "brought", python='pythonVersion: "3.11"\n')
    bundle = freeze_agent(folder, into=tmp_path / "bundles", env={}).path
    tracking = MlflowTracking(mlflow_url)
    run = tracking.log_evaluation(experiment="callable", name="c", tags={}, params={}, metrics={}, artifacts=[])
    packaged = tracking.package(bundle, run_id=run.run_id, name="brought")
    location = mlflow.MlflowClient(mlflow_url).get_logged_model(packaged.model_uri.split("/")[-1]).artifact_location
    return Path(mlflow.artifacts.download_artifacts(location, dst_path=str(tmp_path / "got"), tracking_uri=mlflow_url))


def installed(folder: Path, requirements: Path) -> Path:
    """An environment with the model's requirements. Skips the test if the package index cannot be reached."""
    uv = Path(sys.executable).with_name("uv")
    python = folder / "bin" / "python"
    for words in (
        ["venv", "-q", "--python", sys.executable, str(folder)],
        ["pip", "install", "-q", "--python", str(python), "-r", str(requirements)],
    ):
        done = subprocess.run([uv, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"the model's requirements cannot be installed: {done.stderr.strip()[-300:]}")
    return python


class TestPackagedCallable:
    def test_asks_for_its_own_packages_and_mlflows_and_for_its_own_python(self, model):
        names = {line.partition("==")[0] for line in (model / "requirements.txt").read_text().splitlines()}

        assert names == {"mlflow-skinny", "numpy", "pandas"}
        assert "python: 3.11\n" in (model / "python_env.yaml").read_text()
        assert not list(model.rglob("*.pyc"))

    def test_predicts_where_nothing_else_is_installed(self, model, tmp_path):
        python = installed(tmp_path / "env", model / "requirements.txt")

        done = subprocess.run(
            [python, "-c", PREDICT, str(model)],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin"},
            cwd=tmp_path,
        )

        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        assert said == {
            "answer": "WHY?",
            "error": None,
            "heavy": [],
            "of": str(model / "code" / "goldgate" / "__init__.py"),
        }

    def test_for_an_older_python_is_packaged_for_the_agent_image(self, tmp_path):
        from goldgate.adapters.mlflow_tracking import _own_environment

        folder = write_python(tmp_path / "old", python='pythonVersion: "3.9"\n')
        bundle = freeze_agent(folder, into=tmp_path / "bundles", env={}).path

        assert (bundle / ENVIRONMENT_FILE).is_file()
        assert _own_environment(bundle) is None
