"""Environments made by the real uv, which needs no network for one without packages."""

import contextlib
import os
import subprocess
import threading
from pathlib import Path

import pytest

from goldgate.adapters.uv_environments import UvEnvironments
from goldgate.domain.errors import PermanentError

NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of nothing."""
PYTHON = "3.11"
ENV = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}


def opened(folder: Path, *, baked: tuple[Path, ...] = ()) -> UvEnvironments:
    lock = threading.Lock()

    @contextlib.contextmanager
    def hold(_name: str):
        with lock:
            yield

    return UvEnvironments(folder, baked=baked, env=ENV, lock=hold)


class TestUvEnvironments:
    def test_hold_the_standard_library_and_nothing_of_ours(self, tmp_path):
        found = opened(tmp_path).interpreter(None, requirements_digest=NOTHING, python=PYTHON)

        program = "import sys, json; import pydantic"
        done = subprocess.run([found, "-c", program], capture_output=True, text=True, check=False)
        assert "No module named 'pydantic'" in done.stderr

    def test_are_built_once_by_several_at_a_time(self, tmp_path):
        environments = opened(tmp_path)
        found: list[Path] = []
        builders = [
            threading.Thread(
                target=lambda: found.append(environments.interpreter(None, requirements_digest=NOTHING, python=PYTHON))
            )
            for _ in range(4)
        ]
        for builder in builders:
            builder.start()
        for builder in builders:
            builder.join()

        assert len(found) == 4
        assert len(set(found)) == 1
        assert [path.name for path in tmp_path.iterdir()] == [found[0].parent.parent.name]

    def test_are_used_without_uv_once_they_are_there(self, tmp_path):
        found = opened(tmp_path).interpreter(None, requirements_digest=NOTHING, python=PYTHON)

        class Never(UvEnvironments):
            def _program(self) -> str:
                raise AssertionError("uv was asked for an environment that is there")

        again = Never(tmp_path, env={}, lock=lambda _: contextlib.nullcontext())
        assert again.interpreter(None, requirements_digest=NOTHING, python=PYTHON) == found

    def test_are_found_where_an_image_baked_them(self, tmp_path):
        baked = opened(tmp_path / "baked").interpreter(None, requirements_digest=NOTHING, python=PYTHON)

        found = opened(tmp_path / "home", baked=(tmp_path / "baked",))

        assert found.interpreter(None, requirements_digest=NOTHING, python=PYTHON) == baked
        assert not (tmp_path / "home").exists()

    def test_that_cannot_be_built_leave_nothing_behind(self, tmp_path):
        requirements = tmp_path / "requirements.txt"
        requirements.write_text("no-hash==1.0\n")

        with pytest.raises(PermanentError, match=r"`uv pip` built no environment"):
            opened(tmp_path / "made").interpreter(requirements, requirements_digest="0" * 64, python=PYTHON)

        assert list((tmp_path / "made").iterdir()) == []

    def test_differ_by_python_and_by_requirements(self, tmp_path):
        environments = opened(tmp_path)

        one = environments.interpreter(None, requirements_digest=NOTHING, python=PYTHON)
        other = environments.interpreter(None, requirements_digest="0" * 64, python=PYTHON)

        assert one != other

    def test_of_a_python_that_is_not_here_are_refused(self, tmp_path):
        with pytest.raises(PermanentError, match=r"`pythonVersion`"):
            opened(tmp_path).interpreter(None, requirements_digest=NOTHING, python="3.99")
