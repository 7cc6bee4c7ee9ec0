"""Every lock of the port excludes, times out, and lets go."""

import threading
from pathlib import Path

import pytest

from goldgate.adapters.file_locks import FileLocks
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.records import Locks
from tests.fakes.in_memory_locks import InMemoryLocks


@pytest.fixture(params=["memory", "file"])
def locks(request: pytest.FixtureRequest, tmp_path: Path) -> Locks:
    return InMemoryLocks() if request.param == "memory" else FileLocks(tmp_path / "locks")


class TestLocks:
    def test_exclude_everybody_else(self, locks: Locks):
        inside, seen = 0, []

        def work() -> None:
            nonlocal inside
            for _ in range(20):
                with locks.hold("alias-a", within_s=30):
                    inside += 1
                    seen.append(inside)
                    inside -= 1

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert seen == [1] * 80

    def test_give_up_after_the_time_given(self, locks: Locks):
        with locks.hold("alias-a", within_s=1), pytest.raises(TransientError, match="alias-a"):
            locks.hold("alias-a", within_s=0).__enter__()

    def test_are_free_after_an_error_inside(self, locks: Locks):
        with pytest.raises(ZeroDivisionError), locks.hold("alias-a", within_s=0):
            raise ZeroDivisionError

        with locks.hold("alias-a", within_s=0):
            pass

    def test_of_different_names_do_not_meet(self, locks: Locks):
        with locks.hold("alias-a", within_s=0), locks.hold("alias-b", within_s=0):
            pass

    def test_refuse_a_name_that_leads_elsewhere(self, locks: Locks):
        with pytest.raises(PermanentError, match="lock name"), locks.hold("../a", within_s=0):
            raise AssertionError("held")
