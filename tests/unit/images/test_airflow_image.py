"""The Airflow image is built from what its ignore file lets in, on the official image and on Astro Runtime."""

import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[3]
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text()
LET_IN = {
    line.removeprefix("!") for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")
}


class TestAirflowImage:
    def test_copies_only_what_is_let_in(self):
        copied = set(re.findall(r"^COPY (\S+) ", DOCKERFILE, flags=re.MULTILINE))

        assert copied == {"requirements.txt", "dags", "plugins", "include"}
        assert copied <= LET_IN

    def test_lets_in_nothing_that_is_not_there(self):
        assert [name for name in LET_IN if not (CHECKOUT / name).exists()] == []

    def test_installs_what_was_tested_and_nothing_else(self):
        assert "--require-hashes --requirement requirements.txt" in DOCKERFILE
        lock = (CHECKOUT / "requirements.txt").read_text()
        pinned = re.findall(r"^([a-z0-9][^\s=]*)==", lock, flags=re.MULTILINE)
        entries = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)
        assert "apache-airflow" in pinned
        assert [entry for entry in entries if entry[:1].isalnum() and "--hash=sha256:" not in entry] == []

    def test_gives_astro_runtime_the_files_that_it_installs_by_itself(self):
        assert {"packages.txt", "requirements.txt"} <= LET_IN
        assert (CHECKOUT / "packages.txt").read_text() == ""
