"""include/deploy on a cluster that holds nothing, not even our custom resources."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.deployed import DEPLOY
from tests.cluster.one_node.cluster import OneNode, up

# It starts a second cluster on this machine.
pytestmark = pytest.mark.disruptive


@pytest.fixture
def empty(whole_cluster: ClusterUnderTest) -> Iterator[OneNode]:
    assert whole_cluster.one_node
    # Not below pytest's folder, whose path is too long for the sockets of a cluster.
    with tempfile.TemporaryDirectory(prefix="empty-", ignore_cleanup_errors=True) as folder:
        node = up(Path(folder), images=[])
        try:
            yield node
        finally:
            node.down()


def apply(node: OneNode) -> "subprocess.CompletedProcess[str]":
    command = ["kubectl", "--kubeconfig", str(node.kubeconfig), "apply", "-k", str(DEPLOY)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


class TestAnEmptyCluster:
    def test_takes_everything_at_once_and_once_more_with_nothing_changed(self, empty: OneNode):
        first = apply(empty)
        again = apply(empty)

        assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
        assert [line for line in first.stdout.splitlines() if not line.endswith(" created")] == []
        assert "customresourcedefinition.apiextensions.k8s.io/taskruns.goldgate.dev created" in first.stdout
        # kubectl says so of every disruption budget, whose selector it always sends whole.
        rest = [line for line in again.stdout.splitlines() if not line.endswith(" unchanged")]
        assert rest == ["poddisruptionbudget.policy/goldgate-router configured"]
