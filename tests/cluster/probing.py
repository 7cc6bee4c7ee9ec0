"""Pods that listen and knock: what reaches what in a cluster."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.cluster.conftest import ClusterUnderTest

PORTS: Final = (4318, 5000, 8000, 8080, 8800, 9000)
"""Where every pod listens."""

_LISTEN: Final = """\
import socket, sys, threading
def serve(port):
    with socket.create_server(("0.0.0.0", port), backlog=64) as server:
        while True:
            server.accept()[0].close()
def echo(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", port))
        while True:
            said, whom = server.recvfrom(512)
            server.sendto(said, whom)
ports = [int(port) for port in sys.argv[1:]]
threads = [threading.Thread(target=serve, args=[port]) for port in ports]
threads += [threading.Thread(target=echo, args=[port]) for port in ports]
for each in threads:
    each.start()
"""
_KNOCK: Final = """\
import concurrent.futures, json, socket, sys
def knock(door):
    address, port, kind = door
    try:
        if kind == "tcp":
            socket.create_connection((address, port), 4).close()
        else:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks:
                asks.settimeout(4)
                asks.sendto(b"?", (address, port))
                asks.recv(512)
    except OSError:
        return False
    return True
doors = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(len(doors)) as threads:
    print(json.dumps(dict(zip(doors, threads.map(knock, doors.values())))))
"""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A pod that listens on all ports, and knocks where it is told to."""

    name: str
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = PORTS
    user: int = 10001

    def manifest(self, image: str) -> dict[str, Any]:
        """Write it down."""
        listen = {
            "name": "probe",
            "image": image,
            "imagePullPolicy": "Never",
            "command": ["python3", "-c", _LISTEN, *map(str, self.ports)],
            "readinessProbe": {"tcpSocket": {"port": self.ports[-1]}, "periodSeconds": 1},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        if self.user == 0:
            del listen["securityContext"]
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": dict(self.labels)},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": False,
                "securityContext": {
                    "runAsNonRoot": self.user != 0,
                    "runAsUser": self.user,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [listen],
            },
        }

    def address(self, cluster: ClusterUnderTest) -> str:
        """Its address, once it is ready."""
        where = ["-n", self.namespace]
        cluster.kubectl("wait", *where, "--for=condition=Ready", f"pod/{self.name}", "--timeout=180s")
        return cluster.kubectl("get", "pod", self.name, *where, "-o", "jsonpath={.status.podIP}")

    def reaches(self, cluster: ClusterUnderTest, doors: Mapping[str, tuple[str, int, str]]) -> set[str]:
        """Knock at all doors, and name those that opened."""
        knock = ["exec", "-n", self.namespace, self.name, "--", "python3", "-c", _KNOCK, json.dumps(doors)]
        told = json.loads(cluster.kubectl(*knock))
        return {name for name, opened in told.items() if opened}


def start_all(cluster: ClusterUnderTest, probes: Iterable[Probe]) -> None:
    """Make the pods, each in its namespace, which is made where it is missing."""
    for one in probes:
        where = ["-n", one.namespace]
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": one.namespace}}
        if cluster.try_kubectl("get", "namespace", one.namespace).returncode != 0:
            cluster.kubectl("create", "-f", "-", stdin=json.dumps(made))
        cluster.kubectl("wait", *where, "--for=create", "serviceaccount/default", "--timeout=60s")
        cluster.kubectl("apply", *where, "-f", "-", stdin=json.dumps(one.manifest(cluster.image)))
