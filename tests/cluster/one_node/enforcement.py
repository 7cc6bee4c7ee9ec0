"""Cilium, which enforces NetworkPolicies in a one-node cluster: its agent and its CNI plug-in, built once by Go.

The agent has a mount namespace of its own, beside the network namespace of the cluster: what it mounts, writes below
/run and loads into the kernel ends with it. Settings of the kernel that belong to no namespace it can only read.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.cluster.one_node.binary import built_once, go_said
from tests.cluster.one_node.configuration import PLUGINS
from tests.cluster.one_node.network import Network

PROGRAMS: Final = ("clang-19", "bpftool", "unshare")
"""What must be installed, beside what every one-node cluster needs."""

_SOURCE: Final = Path(__file__).resolve().parents[1] / "enforcer"
_MODULE: Final = "github.com/cilium/cilium"
_PROGRAMS: Final = ("daemon", "plugins/cilium-cni")
_KINDS: Final = "pkg/k8s/apis/cilium.io/client/crds"
_READY: Final = "ready.conflist"
_COMPILER: Final = '#!/bin/sh\nexec clang-19 "$@" -Wno-error\n'
"""The agent compiles for the kernel, with an older compiler's list of warnings that are errors."""
_ALONE: Final = """\
mount -t tmpfs none /run
mount -t bpf none /sys/fs/bpf
mount --bind /proc/sys/kernel /proc/sys/kernel
mount -o remount,ro,bind /proc/sys/kernel
if [ ! -e /proc/modules ]; then
  mkdir /run/proc
  mount --rbind /proc /run/proc
  mount -t tmpfs none /proc
  for each in /run/proc/*; do ln -s "$each" /proc/; done
  : > /proc/modules
fi
exec "$@"
"""
"""The list of modules: where the kernel has all built in there is none, and the agent wants one."""


def enforcer_programs() -> Path:
    """Return the folder of agent, plug-in, the agent's sources for the kernel, and its kinds; built if none is kept.

    Raises:
        CannotBuildError: There is no Go here, or it could not build.
    """
    sources = b"".join([*((_SOURCE / name).read_bytes() for name in ("go.mod", "go.sum")), _COMPILER.encode()])
    return built_once("cilium", sources, build=_build)


def _build(into: Path) -> None:
    into.mkdir()
    packages = [f"{_MODULE}/{name}" for name in _PROGRAMS]
    go_said(_SOURCE, "build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w", "-o", f"{into}/", *packages)
    module = Path(go_said(_SOURCE, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", _MODULE).strip())
    shutil.copytree(module / "bpf", into / "lib" / "bpf", ignore=shutil.ignore_patterns("tests"))
    shutil.copytree(module / _KINDS, into / "kinds")
    for path in (into / "lib", into / "kinds"):
        subprocess.run(["chmod", "-R", "u+w", str(path)], check=True)  # the cache of modules is read-only
    compiler = into / "bin" / "clang"
    compiler.parent.mkdir()
    compiler.write_text(_COMPILER)
    compiler.chmod(0o755)


def prepare(folder: Path, *, programs: Path) -> None:
    """Lay out the agent's files in the folder of a cluster, and the plug-in where containerd finds it."""
    own = folder / "cilium"
    shutil.copytree(programs / "lib", own / "lib")
    (own / "state").mkdir()
    (own / "source.conflist").write_text(json.dumps(_conflist(own)))
    plugins = plugins_folder(folder)
    plugins.mkdir()
    for plugin in Path(PLUGINS).iterdir():
        (plugins / plugin.name).symlink_to(plugin)
    wrapper = plugins / "cilium-cni"
    wrapper.write_text(f'#!/bin/sh\nexec env CILIUM_SOCK={own / "agent.sock"} {programs / "cilium-cni"} "$@"\n')
    wrapper.chmod(0o755)
    (folder / "cni").mkdir()


def is_ready(folder: Path) -> bool:
    """Whether the agent can cable pods."""
    return (folder / "cilium" / _READY).exists()


def hand_over(folder: Path) -> None:
    """Tell containerd how pods are cabled, from when on the node takes them.

    Not by the agent itself: it renames a file into place, which containerd 1.6 does not notice.
    """
    (folder / "cni" / "05-cilium.conflist").write_bytes((folder / "cilium" / _READY).read_bytes())


def plugins_folder(folder: Path) -> Path:
    """Say where containerd finds the plug-ins of a cluster that enforces policies."""
    return folder / "cilium" / "plugins"


def _conflist(own: Path) -> dict[str, Any]:
    plugin = {"type": "cilium-cni", "log-file": str(own / "cni.log")}
    return {"cniVersion": "0.3.1", "name": "cilium", "plugins": [plugin]}


def agent_command(folder: Path, *, network: Network, programs: Path, node: str) -> list[str]:
    """Write how the agent is started: routes without tunnels, and nothing that policies do not need."""
    own = folder / "cilium"
    flags = {
        "k8s-kubeconfig-path": folder / "admin.kubeconfig",
        "k8s-namespace": "kube-system",
        "state-dir": own / "state",
        "lib-dir": own / "lib",
        "socket-path": own / "agent.sock",
        "read-cni-conf": own / "source.conflist",
        "write-cni-conf-when-ready": own / _READY,
        "cni-exclusive": "false",
        "ipam": "kubernetes",
        "identity-allocation-mode": "crd",
        "routing-mode": "native",
        "ipv4-native-routing-cidr": network.pods,
        "enable-ipv6": "false",
        "enable-ipv4-masquerade": "false",
        "install-iptables-rules": "false",
        "enable-l7-proxy": "false",
        "enable-health-checking": "false",
        "enable-endpoint-health-checking": "false",
        "enable-bandwidth-manager": "false",
        # So that a policy may name a node by its address, the API server's above all.
        "policy-cidr-match-mode": "nodes",
        "agent-health-port": "9879",
    }
    path = f"PATH={programs / 'bin'}:{os.environ['PATH']}"
    alone = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", _ALONE, "sh"]
    agent = [str(programs / "daemon"), *(f"--{name}={value}" for name, value in flags.items())]
    return [*network.inside, *alone, "env", path, f"K8S_NODE_NAME={node}", *agent]
