"""`make test-cluster` where something is missing: what it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from goldgate.entrypoints.settings import CHECKOUT
from tests.cluster.one_node.cluster import PROGRAMS


def program(folder: Path, name: str, *, says: str = "", code: int = 0) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho '{says}' >&2\nexit {code}\n")
    (folder / name).chmod(0o755)


def asked(folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """Ask for cluster tests where only the programs of a folder are."""
    env = {"PATH": str(folder), "PYTHONPATH": ".:include", "HOME": str(folder), **given}
    command = [sys.executable, "-m", "tests.cluster", "--collect-only"]
    return subprocess.run(command, cwd=CHECKOUT, env=env, check=False, capture_output=True, text=True)


class TestGivenCluster:
    def test_is_told_where_it_does_not_answer(self, tmp_path: Path):
        program(tmp_path, "kubectl", says="connection refused", code=1)

        ended = asked(tmp_path, GOLDGATE_TEST_KUBECONFIG="/some/kubeconfig")

        assert ended.returncode == 3
        assert "`/some/kubeconfig` did not take our custom resources: connection refused" in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_is_told_what_is_skipped_on_it(self, tmp_path: Path):
        program(tmp_path, "kubectl", says="connection refused", code=1)

        known = asked(tmp_path, GOLDGATE_TEST_KUBECONFIG="/k", GOLDGATE_TEST_IMAGES="{}", GOLDGATE_TEST_HOST="10.0.0.1")
        unknown = asked(tmp_path, GOLDGATE_TEST_KUBECONFIG="/k", GOLDGATE_TEST_HOST="10.0.0.1")

        assert "skipped" not in known.stdout
        assert "tests that need GOLDGATE_TEST_IMAGES are skipped" in unknown.stdout

    def test_needs_a_kubectl(self, tmp_path: Path):
        ended = asked(tmp_path, GOLDGATE_TEST_KUBECONFIG="/some/kubeconfig")

        assert (ended.returncode, "no `kubectl` on the PATH" in ended.stderr) == (3, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="without root the one-node cluster asks for that first")
class TestOneNode:
    def test_names_the_programs_that_it_lacks_and_what_would_do_instead(self, tmp_path: Path):
        ended = asked(tmp_path)

        assert ended.returncode == 3
        assert f"the one-node cluster needs {', '.join(PROGRAMS)}" in ended.stderr
        assert "GOLDGATE_TEST_KUBECONFIG" in ended.stderr

    def test_needs_go(self, tmp_path: Path):
        for name in PROGRAMS:
            program(tmp_path, name)

        ended = asked(tmp_path)

        assert ended.returncode == 3
        assert "no `go` on the PATH, which builds the one-node cluster (Go 1.26 or newer)" in ended.stderr
        assert "GOLDGATE_TEST_KUBECONFIG" in ended.stderr


class TestASkippedTest:
    @pytest.mark.parametrize(("given", "code"), [({"GOLDGATE_TEST_NODE": "/some/folder"}, 1), ({}, 0)])
    def test_is_a_failure_on_the_one_node_cluster_alone(self, given: dict[str, str], code: int):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("GOLDGATE_TEST_", "PYTEST_"))}
        command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "tests/cluster/test_the_cluster.py"]

        ended = subprocess.run(command, cwd=CHECKOUT, env={**env, **given}, check=False, capture_output=True, text=True)

        assert ended.returncode == code, ended.stdout
        assert ("where no test may be: tests/cluster/test_the_cluster.py::TestACluster" in ended.stdout) is (code == 1)
