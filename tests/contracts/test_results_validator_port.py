"""What every validator of results tables does."""

from collections.abc import Callable

import pytest

from goldgate.ports.delivery import ResultsValidator
from tests.fakes.evaluations import result, results
from tests.fakes.in_memory_results_validator import InMemoryResultsValidator


def great_expectations() -> ResultsValidator:
    from goldgate.adapters.great_expectations_validator import GreatExpectationsValidator

    return GreatExpectationsValidator()


@pytest.fixture(
    scope="module",
    params=[
        InMemoryResultsValidator,
        pytest.param(
            great_expectations,
            # Its dependencies warn of their future while they are imported.
            marks=pytest.mark.filterwarnings("ignore"),
        ),
    ],
)
def validator(request: pytest.FixtureRequest) -> ResultsValidator:
    make: Callable[[], ResultsValidator] = request.param
    return make()


class TestResultsValidator:
    def test_finds_a_whole_table_valid_and_writes_its_report(self, validator, tmp_path):
        rows = [*results([[True, False]] * 39), result("r39", 0, refused=True, answer=""), result("r39", 1)]

        validation = validator.validate(rows, expected_rows=40, repeats=2, report=tmp_path / "deep" / "report")

        assert validation.failures == []
        assert validation.is_valid
        assert validation.report == tmp_path / "deep" / "report"
        assert (validation.report / "index.html").is_file()

    @pytest.mark.parametrize(
        "rows",
        [
            pytest.param([], id="nothing"),
            pytest.param(results([True] * 3), id="a lost row"),
            pytest.param([*results([True] * 3), result("r0")], id="a row twice"),
            pytest.param([*results([True] * 3), result("r0", 1)], id="a repeat too many and a row too few"),
            pytest.param([*results([True] * 3), result("r3", answer=" ")], id="an empty answer"),
            pytest.param([*results([True] * 3), result("r3", failures=["Why."])], id="a contradiction"),
            pytest.param([*results([True] * 3), result("r3", tokens_cached=101)], id="more cached than read"),
            pytest.param(results([True] * 4, latency_ms=0.0), id="latency that was not measured"),
            pytest.param(results([False] * 4, error="connection refused"), id="an outage"),
        ],
    )
    def test_finds_a_table_that_is_not_fit_and_says_why(self, validator, rows, tmp_path):
        validation = validator.validate(rows, expected_rows=4, repeats=1, report=tmp_path)

        assert not validation.is_valid
        assert all(validation.failures)
        assert (tmp_path / "index.html").is_file()

    def test_keeps_questions_and_answers_out_of_its_report(self, validator, tmp_path):
        rows = results([True] * 4, answer="a very private answer", question="a very private question")

        validator.validate(rows[:3], expected_rows=4, repeats=1, report=tmp_path)

        pages = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")]
        assert pages
        assert not any("very private" in page for page in pages)
