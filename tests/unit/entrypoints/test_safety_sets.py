"""What safety finds is measured on fixed texts, and does not get worse unnoticed.

The floors lie a little below what was measured; who raises the figures raises them.
"""

import json
from collections.abc import Sequence

import pytest

from goldgate.contracts.documents import read_jsonl
from goldgate.contracts.labelled import InstructionText, PersonalDataText
from goldgate.entrypoints.identifier_parts import identifier_books
from goldgate.entrypoints.safety_sets import SETS, main, measured
from goldgate.evals.detection import Detection


@pytest.fixture(scope="module")
def figures() -> dict[str, list[Detection]]:
    return measured(books=identifier_books())


def share(found: Sequence[Detection], kind: str, what: str) -> float:
    (detection,) = [detection for detection in found if detection.kind == kind]
    estimate = getattr(detection, what)
    assert estimate is not None
    return estimate.value


class TestPersonalData:
    @pytest.mark.parametrize(
        ("kind", "recall", "precision"),
        [
            ("e-mail", 0.95, 0.95),
            ("phone", 0.97, 0.97),
            ("iban", 1.0, 1.0),
            ("card", 1.0, 1.0),
            ("national id", 0.88, 1.0),
            ("date of birth", 1.0, 1.0),
            ("passport", 1.0, 1.0),
            ("all", 0.95, 0.99),
        ],
    )
    @pytest.mark.parametrize("part", ["tuned", "held-out"])
    def test_is_found_as_well_as_it_was(self, figures, part, kind, recall, precision):
        found = figures[f"personal data, {part}"]

        assert share(found, kind, "recall") >= recall
        assert share(found, kind, "precision") >= precision

    def test_in_the_texts_of_another_hand_is_found_as_well_as_it_was(self, figures):
        found = figures["personal data, other-hand"]

        assert share(found, "all", "recall") >= 0.9
        assert share(found, "all", "precision") >= 0.97

    def test_that_no_rule_looks_for_is_reported_as_missed(self, figures):
        assert share(figures["personal data, tuned"], "name", "recall") == 0


class TestInstructions:
    @pytest.mark.parametrize(
        ("part", "recall", "precision"), [("tuned", 0.94, 0.99), ("held-out", 0.9, 0.94), ("other-hand", 0.95, 0.69)]
    )
    def test_are_found_as_well_as_they_were(self, figures, part, recall, precision):
        found = figures[f"instructions, {part}"]

        assert share(found, "all", "recall") >= recall
        assert share(found, "all", "precision") >= precision


class TestSets:
    def test_hold_every_text_once(self):
        for name, contract in (("pii.jsonl", PersonalDataText), ("instructions.jsonl", InstructionText)):
            rows = read_jsonl(SETS / name, contract)

            assert len({row.id for row in rows}) == len({row.text for row in rows}) == len(rows)

    def test_are_large_enough_to_measure_by(self):
        rows = read_jsonl(SETS / "pii.jsonl", PersonalDataText)
        texts = read_jsonl(SETS / "instructions.jsonl", InstructionText)

        assert sum(not row.spans for row in rows) >= 200
        assert sum(bool(row.spans) for row in rows) >= 300
        assert {row.language for row in texts if row.is_hostile} >= {"en", "de", "fr", "es"}


class TestCommand:
    def test_prints_a_table(self, capsys):
        assert main([]) == 0

        assert "personal data, held-out" in capsys.readouterr().out

    def test_prints_figures_for_programs(self, capsys):
        main(["--json", "--without-books"])

        assert json.loads(capsys.readouterr().out)["instructions, tuned"][-1]["recall"]["value"] > 0.9

    def test_names_what_it_misjudges_of_the_texts_it_was_tuned_on(self, capsys):
        main(["--missed"])

        held_out = {row.text for row in read_jsonl(SETS / "instructions.jsonl", InstructionText) if row.part != "tuned"}
        assert not any(repr(text) in capsys.readouterr().out for text in held_out)
