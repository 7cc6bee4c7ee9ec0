"""include/deploy as a test applies it: through an overlay of its own, into its own namespace."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from goldgate.entrypoints.settings import CHECKOUT
from tests.cluster.conftest import ClusterUnderTest
from tests.waiting import until

DEPLOY = CHECKOUT / "include" / "deploy"


def overlay(folder: Path, *, namespace: str, bases: Iterable[str] = ("base",), more: str = "") -> Path:
    """Write a kustomization over parts of include/deploy, which it reaches by a relative path as kustomize wants it."""
    resources = "".join(f"  - {os.path.relpath((DEPLOY / base).resolve(), folder.resolve())}\n" for base in bases)
    head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
    (folder / "kustomization.yaml").write_text(f"{head}namespace: {namespace}\nresources:\n{resources}{more}")
    return folder


def account_in(cluster: ClusterUnderTest, name: str) -> str:
    """Name a service account as the API server does."""
    return f"system:serviceaccount:{cluster.namespace}:{name}"


def await_policies(cluster: ClusterUnderTest, *names: str) -> None:
    """Wait until admission policies are read by whoever enforces them, which is a moment after they are written."""

    def are_read() -> bool:
        told = [json.loads(cluster.kubectl("get", "validatingadmissionpolicy", name, "-o", "json")) for name in names]
        return all(
            one.get("status", {}).get("observedGeneration") == one["metadata"]["generation"]
            and "typeChecking" in one["status"]
            for one in told
        )

    until(are_read)
