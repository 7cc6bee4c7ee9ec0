"""A candidate is stopped before anything is spent on it, and the reason is kept."""

import hashlib
import json
from pathlib import Path

import pytest

from goldgate.contracts.policy import AbsoluteGate, ChampionGate, EvaluationPlan, GoldSetPin, ReleasePolicy
from goldgate.contracts.release import Candidate
from goldgate.domain.errors import PermanentError
from goldgate.release.check import (
    GoldSetDriftError,
    GoldSetTooSmallError,
    Inspection,
    SecretsFoundError,
    check_candidate,
)
from tests.fakes.release_desk import ReleaseDesk


def gold_text(count: int = 3, *, same_id: bool = False) -> str:
    rows = [
        {"id": "q0" if same_id else f"q{number}", "question": "Why?", "expect": "answer", "must_contain": [["x"]]}
        for number in range(count)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


class Bench:
    def __init__(self, folder: Path, gold: str) -> None:
        self.desk, self.folder, self.inspected = ReleaseDesk(), folder, 0
        self.desk.store.write("r1", self.desk.order())
        (folder / "gold.jsonl").write_text(gold)
        self.pinned = hashlib.sha256(gold.encode()).hexdigest()

    def inspect(self, folder: Path) -> Inspection:
        assert folder == self.folder
        self.inspected += 1
        return Inspection(bundle_digest="b" * 64, prompt="a@1", model="m", tools=["search@1"])

    def check(self, *, min_rows: int = 3) -> Candidate:
        policy = ReleasePolicy(
            version=1,
            gold_set=GoldSetPin(digest=self.pinned),
            evaluation=EvaluationPlan(min_rows=min_rows),
            gates=[AbsoluteGate(metric="quality", at_least=0.8)],
            champion_gates=[ChampionGate(metric="quality", margin=0.03)],
        )
        return check_candidate(
            "r1",
            folder=self.folder,
            source_revision="abc",
            policy=policy,
            policy_digest="d" * 64,
            inspect=self.inspect,
            store=self.desk.store,
            ledger=self.desk.ledger,
        )


class TestCheckCandidate:
    def test_keeps_what_the_candidate_is(self, tmp_path: Path):
        bench = Bench(tmp_path, gold_text())

        candidate = bench.check()

        assert (candidate.bundle_digest, candidate.gold_digest, candidate.rows) == ("b" * 64, bench.pinned, 3)
        assert candidate.policy_digest == bench.desk.ledger.entries()[0].evidence["policy_digest"] == "d" * 64
        assert (candidate.tools, candidate.source_revision) == (["search@1"], "abc")
        assert bench.desk.ledger.story() == [("check", "sound")]

    def test_checks_once_however_often_it_runs(self, tmp_path: Path):
        bench = Bench(tmp_path, gold_text())

        assert bench.check() == bench.check()
        assert bench.inspected == 1

    def test_stops_at_a_secret_before_anything_else_is_read(self, tmp_path: Path):
        bench = Bench(tmp_path, "not a gold set")
        secret = "AKIA" + "IOSFODNN7EXAMPL3"
        (tmp_path / "agent.yaml").write_text(f"key: {secret}")

        with pytest.raises(SecretsFoundError, match=r"agent\.yaml:1: AWS access key id") as caught:
            bench.check()

        assert secret not in str(caught.value)
        assert bench.inspected == 0
        assert secret not in json.dumps(bench.desk.ledger.written)
        assert bench.desk.ledger.story() == [("check", "failed")]

    def test_stops_at_a_gold_set_that_drifted(self, tmp_path: Path):
        bench = Bench(tmp_path, gold_text())
        (tmp_path / "gold.jsonl").write_text(gold_text(4))

        with pytest.raises(GoldSetDriftError, match=r"release\.yaml pins") as caught:
            bench.check()

        assert caught.value.pinned == bench.pinned != caught.value.found

    def test_stops_at_too_few_rows(self, tmp_path: Path):
        with pytest.raises(GoldSetTooSmallError, match=r"has 3 rows, but release\.yaml needs 4"):
            Bench(tmp_path, gold_text()).check(min_rows=4)

    def test_stops_at_an_id_used_twice(self, tmp_path: Path):
        with pytest.raises(PermanentError, match="more than one row `q0`"):
            Bench(tmp_path, gold_text(same_id=True)).check()

    def test_keeps_why_the_agent_is_not_sound(self, tmp_path: Path):
        bench = Bench(tmp_path, gold_text())

        def refuse(folder: Path) -> Inspection:
            raise PermanentError(f"no prompt in {folder.name}")

        bench.inspect = refuse  # type: ignore[method-assign] # this bench's runtime finds fault
        with pytest.raises(PermanentError, match="no prompt"):
            bench.check()

        assert "no prompt" in str(bench.desk.ledger.entries()[0].evidence["reason"])
        assert bench.desk.store.read("r1", Candidate) is None
