"""What only a lock between processes must do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from goldgate.adapters.file_locks import FileLocks
from goldgate.domain.errors import TransientError

HOLD = """
import sys
from pathlib import Path
from goldgate.adapters.file_locks import FileLocks
with FileLocks(Path(sys.argv[1])).hold("alias-a", within_s=10):
    print("held", flush=True)
    sys.stdin.read()
"""


class TestFileLocks:
    def test_names_the_process_that_holds_and_is_free_when_it_is_killed(self, tmp_path: Path):
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "include")}
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"

            with pytest.raises(TransientError, match=f"process {holder.pid} holds"):
                FileLocks(tmp_path).hold("alias-a", within_s=0).__enter__()
            holder.kill()
            holder.wait()

        with FileLocks(tmp_path).hold("alias-a", within_s=0):
            assert (tmp_path / "alias-a.lock").read_text() == f"{os.getpid()}\n"

    def test_asks_until_the_time_is_over(self, tmp_path: Path):
        now_s, waits = [0.0], []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            now_s[0] += seconds

        locks = FileLocks(tmp_path, monotonic_s=lambda: now_s[0], sleep_s=sleep)
        with FileLocks(tmp_path).hold("alias-a", within_s=0), pytest.raises(TransientError, match=r"within 0\.5 s"):
            locks.hold("alias-a", within_s=0.5).__enter__()

        assert sum(waits) == pytest.approx(0.5, abs=0.03)
