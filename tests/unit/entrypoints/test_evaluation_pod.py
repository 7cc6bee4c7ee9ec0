"""The program of an evaluation's pod says by its exit code and its last word what became of the order."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from goldgate.contracts.cluster import StoredText
from goldgate.contracts.evaluation import Progress, Spent
from goldgate.contracts.evaluation_pods import EvaluationTold
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.evaluation_pod import ASKED, IMPOSSIBLE, PART_MISSING, TRY_AGAIN, main, told_now_and_then
from goldgate.entrypoints.pod_process import LAST_WORD
from goldgate.ports.parts import PartMissingError

TOLD = EvaluationTold(results={"candidate": StoredText(digest="0" * 64, size_bytes=1, parts=1)})
MOST_BYTES = 4096
"""More the kubelet does not keep."""


@pytest.fixture
def last_word(tmp_path: Path) -> Path:
    path = tmp_path / "termination-log"
    path.touch()
    return path


def fails(error: Exception) -> Callable[..., EvaluationTold]:
    def work(_order: str, *, spent: Spent, env: Mapping[str, str]) -> EvaluationTold:  # noqa: ARG001 - as it is called
        raise error

    return work


class TestMain:
    def test_says_where_the_results_lie(self, last_word: Path):
        code = main(["{}"], env={LAST_WORD: str(last_word)}, work=lambda _, **__: TOLD)

        assert code == ASKED
        assert EvaluationTold.model_validate_json(last_word.read_text()) == TOLD

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (PermanentError("no budget is left"), IMPOSSIBLE),
            (TransientError("no answer"), TRY_AGAIN),
            (PartMissingError("no such text"), PART_MISSING),
        ],
    )
    def test_tells_what_is_impossible_from_what_may_go_well_later(self, last_word: Path, error, code):
        assert main(["{}"], env={LAST_WORD: str(last_word)}, work=fails(error)) == code
        assert last_word.read_text() == str(error)

    def test_says_what_nobody_foresaw_in_place_of_an_end_without_a_word(self, last_word: Path):
        code = main(["{}"], env={LAST_WORD: str(last_word)}, work=fails(KeyError("gone")))

        assert code == IMPOSSIBLE
        assert last_word.read_text() == "KeyError: 'gone'"

    def test_is_told_what_earlier_pods_spent(self, last_word: Path):
        told: list[Spent] = []

        def work(_order: str, *, spent: Spent, env: Mapping[str, str]) -> EvaluationTold:  # noqa: ARG001 - as above
            told.append(spent)
            return TOLD

        main(["{}", "--spent", '{"usd": 0.5}'], env={LAST_WORD: str(last_word)}, work=work)
        main(["{}"], env={LAST_WORD: str(last_word)}, work=work)

        assert told == [Spent(usd=0.5), Spent()]

    def test_says_no_more_than_is_kept_and_breaks_no_letter(self, last_word: Path):
        main(["{}"], env={LAST_WORD: str(last_word)}, work=fails(PermanentError("é" * MOST_BYTES + "x")))
        odd = last_word.read_text()
        main(["{}"], env={LAST_WORD: str(last_word)}, work=fails(PermanentError("x" + "é" * MOST_BYTES)))

        assert odd == "é" * (MOST_BYTES // 2)
        assert last_word.read_text() == "x" + "é" * (MOST_BYTES // 2 - 1)


class TestProgress:
    def test_is_told_about_ten_times(self):
        told: list[int] = []
        tell = told_now_and_then(lambda now: told.append(now.done))

        for done in range(1, 313):
            tell(Progress(done=done, of=312))

        assert len(told) == 10
        assert told[-1] == 312

    def test_of_a_few_rows_is_told_for_each(self):
        told: list[int] = []
        tell = told_now_and_then(lambda now: told.append(now.done))

        for done in (1, 2, 3):
            tell(Progress(done=done, of=3))

        assert told == [1, 2, 3]
