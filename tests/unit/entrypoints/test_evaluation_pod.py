"""The program of an evaluation's pod says by its exit code and its last word what became of the order."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from goldgate.contracts.cluster import StoredText
from goldgate.contracts.evaluation_pods import EvaluationTold
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.evaluation_pod import ASKED, IMPOSSIBLE, TRY_AGAIN, main
from goldgate.entrypoints.pod_process import LAST_WORD

TOLD = EvaluationTold(results={"candidate": StoredText(digest="0" * 64, size_bytes=1, parts=1)})
MOST_BYTES = 4096
"""More the kubelet does not keep."""


@pytest.fixture
def last_word(tmp_path: Path) -> Path:
    path = tmp_path / "termination-log"
    path.touch()
    return path


def fails(error: Exception) -> Callable[..., EvaluationTold]:
    def work(_order: str, *, env: Mapping[str, str]) -> EvaluationTold:  # noqa: ARG001 - as it is called
        raise error

    return work


class TestMain:
    def test_says_where_the_results_lie(self, last_word: Path):
        code = main(["{}"], env={LAST_WORD: str(last_word)}, work=lambda _, **__: TOLD)

        assert code == ASKED
        assert EvaluationTold.model_validate_json(last_word.read_text()) == TOLD

    @pytest.mark.parametrize(
        ("error", "code"),
        [(PermanentError("no such text"), IMPOSSIBLE), (TransientError("no answer"), TRY_AGAIN)],
    )
    def test_tells_what_is_impossible_from_what_may_go_well_later(self, last_word: Path, error, code):
        assert main(["{}"], env={LAST_WORD: str(last_word)}, work=fails(error)) == code
        assert last_word.read_text() == str(error)

    def test_says_no_more_than_is_kept_and_breaks_no_letter(self, last_word: Path):
        main(["{}"], env={LAST_WORD: str(last_word)}, work=fails(PermanentError("é" * MOST_BYTES + "x")))
        odd = last_word.read_text()
        main(["{}"], env={LAST_WORD: str(last_word)}, work=fails(PermanentError("x" + "é" * MOST_BYTES)))

        assert odd == "é" * (MOST_BYTES // 2)
        assert last_word.read_text() == "x" + "é" * (MOST_BYTES // 2 - 1)
