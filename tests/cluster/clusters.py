"""Where the cluster tests run: a cluster that was given, one of kind or k3d, or one node, built and started here.

kind and k3d need a Docker engine: a `docker` command may be a client with none behind it, so that it is asked.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.images import AGENT, PAUSE, ROUTER, image_archives
from tests.cluster.one_node.binary import CannotBuildError
from tests.cluster.one_node.cluster import PROGRAMS, up
from tests.cluster.one_node.network import missing_programs

_KIND = "goldgate-test"
_INSTEAD = "GOLDGATE_TEST_KUBECONFIG takes the kubeconfig of any cluster; kind or k3d, with a Docker engine, make one."
_SAID_OF_A_CLUSTER = ("GOLDGATE_TEST_IMAGES", "GOLDGATE_TEST_HOST")
"""What only whoever gives a cluster knows of it."""
_CRDS = Path(__file__).resolve().parents[2] / "include" / "deploy" / "crds"


class NoClusterError(Exception):
    """There is none, and none can be had here. The message says why."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A cluster to test on."""

    what: str
    """For people."""
    env: Mapping[str, str] = field(default_factory=dict)
    """As `conftest.py` reads it."""


@contextlib.contextmanager
def any_cluster() -> Iterator[Found]:
    """Find a cluster, or have one for as long as the context lasts.

    Raises:
        NoClusterError: See there.
    """
    if given := os.environ.get("GOLDGATE_TEST_KUBECONFIG"):
        if shutil.which("kubectl") is None:
            raise NoClusterError("no `kubectl` on the PATH, which the tests ask the given cluster by. Install it.")
        unsaid = [name for name in _SAID_OF_A_CLUSTER if not os.environ.get(name)]
        skipped = (
            f"; tests that need {' or '.join(unsaid)} are skipped: see tests/cluster/conftest.py" if unsaid else ""
        )
        yield Found(what=f"the cluster of `{given}`, which was given{skipped}", env={})
        return
    engine = _engine()
    if engine and shutil.which("kind"):
        with _kind() as found:
            yield found
    elif engine and shutil.which("k3d"):
        with _k3d() as found:
            yield found
    else:
        with _one_node() as found:
            yield found


def prepare(env: Mapping[str, str]) -> None:
    """Have a cluster know our custom resources, as they are now.

    Raises:
        NoClusterError: It does not take them.
    """
    apply = ["kubectl", "--kubeconfig", env["GOLDGATE_TEST_KUBECONFIG"], "apply", "--server-side", "--force-conflicts"]
    applied = subprocess.run([*apply, "-k", str(_CRDS)], env=dict(env), check=False, capture_output=True, text=True)
    if applied.returncode != 0:
        raise NoClusterError(
            f"the cluster of `{env['GOLDGATE_TEST_KUBECONFIG']}` did not take our custom resources: "
            f"{applied.stderr.strip()[-2000:]} Expected the kubeconfig of somebody who may do everything in a cluster "
            "that answers."
        )


@contextlib.contextmanager
def _one_node() -> Iterator[Found]:
    if os.geteuid() != 0:
        raise NoClusterError(f"the one-node cluster needs root. Run it as root. Else: {_INSTEAD}")
    if missing := missing_programs(PROGRAMS):
        raise NoClusterError(
            f"the one-node cluster needs {', '.join(missing)}. On Debian: apt-get install containerd etcd-server runc "
            "containernetworking-plugins docker-registry iproute2 iptables util-linux clang-19 bpftool. "
            f"Else: {_INSTEAD}"
        )
    archives = _archives()
    folder = Path(tempfile.mkdtemp(prefix="goldgate-node-")) / "cluster"
    try:
        node = up(folder, images=[archives[PAUSE], archives[AGENT], archives[ROUTER]])
    except (CannotBuildError, OSError) as error:
        raise NoClusterError(f"the one-node cluster did not come up: {error}") from error
    try:
        yield Found(
            what=f"a one-node cluster of this machine, in `{folder}`",
            env={
                "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",  # a kubectl of the same version
                "GOLDGATE_TEST_KUBECONFIG": str(node.kubeconfig),
                "GOLDGATE_TEST_IMAGES": json.dumps({"agent": AGENT, "router": ROUTER}),
                "GOLDGATE_TEST_HOST": node.host,
                "GOLDGATE_TEST_NODE": str(folder),
            },
        )
    finally:
        node.down()
        shutil.rmtree(folder.parent, ignore_errors=True)


def _archives() -> dict[str, Path]:
    sys.stdout.write("Building the images of the tests, and the cluster; some minutes the first time ...\n")
    sys.stdout.flush()
    try:
        return image_archives()
    except CannotBuildError as error:
        raise NoClusterError(f"{error}. Else: {_INSTEAD}") from error


@contextlib.contextmanager
def _kind() -> Iterator[Found]:
    archives = _archives()
    with tempfile.TemporaryDirectory(prefix="goldgate-kind-") as temporary:
        kubeconfig = Path(temporary) / "kubeconfig"
        name = f"{_KIND}-{os.getpid()}"
        _run("kind", "create", "cluster", "--name", name, "--kubeconfig", str(kubeconfig), "--wait", "180s")
        try:
            for image in (AGENT, ROUTER):
                _run("kind", "load", "image-archive", "--name", name, str(archives[image]))
            gateway = "{{range .IPAM.Config}}{{.Gateway}} {{end}}"
            said = _run("docker", "network", "inspect", "kind", "--format", gateway).split()
            yield _found(f"kind cluster `{name}`", kubeconfig, host=next(each for each in said if "." in each))
        finally:
            _run("kind", "delete", "cluster", "--name", name)


@contextlib.contextmanager
def _k3d() -> Iterator[Found]:
    archives = _archives()
    with tempfile.TemporaryDirectory(prefix="goldgate-k3d-") as temporary:
        kubeconfig = Path(temporary) / "kubeconfig"
        name = f"{_KIND}-{os.getpid()}"
        _run("k3d", "cluster", "create", name, "--wait", "--kubeconfig-update-default=false")
        try:
            kubeconfig.write_text(_run("k3d", "kubeconfig", "get", name))
            _run("k3d", "image", "import", "--cluster", name, str(archives[AGENT]), str(archives[ROUTER]))
            yield _found(f"k3d cluster `{name}`", kubeconfig, host="host.k3d.internal")
        finally:
            _run("k3d", "cluster", "delete", name)


def _found(what: str, kubeconfig: Path, *, host: str) -> Found:
    env = {
        "GOLDGATE_TEST_KUBECONFIG": str(kubeconfig),
        "GOLDGATE_TEST_IMAGES": json.dumps({"agent": AGENT, "router": ROUTER}),
        "GOLDGATE_TEST_HOST": host,
    }
    return Found(what=what, env=env)


def _engine() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    asked = [docker, "version", "--format", "{{.Server.Version}}"]
    return subprocess.run(asked, check=False, capture_output=True).returncode == 0


def _run(*command: str) -> str:
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    if ran.returncode != 0:
        raise NoClusterError(f"`{' '.join(command)}` ended with {ran.returncode}: {ran.stderr[-2000:]}")
    return ran.stdout
