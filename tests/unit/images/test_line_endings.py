"""A checkout has the same bytes everywhere, or its images, locks and gold sets would have other digests."""

import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
MADE_BY = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")


def git(*words: str) -> None:
    subprocess.run(["git", *words], check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
class TestLineEndings:
    def test_are_not_changed_by_a_git_that_changes_those_of_others(self, tmp_path: Path):
        repository = tmp_path / "repository"
        git("init", "--quiet", str(repository))
        shutil.copyfile(CHECKOUT / ".gitattributes", repository / ".gitattributes")
        (repository / "lock.txt").write_bytes(b"one\ntwo\n")
        git("-C", str(repository), "add", ".")
        git("-C", str(repository), *MADE_BY, "commit", "--quiet", "-m", "x")

        git("clone", "--quiet", "-c", "core.autocrlf=true", str(repository), str(tmp_path / "cloned"))

        assert (tmp_path / "cloned" / "lock.txt").read_bytes() == b"one\ntwo\n"
