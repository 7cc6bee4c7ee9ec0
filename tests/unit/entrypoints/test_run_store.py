import json
import subprocess
import sys
from pathlib import Path

import pytest

from goldgate.adapters.cluster.connection import Access
from goldgate.adapters.cluster.task_runs import ClusterTaskRunStore
from goldgate.adapters.file_task_runs import FileTaskRunStore
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.run_store import open_store
from goldgate.entrypoints.settings import CHECKOUT, Settings


def settings(tmp_path: Path, **env: str) -> Settings:
    return Settings.from_env({"GOLDGATE_HOME": str(tmp_path), **env})


KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
    "users": [{"name": "u", "user": {"token": "secret"}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "x",
}


class TestOpenStore:
    def test_opens_files_where_no_cluster_is_named(self, tmp_path: Path):
        assert isinstance(open_store(settings(tmp_path)), FileTaskRunStore)

    def test_opens_the_cluster_of_the_settings(self, tmp_path: Path):
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(KUBECONFIG))

        store = open_store(settings(tmp_path, GOLDGATE_CLUSTER=str(path)))

        assert isinstance(store, ClusterTaskRunStore)
        store.close()

    def test_opens_the_cluster_that_it_is_given_access_to(self, tmp_path: Path):
        store = open_store(settings(tmp_path), access=Access(server="http://127.0.0.1:9", token="secret"))

        assert isinstance(store, ClusterTaskRunStore)
        store.close()

    def test_asks_a_server_that_is_away_no_longer_than_it_is_told(self, tmp_path: Path):
        access = Access(server="http://127.0.0.1:9", token="secret")
        store = open_store(settings(tmp_path), access=access, within_s=0)

        with pytest.raises(TransientError, match=r"list TaskRuns: it refused the connection\. Try again later\.$"):
            store.names()

        store.close()

    def test_says_what_is_wrong_with_a_cluster_that_is_not_there(self, tmp_path: Path):
        with pytest.raises(PermanentError, match="GOLDGATE_CLUSTER"):
            open_store(settings(tmp_path, GOLDGATE_CLUSTER=str(tmp_path / "none")))

    def test_loads_no_client_of_a_cluster_for_files(self, tmp_path: Path):
        program = (
            "import sys; from pathlib import Path; from goldgate.entrypoints.run_store import open_store; "
            "from goldgate.entrypoints.settings import Settings; "
            f"open_store(Settings.from_env({{'GOLDGATE_HOME': {str(tmp_path)!r}}})); "
            "print([name for name in sys.modules if name.startswith(('lightkube', 'httpx2'))])"
        )

        said = subprocess.run(
            [sys.executable, "-c", program],
            check=False,
            env={"PYTHONPATH": str(CHECKOUT / "include")},
            capture_output=True,
            text=True,
        )

        assert said.stdout.strip() == "[]", said.stderr
