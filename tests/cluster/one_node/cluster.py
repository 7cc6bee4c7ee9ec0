"""A real Kubernetes of one node: etcd, API server, controllers, scheduler, kubelet, containerd, and a registry.

Everything of it lies in one folder and one network namespace. Whoever knows the folder can take up the cluster: kill a
part, start it again, or end it all.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import yaml

from tests.cluster.one_node import cgroups, configuration, enforcement
from tests.cluster.one_node.binary import node_binary
from tests.cluster.one_node.keys import Authority, signing_pair
from tests.cluster.one_node.network import API_SERVICE, SERVICES, Network, make_network

NODE: Final = "node0"
PROGRAMS: Final = (
    *("containerd", "etcd", "runc", "ip", "iptables", "nsenter", "docker-registry"),
    *enforcement.PROGRAMS,
)
"""What must be installed, beside Go."""

_PARTS: Final = ("registry", "containerd", "etcd", "apiserver", "manager", "scheduler", "kubelet")
_WITHIN_S: Final = 120.0
_ETCD: Final = "http://127.0.0.1:2379"
_REGISTRY_PORT: Final = 5055


class OneNode:
    """A running cluster, known by its folder."""

    def __init__(self, folder: Path, *, number: int, enforcer: Path | None = None) -> None:
        self.folder = folder
        self.network = Network(number=number)
        self.enforcer = enforcer
        """Programs of what enforces its NetworkPolicies; None: nothing does."""

    @property
    def kubeconfig(self) -> Path:
        """Of somebody who may do everything."""
        return self.folder / "admin.kubeconfig"

    @property
    def host(self) -> str:
        """The address under which pods reach servers of this machine."""
        return self.network.host

    @property
    def registry(self) -> str:
        """`host:port` of a registry that pods' images may come from, without TLS."""
        return f"{self.network.host}:{_REGISTRY_PORT}"

    def is_running(self, part: str) -> bool:
        """Whether a part's process is alive."""
        pid = self._pid(part)
        return pid is not None and _is_alive(pid)

    def start(self, part: str) -> None:
        """Start a part with what it was first started with. Does nothing if it runs."""
        if self.is_running(part):
            return
        command = self._commands()[part]
        log = str(self.folder / "log" / f"{part}.log")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o644)]
        # No Popen: the part outlives whoever starts it, and nobody waits for it.
        pid = os.posix_spawnp(
            command[0], command, os.environ, file_actions=[*files, (os.POSIX_SPAWN_DUP2, 1, 2)], setsid=True
        )
        (self.folder / "pid" / part).write_text(str(pid))

    def kill(self, part: str, *, hard: bool = True) -> None:
        """End a part and wait until it is gone: at once, or as it likes."""
        pid = self._pid(part)
        if pid is None or not _is_alive(pid):
            return
        os.kill(pid, signal.SIGKILL if hard else signal.SIGTERM)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        _until(lambda: not _is_alive(pid), f"{part} to end")

    def await_ready(self) -> None:
        """Wait until the API server answers and the node takes pods."""
        ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        _until(lambda: self.kubectl("get", "--raw", "/readyz") == "ok", "the API server", log=self._log("apiserver"))
        _until(lambda: self.kubectl("get", "node", NODE, "-o", ready) == "True", "the node", log=self._log("kubelet"))
        _until(lambda: "default" in (self.kubectl("get", "serviceaccounts", "-o", "name") or ""), "service accounts")

    def renew_token_keys(self) -> None:
        """Have the API server sign tokens with another key, so that it believes none that it signed before."""
        for part in ("apiserver", "manager"):
            self.kill(part)
        signing_pair(self.folder / "keys", "accounts")
        for part in ("apiserver", "manager"):
            self.start(part)

    def import_image(self, archive: Path) -> None:
        """Give the node an image: an archive with its name in it."""
        socket_path = str(self.folder / "containerd" / "containerd.sock")
        subprocess.run(
            ["ctr", "--address", socket_path, "--namespace", "k8s.io", "images", "import", str(archive)],
            check=True,
            capture_output=True,
        )

    def kubectl(self, *arguments: str) -> str | None:
        """Ask the API server something; None if it does not answer, or refuses."""
        ran = subprocess.run(
            [str(self.folder / "bin" / "kubectl"), "--kubeconfig", str(self.kubeconfig), *arguments],
            check=False,
            capture_output=True,
            text=True,
        )
        return ran.stdout if ran.returncode == 0 else None

    def down(self) -> None:
        """End everything, and leave nothing on the machine."""
        if self.is_running("apiserver") and self.is_running("kubelet"):
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    [*self._kubectl(), "delete", "pods", "-A", "--all", "--grace-period=1", "--wait=true"],
                    check=False,
                    capture_output=True,
                    timeout=30,
                )
        for part in ("kubelet", "scheduler", "manager", "apiserver", "etcd"):
            self.kill(part)
        self._kill_shims()
        self.kill("enforcer")
        self.kill("containerd")
        self.kill("registry")
        for mounted in _mounts_below(self.folder):
            subprocess.run(["umount", "--lazy", mounted], check=False, capture_output=True)
        self.network.remove()
        cgroups.remove_cgroup(self.network.namespace)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _kubectl(self) -> list[str]:
        return [str(self.folder / "bin" / "kubectl"), "--kubeconfig", str(self.kubeconfig)]

    def _kill_shims(self) -> None:
        ours = str(self.folder / "containerd")
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    words = (entry / "cmdline").read_bytes().decode(errors="replace")
                    if "containerd-shim" in words and ours in words:
                        os.kill(int(entry.name), signal.SIGKILL)

    def _pid(self, part: str) -> int | None:
        path = self.folder / "pid" / part
        return int(path.read_text()) if path.exists() else None

    def _log(self, part: str) -> Path:
        return self.folder / "log" / f"{part}.log"

    def _commands(self) -> dict[str, list[str]]:
        folder, keys, network = self.folder, self.folder / "keys", self.network
        binary = str(folder / "node")

        def inside(*words: str | Path) -> list[str]:
            return [*network.inside, *map(str, words)]

        def configured(part: str, *more: str) -> list[str]:
            return inside(binary, part, f"--kubeconfig={folder / part}.kubeconfig", *more)

        enforces = {}
        if self.enforcer is not None:
            agent = enforcement.agent_command(folder, network=network, programs=self.enforcer, node=NODE)
            enforces = {"enforcer": agent}
        return enforces | {
            "registry": ["docker-registry", "serve", str(folder / "registry.yaml")],
            "containerd": inside("containerd", "--config", folder / "containerd.toml"),
            "etcd": inside(
                *("etcd", "--data-dir", folder / "etcd"),
                *("--listen-client-urls", _ETCD, "--advertise-client-urls", _ETCD),
                *("--listen-peer-urls", "http://127.0.0.1:2380"),
                "--unsafe-no-fsync",  # nothing of it outlives the tests
            ),
            "apiserver": inside(
                *(binary, "apiserver", f"--etcd-servers={_ETCD}", f"--cert-dir={folder / 'apiserver'}"),
                *(f"--bind-address={network.node}", f"--advertise-address={network.node}"),
                *(f"--tls-cert-file={keys / 'apiserver.crt'}", f"--tls-private-key-file={keys / 'apiserver.key'}"),
                *(f"--client-ca-file={keys / 'ca.crt'}", "--authorization-mode=Node,RBAC"),
                f"--kubelet-client-certificate={keys / 'apiserver-client.crt'}",
                f"--kubelet-client-key={keys / 'apiserver-client.key'}",
                "--kubelet-preferred-address-types=InternalIP",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={keys / 'accounts.pub'}",
                f"--service-account-signing-key-file={keys / 'accounts.key'}",
                *(f"--service-cluster-ip-range={SERVICES}", "--allow-privileged=true"),
                # The second as OpenShift has it: what may not block the deletion of an owner says that it does not.
                "--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement",
            ),
            "manager": configured(
                "manager",
                *("--bind-address=127.0.0.1", "--leader-elect=false", "--use-service-account-credentials"),
                f"--service-account-private-key-file={keys / 'accounts.key'}",
                *(f"--root-ca-file={keys / 'ca.crt'}", f"--cert-dir={folder / 'manager'}"),
            ),
            "scheduler": configured(
                "scheduler",
                *("--bind-address=127.0.0.1", "--leader-elect=false", f"--cert-dir={folder / 'scheduler'}"),
                f"--authentication-kubeconfig={folder / 'scheduler'}.kubeconfig",
                f"--authorization-kubeconfig={folder / 'scheduler'}.kubeconfig",
            ),
            "kubelet": configured(
                "kubelet",
                *(f"--config={folder / 'kubelet.yaml'}", f"--root-dir={folder / 'kubelet'}"),
                *(f"--cert-dir={folder / 'kubelet-keys'}", f"--hostname-override={NODE}", f"--node-ip={network.node}"),
            ),
        }


def up(
    folder: Path, *, images: Sequence[Path], say: Callable[[str], object] = lambda _: None, enforcing: bool = False
) -> OneNode:
    """Start a cluster in an empty folder, with these images on its node.

    Args:
        folder: Where everything of it lies.
        images: Archives, the pause image among them.
        say: Hears how far it is.
        enforcing: Whether NetworkPolicies are enforced.

    Raises:
        CannotBuildError: There is no program to start.
        OSError: This machine lacks something, or a part did not begin; the message says which, and where its log is.
    """
    binary = node_binary()
    enforcer = enforcement.enforcer_programs() if enforcing else None
    network = make_network()
    node = OneNode(folder, number=network.number, enforcer=enforcer)
    try:
        _prepare(node, binary)
        for part in _PARTS[:3]:
            node.start(part)
        _until(lambda: _answers(network, 2379), "etcd", log=folder / "log" / "etcd.log")
        node.start("apiserver")
        socket_path = folder / "containerd" / "containerd.sock"
        _until(lambda: _accepts(socket_path), "containerd", log=folder / "log" / "containerd.log")
        for archive in images:
            node.import_image(archive)
        say(f"{len(images)} images imported")
        ready = ("get", "--raw", "/readyz")
        _until(lambda: node.kubectl(*ready) == "ok", "the API server", log=folder / "log" / "apiserver.log")
        for part in _PARTS[4:]:
            node.start(part)
        if enforcer is not None:
            _enforce(node, kinds=enforcer / "kinds")
        node.await_ready()
    except BaseException:
        kept = folder.with_name(f"{folder.name}-log")
        shutil.copytree(folder / "log", kept, dirs_exist_ok=True)
        node.down()
        raise
    return node


def take_up(folder: Path) -> OneNode:
    """Take up a cluster that was started in a folder."""
    noted = json.loads((folder / "cluster.json").read_text())
    enforcer = noted.get("enforcer")
    return OneNode(folder, number=int(noted["number"]), enforcer=Path(enforcer) if enforcer else None)


def _enforce(node: OneNode, *, kinds: Path) -> None:
    """Start what enforces policies. It cables pods too: the node becomes ready when it has."""
    ours = ["apply", "--server-side", "--recursive", "-f", str(kinds)]
    _until(lambda: node.kubectl(*ours) is not None, "the kinds of the enforcer", log=node.folder / "log/apiserver.log")
    pods = json.dumps({"spec": {"podCIDR": node.network.pods, "podCIDRs": [node.network.pods]}})
    patched = ["patch", "node", NODE, "--patch", pods]
    _until(lambda: node.kubectl(*patched) is not None, "the node", log=node.folder / "log" / "kubelet.log")
    node.start("enforcer")
    _until(lambda: enforcement.is_ready(node.folder), "the enforcer", log=node.folder / "log" / "enforcer.log")
    enforcement.hand_over(node.folder)


def _prepare(node: OneNode, binary: Path) -> None:
    folder, network = node.folder, node.network
    for name in ("bin", "log", "pid", "keys", "containerd", "etcd"):
        (folder / name).mkdir(parents=True)
    enforcer = str(node.enforcer) if node.enforcer is not None else None
    (folder / "cluster.json").write_text(json.dumps({"number": network.number, "enforcer": enforcer}))
    (folder / "node").symlink_to(binary)
    wrapper = folder / "bin" / "kubectl"
    wrapper.write_text(f'#!/bin/sh\nexec {binary} kubectl "$@"\n')
    wrapper.chmod(0o755)
    _sign(folder, network)
    plugins = Path(configuration.PLUGINS)
    if node.enforcer is None:
        configuration.write_cni(folder / "cni", network)
    else:
        enforcement.prepare(folder, programs=node.enforcer)
        plugins = enforcement.plugins_folder(folder)
    configuration.write_containerd(
        folder / "containerd.toml", folder=folder / "containerd", registry=node.registry, plugins=plugins
    )
    cgroups.make_cgroup(network.namespace)
    configuration.write_kubelet(
        folder / "kubelet.yaml",
        network=network,
        keys=folder / "keys",
        socket=folder / "containerd" / "containerd.sock",
        cgroup=f"/{network.namespace}",
    )
    registry = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}, "delete": {"enabled": True}},
        "http": {"addr": node.registry},
    }
    (folder / "registry.yaml").write_text(yaml.safe_dump(registry))


def _sign(folder: Path, network: Network) -> None:
    keys = folder / "keys"
    authority = Authority(keys)
    signing_pair(keys, "accounts")
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"]
    authority.server("apiserver", hosts=names, addresses=[network.node, "127.0.0.1", API_SERVICE])
    authority.client("apiserver-client", user="apiserver", groups=["system:masters"])
    authority.client("admin", user="admin", groups=["system:masters"])
    authority.client("manager", user="system:kube-controller-manager")
    authority.client("scheduler", user="system:kube-scheduler")
    authority.client("kubelet", user=f"system:node:{NODE}", groups=["system:nodes"])
    for user in ("admin", "manager", "scheduler", "kubelet"):
        path = folder / f"{user}.kubeconfig"
        configuration.write_kubeconfig(path, server=f"https://{network.node}:6443", keys=keys, user=user)


def _until(is_so: Callable[[], bool], what: str, *, log: Path | None = None) -> None:
    ends = time.monotonic() + _WITHIN_S
    while not is_so():
        if time.monotonic() > ends:
            told = log.read_text(errors="replace")[-3000:] if log is not None and log.exists() else ""
            raise OSError(f"Waited {_WITHIN_S:.0f} s for {what}. {told}")
        time.sleep(0.1)


def _answers(network: Network, port: int) -> bool:
    knock = [*network.inside, "bash", "-c", f": < /dev/tcp/127.0.0.1/{port}"]
    return subprocess.run(knock, check=False, capture_output=True).returncode == 0


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def _is_alive(pid: int) -> bool:
    """Whether a process still holds anything. One that was killed is a zombie before its last thread let go."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        return state != "Z" or len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except (OSError, IndexError):
        return False


def _mounts_below(folder: Path) -> Iterator[str]:
    places = [line.split()[1] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    yield from sorted((place for place in places if place.startswith(f"{folder}/")), reverse=True)
