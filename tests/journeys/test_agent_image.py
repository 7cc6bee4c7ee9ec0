"""The image of the agent runtime, built for real: it starts without Airflow and without an MLflow server.

Skipped, with the reason, where no container builder works or the base image cannot be had.
"""

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from goldgate.adapters.container_images.images import ContainerImages
from goldgate.contracts.release import ImageBuilt
from goldgate.entrypoints.freezing import FrozenBundle, freeze_agent
from goldgate.entrypoints.images import runtime_image
from tests.fakes.agent_folders import LLM, agent, write_folder
from tests.fakes.foreign_folders import write_python

pytestmark = pytest.mark.slow

IMAGE = runtime_image("agent", env=os.environ)

HYBRID = 'corpus: {files: ["corpus/*.md"]}\nretrieval: {mode: hybrid, k: 1}\n'
PAGE = "# Port\nThe port on which the web server listens.\n"

LOAD = """\
import os, sys
from importlib.metadata import distributions
from pathlib import Path
from goldgate.entrypoints.agents import load_agent
runtime = load_agent(Path("/bundle"), env=os.environ)
assert runtime.warm_up() == []
names = {each.name.lower() for each in distributions()}
assert "mlflow-skinny" in names
assert not names & {"mlflow", "apache-airflow", "apache-airflow-core"}, names
assert not {"airflow", "mlflow"} & set(sys.modules)
print("loaded", runtime.name)
"""


ASK = """\
import os, shutil
from pathlib import Path
from goldgate.contracts.prediction import PredictRequest
from goldgate.entrypoints.agents import load_agent
assert shutil.which("uv") is None
agent = load_agent(Path("/bundle"), env=os.environ)
print(agent.predict(PredictRequest(question="why?")).answer)
agent.close()
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> ImageBuilt:
    builder = ContainerImages(tmp_path_factory.mktemp("records"), env=os.environ)
    built = builder.build(
        context=IMAGE.context, dockerfile=IMAGE.dockerfile, name=IMAGE.name, labels=dict(IMAGE.labels)
    )
    if not isinstance(built, ImageBuilt):
        pytest.skip(built.reason)
    if built.builder != "buildah":
        pytest.skip(f"this test runs images with buildah, and {built.builder} built this one")
    return built


def buildah(*words: str) -> str:
    env = {"STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot", **os.environ}
    done = subprocess.run(["buildah", *words], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def container(image: ImageBuilt) -> Iterator[str]:
    name = f"goldgate-test-{uuid.uuid4().hex[:8]}"
    buildah("from", "--pull-never", "--name", name, image.reference)
    try:
        yield name
    finally:
        buildah("rm", name)


def buildah_python(image: ImageBuilt) -> str:
    """Minor version of the Python in an image."""
    name = f"goldgate-test-{uuid.uuid4().hex[:8]}"
    buildah("from", "--pull-never", "--name", name, image.reference)
    try:
        program = "import sys; print(f'{sys.version_info.major}.{sys.version_info.minor}')"
        return buildah("run", name, "--", "python3", "-c", program).strip()
    finally:
        buildah("rm", name)


def frozen(folder: Path) -> FrozenBundle:
    made = write_folder(folder / "tiny", LLM, agent(HYBRID), files={"corpus/guide.md": PAGE})
    return freeze_agent(made, into=folder / "bundles", env={"PATH": os.environ["PATH"]})


class TestAgentImage:
    def test_runs_the_arm_program(self, container):
        told = buildah("run", container, "--", "python3", "-m", "goldgate.entrypoints.arm", "--help")

        assert "--version" in told

    def test_loads_a_bundle_without_airflow_and_without_an_mlflow_server(self, container, tmp_path):
        buildah("copy", "--quiet", container, str(frozen(tmp_path).path), "/bundle")
        program = ["env", "MODEL_URL=http://127.0.0.1:9/v1", "python3", "-c", LOAD]

        told = buildah("run", container, "--", *program)

        assert told.strip() == "loaded tiny"

    def test_holds_the_environment_of_a_callable_that_is_baked_in(self, image, tmp_path):
        """With it in place an arm needs neither uv nor a package index."""
        version = buildah_python(image)
        folder = write_python(tmp_path / "brought", python=f'pythonVersion: "{version}"\n')
        bundle = freeze_agent(folder, into=tmp_path / "bundles", env={}).path
        name = f"goldgate-test-{uuid.uuid4().hex[:8]}"
        arguments = ["--isolation", "chroot", "--quiet", "--layers=false", f"--build-arg=RUNTIME={image.reference}"]
        arguments += ["--secret=id=pip.conf,src=/etc/pip.conf"] if Path("/etc/pip.conf").exists() else []
        dockerfile = IMAGE.context / "images" / "agent-environment" / "Dockerfile"
        buildah("build", *arguments, "--file", str(dockerfile), "--tag", name, str(bundle))
        try:
            buildah("from", "--pull-never", "--name", name, f"localhost/{name}")
            buildah("copy", "--quiet", name, str(bundle), "/bundle")
            assert buildah("run", name, "--", "python3", "-c", ASK).strip() == "WHY?"
        finally:
            buildah("rm", name)
            buildah("rmi", f"localhost/{name}")

    def test_runs_as_nobody_in_particular(self, container):
        assert buildah("run", container, "--", "id", "-u").strip() == "10001"
