"""What makes a gold set unfit."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.contracts.base import ContractError
from goldgate.contracts.gold import GoldRow
from goldgate.evals.gold_checks import check_gold_set, digest_gold, longest_shared_run

CHUNKS = {
    "core.max_runs": "Option: [core] max_runs\nThe largest number of runs that a pipeline may have at any one time.",
    "api.port": "Option: [api] port\nThe port on which the server listens. Default: 8080",
}
WORDS = st.lists(st.sampled_from(["red", "green", "blue", "one", "two", "three"]), max_size=12)


def _row(**changes: object) -> GoldRow:
    row: dict[str, object] = {
        "id": "many-runs",
        "question": "Yesterday forty of them started together, how do I stop that?",
        "expect": "answer",
        "relevant": ["core.max_runs"],
        "must_contain": [["core.max_runs"]],
    }
    return GoldRow.model_validate({**row, **changes})


class TestCheckGoldSet:
    def test_finds_nothing_wrong_with_a_sound_set(self):
        rows = [
            _row(),
            _row(id="where", question="On what number does it answer?", relevant=["api.port"], must_contain=[["8080"]]),
            _row(id="lunch", question="What is for lunch?", expect="refusal", relevant=[], must_contain=[]),
        ]

        assert check_gold_set(rows, chunks=CHUNKS) == []

    def test_tells_an_id_used_twice_at_its_second_use(self):
        rows = [_row(), _row(question="Can they be fewer?")]

        (problem,) = check_gold_set(rows, chunks=CHUNKS, where="a/gold.jsonl")

        assert (problem.where, problem.field) == ("a/gold.jsonl:2", "id")

    def test_tells_a_question_asked_twice_whatever_its_punctuation(self):
        rows = [_row(), _row(id="again", question="yesterday forty of them started together: how do I stop that")]

        (problem,) = check_gold_set(rows, chunks=CHUNKS)

        assert (problem.field, problem.found) == ("question", "the question of row `many-runs` again")

    def test_takes_the_same_question_about_two_attachments(self):
        rows = [_row(context=["log one"]), _row(id="again", context=["log two"])]

        assert check_gold_set(rows, chunks=CHUNKS) == []

    def test_tells_a_passage_that_the_corpus_does_not_hold(self):
        rows = [_row(relevant=["core.max_runs", "core.gone"])]

        (problem,) = check_gold_set(rows, chunks=CHUNKS)

        assert (problem.field, problem.found) == ("relevant.1", "`core.gone`")

    def test_tells_a_demand_that_no_relevant_passage_can_meet(self):
        """Such a row fails whatever the agent does."""
        rows = [_row(must_contain=[["core.max_runs"], ["sixteen", "16"]])]

        (problem,) = check_gold_set(rows, chunks=CHUNKS)

        assert problem.field == "must_contain.1"

    def test_leaves_the_demands_on_a_tool_to_the_tool(self):
        rows = [_row(must_contain=[["made up by the tool"]], needs_tool="look_up")]

        assert check_gold_set(rows, chunks=CHUNKS) == []

    @pytest.mark.parametrize("question", ["What does core.max_runs do?", "Should MAX_RUNS be higher?"])
    def test_tells_a_question_that_names_its_answer(self, question: str):
        (problem,) = check_gold_set([_row(question=question)], chunks=CHUNKS)

        assert problem.found == "the name of its answer, `core.max_runs`"

    def test_lets_a_question_use_a_word_that_happens_to_be_a_name(self):
        rows = [_row(question="Which port is it?", relevant=["api.port"], must_contain=[["8080"]])]

        assert check_gold_set(rows, chunks=CHUNKS) == []

    def test_lets_a_question_for_a_tool_name_what_it_is_about(self):
        rows = [_row(question="Which variable sets core.max_runs?", needs_tool="environment_variable")]

        assert check_gold_set(rows, chunks=CHUNKS) == []

    def test_tells_a_question_that_copies_its_answer(self):
        rows = [_row(question="Set the number of runs that a pipeline has?")]

        (problem,) = check_gold_set(rows, chunks=CHUNKS)

        assert problem.found == "6 words in a row of its answer `core.max_runs`: `number of runs that a pipeline`"

    def test_takes_a_run_of_exactly_the_bound(self):
        rows = [_row(question="Set the number of runs that a pipeline has?")]

        assert check_gold_set(rows, chunks=CHUNKS, max_overlap=6) == []


class TestLongestSharedRun:
    @given(before=WORDS, shared=WORDS, after=WORDS)
    def test_is_at_least_as_long_as_what_was_copied(self, before: list[str], shared: list[str], after: list[str]):
        run = longest_shared_run(" ".join([*before, *shared]), " ".join([*shared, *after]))

        assert len(run) >= len(shared)

    @given(left=WORDS, right=WORDS)
    def test_stands_in_both_texts(self, left: list[str], right: list[str]):
        run = " ".join(longest_shared_run(" ".join(left), " ".join(right)))

        assert f" {run} ".replace("  ", " ") in f" {' '.join(left)} ".replace("  ", " ")
        assert f" {run} ".replace("  ", " ") in f" {' '.join(right)} ".replace("  ", " ")


class TestDigestGold:
    def test_is_the_digest_of_the_files_bytes(self, tmp_path: Path):
        file = tmp_path / "gold.jsonl"
        file.write_bytes(b'{"id": "a"}\n')

        assert digest_gold(file) == hashlib.sha256(b'{"id": "a"}\n').hexdigest()

    def test_says_which_file_is_missing(self, tmp_path: Path):
        with pytest.raises(ContractError, match=r"gold\.jsonl"):
            digest_gold(tmp_path / "gold.jsonl")
