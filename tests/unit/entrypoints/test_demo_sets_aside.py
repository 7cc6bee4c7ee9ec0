"""The demonstration begins anew, but never at the cost of what somebody released for real."""

import pytest

from goldgate.adapters.file_ledger import FileLedger
from goldgate.adapters.file_locks import FileLocks
from goldgate.adapters.system_clock import SystemClock
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.demo import run_demo
from goldgate.entrypoints.settings import Settings


class TestRunDemo:
    def test_touches_nothing_where_other_releases_are(self, tmp_path):
        settings = Settings.from_env({"GOLDGATE_HOME": str(tmp_path)})
        ledger = FileLedger(
            tmp_path / "ledger" / "ledger.jsonl", clock=SystemClock(), locks=FileLocks(tmp_path / "locks")
        )
        for release_id in ("demo-1-lexical", "manual-7"):
            (tmp_path / "releases" / release_id).mkdir(parents=True)
            ledger.append(agent="a", release_id=release_id, step="open", outcome="opened", by="me", evidence={})
        said: list[str] = []

        with pytest.raises(PermanentError, match=r"not the demonstration's: manual-7\."):
            run_demo(settings, agent="airflow-helper", say=said.append)

        assert sorted(path.name for path in (tmp_path / "releases").iterdir()) == ["demo-1-lexical", "manual-7"]
        assert said == []
