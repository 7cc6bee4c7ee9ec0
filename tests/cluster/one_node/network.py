"""A network of its own for the cluster: one namespace, one cable to this machine, and no other way in or out."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SERVICES: Final = "10.96.0.0/16"
API_SERVICE: Final = "10.96.0.1"
_MOST: Final = 10


@dataclass(frozen=True, kw_only=True)
class Network:
    """Addresses of one cluster on this machine."""

    number: int

    @property
    def namespace(self) -> str:
        """Name of the network namespace."""
        return f"goldgate-{self.number}"

    @property
    def node(self) -> str:
        """The node's address. Loopback will not do: the kubelet refuses it."""
        return f"10.99.{self.number}.1"

    @property
    def host(self) -> str:
        """This machine's address, as pods see it."""
        return f"10.99.{self.number}.2"

    @property
    def pods(self) -> str:
        """The pods' addresses."""
        return f"10.98.{self.number}.0/24"

    @property
    def inside(self) -> tuple[str, ...]:
        """What a command begins with that runs in the namespace.

        Not `ip netns exec`, which remounts /sys and so hides the cgroups from kubelet and containerd.
        """
        return ("nsenter", f"--net=/run/netns/{self.namespace}")

    def remove(self) -> None:
        """Take the namespace down, and the cable with it."""
        subprocess.run(["ip", "netns", "delete", self.namespace], check=False, capture_output=True)


def make_network() -> Network:
    """Make the first network that is free.

    Raises:
        OSError: None could be made; the message is that of `ip`.
    """
    problem = ""
    for number in range(_MOST):
        network = Network(number=number)
        added = subprocess.run(["ip", "netns", "add", network.namespace], check=False, capture_output=True, text=True)
        if added.returncode == 0:
            try:
                _cable(network)
            except subprocess.CalledProcessError as error:
                network.remove()
                problem = error.stderr.strip()  # another network of this machine has these addresses
                continue
            return network
        problem = added.stderr.strip()
    raise OSError(f"no network namespace could be made: {problem}")


def _cable(network: Network) -> None:
    ours, theirs = f"goldgate{network.number}h", f"goldgate{network.number}n"
    _run("ip", "link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", network.namespace)
    _run("ip", "address", "add", f"{network.host}/30", "dev", ours)
    _run("ip", "link", "set", ours, "up")
    _run("ip", "route", "add", network.pods, "via", network.node)
    inside = network.inside
    _run(*inside, "ip", "address", "add", f"{network.node}/30", "dev", theirs)
    _run(*inside, "ip", "link", "set", theirs, "up")
    _run(*inside, "ip", "link", "set", "lo", "up")
    _run(*inside, "ip", "route", "add", "default", "via", network.host)
    _run(*inside, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    for chain in ("PREROUTING", "OUTPUT"):
        # There is no kube-proxy: the one service address that pods need is the API server's.
        match = ("-d", f"{API_SERVICE}/32", "-p", "tcp", "--dport", "443")
        to = ("-j", "DNAT", "--to-destination", f"{network.node}:6443")
        _run(*inside, "iptables", "-t", "nat", "-A", chain, *match, *to)


def missing_programs(names: Sequence[str]) -> list[str]:
    """Name the programs that are not on the PATH."""
    return [name for name in names if shutil.which(name) is None]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
