"""The image of the agent runtime, built for real: it starts without Airflow and without an MLflow server.

Skipped, with the reason, where no container builder works or the base image cannot be had.
"""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from goldgate.adapters.container_images.images import ContainerImages
from goldgate.contracts.release import ImageBuilt, ImageUnavailable
from goldgate.entrypoints.freezing import FrozenBundle, freeze_agent
from goldgate.entrypoints.images import runtime_image
from goldgate.release.build import ImageSource
from tests.fakes.agent_folders import LLM, agent, write_folder
from tests.fakes.foreign_folders import write_python

pytestmark = pytest.mark.slow

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


BYTECODE = """\
import sys
from pathlib import Path
import goldgate.entrypoints.task_run, goldgate.entrypoints.agents
specs = [module.__spec__ for module in list(sys.modules.values()) if getattr(module, "__spec__", None)]
sources = [spec for spec in specs if (spec.origin or "").endswith(".py")]
print(len(sources), [spec.name for spec in sources if not Path(spec.cached).exists()])
"""
WRITABLE = "find $(ls -d /* | grep -vE '^/(dev|proc|sys)$') -xdev -writable -not -type l 2>/dev/null || true"


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the builds of this file are remembered."""
    return tmp_path_factory.mktemp("records")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ImageSource]:
    """The images, described by a copy of what they are made of: nobody edits it while this file runs."""
    made: dict[str, ImageSource] = {which: runtime_image(which, env=os.environ) for which in ("agent", "router")}
    include = tmp_path_factory.mktemp("snapshot") / "include"
    copied = shutil.copytree(made["agent"].context, include, ignore=shutil.ignore_patterns("docs", "__pycache__"))
    return {which: at(source, copied) for which, source in made.items()}


@pytest.fixture(scope="module")
def image(sources: dict[str, ImageSource], records: Path) -> ImageBuilt:
    built = build(sources["agent"], records=records)
    if not isinstance(built, ImageBuilt):
        pytest.skip(built.reason)
    if built.builder != "buildah":
        pytest.skip(f"this test runs images with buildah, and {built.builder} built this one")
    return built


def at(source: ImageSource, context: Path) -> ImageSource:
    return replace(source, context=context, dockerfile=context / source.dockerfile.relative_to(source.context))


def build(source: ImageSource, *, records: Path, registry: str = "") -> ImageBuilt | ImageUnavailable:
    pip_conf = {"GOLDGATE_IMAGE_PIP_CONF": "/etc/pip.conf"} if Path("/etc/pip.conf").exists() else {}
    builder = ContainerImages(records, env={**pip_conf, **os.environ, "GOLDGATE_IMAGE_REGISTRY": registry})
    return builder.build(
        context=source.context, dockerfile=source.dockerfile, name=source.name, labels=dict(source.labels)
    )


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


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@contextmanager
def docker_registry(folder: Path) -> Iterator[str]:
    """Debian's registry on a port of its own, until the block ends."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("no docker-registry here")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    storage = {"filesystem": {"rootdirectory": str(folder / "registry")}}
    settings = folder / "registry.yaml"
    settings.write_text(json.dumps({"version": 0.1, "storage": storage, "http": {"addr": address}}))
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(settings)], stdout=log, stderr=log)
    try:
        until(lambda: answers(f"http://{address}/v2/"), process=process, log=folder / "registry.log")
        yield address
    finally:
        process.terminate()
        process.wait()


def until(is_so: Callable[[], bool], *, process: "subprocess.Popen[bytes]", log: Path) -> None:
    while not is_so():
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


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

    def test_holds_the_environment_of_a_callable_that_is_baked_in(self, image, sources, tmp_path):
        """With it in place an arm needs neither uv nor a package index."""
        version = buildah_python(image)
        folder = write_python(tmp_path / "brought", python=f'pythonVersion: "{version}"\n')
        bundle = freeze_agent(folder, into=tmp_path / "bundles", env={}).path
        name = f"goldgate-test-{uuid.uuid4().hex[:8]}"
        arguments = ["--isolation", "chroot", "--quiet", "--layers=false", f"--build-arg=RUNTIME={image.reference}"]
        arguments += ["--secret=id=pip.conf,src=/etc/pip.conf"] if Path("/etc/pip.conf").exists() else []
        dockerfile = sources["agent"].context / "images" / "agent-environment" / "Dockerfile"
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

    def test_lets_its_user_write_to_its_home_and_temporary_files_only(self, container):
        written = buildah("run", container, "--", "sh", "-c", WRITABLE).split()

        assert set(written) <= {"/tmp", "/var/tmp", "/run/lock", "/var/lib/goldgate"}  # noqa: S108 - what is there
        assert "/var/lib/goldgate" in written

    def test_compiles_nothing_when_it_starts(self, container):
        count, _, missing = buildah("run", container, "--", "python3", "-c", BYTECODE).strip().partition(" ")

        assert int(count) > 100
        assert missing == "[]"

    def test_says_what_it_is_made_of(self, container, sources):
        """By the very hashes of its lock, and with the packages of the base."""
        text = buildah("run", container, "--", "cat", "/opt/goldgate/sbom.cdx.json")

        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
        lock = (sources["agent"].dockerfile.parent / "requirements.txt").read_text()
        hashed = [each for each in json.loads(text)["components"] if "hashes" in each]
        assert {"pydantic", "openai", "lightkube"} <= {each["name"] for each in hashed}
        for each in hashed:
            assert f"{each['name']}=={each['version']}" in lock
            assert f"--hash=sha256:{each['hashes'][0]['content']}" in lock
        if "/var/lib/dpkg/status" in buildah("run", container, "--", "sh", "-c", "ls /var/lib/dpkg/status || true"):
            assert "pkg:deb/debian/libstdc%2B%2B6@" in text

    def test_says_where_it_comes_from(self, image, sources):
        labels = json.loads(buildah("inspect", "--type", "image", image.reference))["OCIv1"]["config"]["Labels"]

        assert labels.items() >= sources["agent"].labels.items()
        assert labels["org.opencontainers.image.base.digest"].startswith("sha256:")


class TestTwoBuilds:
    @pytest.mark.parametrize("which", ["agent", "router"])
    @pytest.mark.usefixtures("image")
    def test_of_the_same_inputs_give_the_same_image(self, which, sources, records, tmp_path):
        """From another folder, at another time, with other permissions, and remembering nothing of the first build."""
        first = build(sources[which], records=records)
        elsewhere = shutil.copytree(sources[which].context, tmp_path / "include")
        for path in elsewhere.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
            os.utime(path, (0, 1_000_000_000))

        second = build(at(sources[which], elsewhere), records=tmp_path / "records")

        assert isinstance(first, ImageBuilt)
        assert isinstance(second, ImageBuilt)
        assert not second.reused
        assert second.digest == first.digest


OCI: dict[str, str] = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
MOST_BYTES = {"agent": 150_000_000, "router": 50_000_000}
"""Of the layers above the base, compressed as a node pulls them."""


class TestRegistry:
    def test_hands_the_image_out_by_the_digest_that_was_told(self, registry, image, sources, records):
        built = build(sources["agent"], records=records, registry=f"http://{registry}/team")

        assert isinstance(built, ImageBuilt)
        assert built.reused
        name, _, digest = str(built.pushed).partition("@")
        assert name == f"{registry}/team/goldgate-agent"
        assert f"sha256:{hashlib.sha256(manifest_of(built)).hexdigest()}" == digest
        pulled = buildah("pull", "--quiet", "--tls-verify=false", str(built.pushed)).strip()
        assert pulled == buildah("inspect", "--type", "image", "--format", "{{.FromImageID}}", image.reference).strip()

    @pytest.mark.parametrize("which", ["agent", "router"])
    @pytest.mark.usefixtures("image")
    def test_has_a_node_pull_no_more_than_is_needed(self, which, registry, sources, records):
        built = build(sources[which], records=records, registry=f"http://{registry}/team")

        assert isinstance(built, ImageBuilt)
        ours = json.loads(manifest_of(built))["layers"][layers_of(base_of(built)) :]
        assert 0 < sum(layer["size"] for layer in ours) <= MOST_BYTES[which]


def manifest_of(built: ImageBuilt) -> bytes:
    """The manifest of an image that was pushed."""
    name, _, digest = str(built.pushed).partition("@")
    address, _, repository = name.partition("/")
    asked = urllib.request.Request(f"http://{address}/v2/{repository}/manifests/{digest}", headers=OCI)
    with urllib.request.urlopen(asked) as answer:
        content: bytes = answer.read()
    return content


def base_of(built: ImageBuilt) -> str:
    labels = json.loads(buildah("inspect", "--type", "image", built.reference))["OCIv1"]["config"]["Labels"]
    name: str = labels["org.opencontainers.image.base.name"]
    return name


def layers_of(image: str) -> int:
    return len(json.loads(buildah("inspect", "--type", "image", image))["OCIv1"]["rootfs"]["diff_ids"])
