"""The files that the parts of the cluster are started with."""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

from tests.cluster.one_node.network import Network

PAUSE_IMAGE: Final = "localhost/pause:1"
PLUGINS: Final = "/usr/lib/cni"


def write_kubeconfig(path: Path, *, server: str, keys: Path, user: str) -> None:
    """Write how a client with a certificate of its own reaches the API server."""
    client = {"client-certificate": str(keys / f"{user}.crt"), "client-key": str(keys / f"{user}.key")}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "one-node", "cluster": {"server": server, "certificate-authority": str(keys / "ca.crt")}}
        ],
        "users": [{"name": user, "user": client}],
        "contexts": [{"name": "one-node", "context": {"cluster": "one-node", "user": user}}],
        "current-context": "one-node",
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def write_cni(folder: Path, network: Network) -> None:
    """Write how pods are cabled: a bridge, which does not enforce NetworkPolicy; see `enforcement.py`."""
    ipam: dict[str, Any] = {
        "type": "host-local",
        "dataDir": str(folder / "leases"),
        "ranges": [[{"subnet": network.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": ipam}
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}, {"type": "firewall"}]
    content = {"cniVersion": "0.4.0", "name": "one-node", "plugins": plugins}
    folder.mkdir(parents=True)
    (folder / "10-bridge.conflist").write_text(json.dumps(content), encoding="utf-8")


def write_containerd(path: Path, *, folder: Path, registry: str, plugins: Path) -> None:
    """Write containerd's configuration, in the form that the installed version reads.

    `restrict_oom_score_adj`: a container may not be given a score that this machine's own processes may not set.
    """
    hosts = folder / "registries"
    (hosts / registry).mkdir(parents=True)
    (hosts / registry / "hosts.toml").write_text(
        f'server = "http://{registry}"\n[host."http://{registry}"]\n  capabilities = ["pull", "resolve"]\n'
    )
    said = subprocess.run(["containerd", "--version"], check=True, capture_output=True, text=True).stdout.split()
    first = f'root = "{folder}/root"\nstate = "{folder}/state"\n[grpc]\n  address = "{folder}/containerd.sock"\n'
    cni = f'bin_dir = "{plugins}"\n  conf_dir = "{folder.parent}/cni"\n'
    if said[2].removeprefix("v").startswith("1."):
        cri = 'plugins."io.containerd.grpc.v1.cri"'
        text = (
            f"version = 2\n{first}[{cri}]\n"
            f'  sandbox_image = "{PAUSE_IMAGE}"\n  restrict_oom_score_adj = true\n[{cri}.cni]\n  {cni}'
            f'[{cri}.containerd.runtimes.runc]\n  runtime_type = "io.containerd.runc.v2"\n'
            f'[{cri}.registry]\n  config_path = "{hosts}"\n'
        )
    else:
        images, runtime = "plugins.'io.containerd.cri.v1.images'", "plugins.'io.containerd.cri.v1.runtime'"
        text = (
            f"version = 3\n{first}[{images}.pinned_images]\n"
            f'  sandbox = "{PAUSE_IMAGE}"\n[{images}.registry]\n  config_path = "{hosts}"\n'
            f"[{runtime}]\n  restrict_oom_score_adj = true\n[{runtime}.cni]\n  {cni}"
            f"[{runtime}.containerd.runtimes.runc]\n  runtime_type = 'io.containerd.runc.v2'\n"
        )
    path.write_text(text, encoding="utf-8")


def write_kubelet(path: Path, *, network: Network, keys: Path, socket: Path, cgroup: str) -> None:
    """Write the kubelet's configuration: a node that evicts nothing until it really must, on either kind of cgroups."""
    content = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.node,
        "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(keys / "ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 99,
        "imageGCLowThresholdPercent": 98,
        "maxPods": 100,
        "nodeStatusUpdateFrequency": "1s",
        # How often it measures what pods wrote: by default once in a minute, which a test of that would wait for.
        "volumeStatsAggPeriod": "5s",
        "containerRuntimeEndpoint": f"unix://{socket}",
        # Its own: a kubelet removes the logs of pods that it does not know, and those of another cluster's here.
        "podLogsDir": str(path.parent / "pod-logs"),
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
