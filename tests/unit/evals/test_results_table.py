"""A table is read back whole, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.digest import digest_bytes
from goldgate.evals.results import ResultsTableError, read_results, write_results
from tests.fakes.evaluations import result, results


class TestReadResults:
    def test_returns_what_was_written(self, tmp_path):
        rows = [*results([[True, False]] * 3), result("odd", answer="line\nbreak \u2028 and “quotes”", cost_usd=0.1)]
        path = tmp_path / "new" / "results.jsonl"

        digest = write_results(rows, path)

        assert read_results(path) == read_results(path, digest=digest) == rows
        assert digest == digest_bytes(path.read_bytes())

    def test_replaces_a_table_that_was_there(self, tmp_path):
        path = tmp_path / "results.jsonl"
        write_results(results([True] * 5), path)

        write_results(results([False] * 2), path)

        assert read_results(path) == results([False] * 2)

    def test_leaves_nothing_but_the_table_and_its_seal(self, tmp_path):
        write_results(results([True]), tmp_path / "results.jsonl")

        assert sorted(path.name for path in tmp_path.iterdir()) == ["results.jsonl", "results.jsonl.sha256"]

    @given(st.data())
    def test_refuses_a_table_cut_off_anywhere(self, tmp_path_factory, data):
        path = tmp_path_factory.mktemp("table") / "results.jsonl"
        write_results(results([True] * 3), path)
        whole = path.read_bytes()
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])

        with pytest.raises(ResultsTableError, match="cut off or altered"):
            read_results(path)

    def test_refuses_a_table_that_was_altered(self, tmp_path):
        path = tmp_path / "results.jsonl"
        write_results(results([False]), path)
        path.write_text(path.read_text().replace('"passed":false', '"passed":true'))

        with pytest.raises(ResultsTableError, match="cut off or altered"):
            read_results(path)

    def test_refuses_a_table_that_is_sealed_anew_but_not_the_one_that_is_known(self, tmp_path):
        path = tmp_path / "results.jsonl"
        digest = write_results(results([False]), path)
        write_results(results([True]), path)

        with pytest.raises(ResultsTableError, match="cut off or altered"):
            read_results(path, digest=digest)

    @pytest.mark.parametrize("missing", ["results.jsonl", "results.jsonl.sha256"])
    def test_refuses_a_table_without_its_seal_and_a_seal_without_its_table(self, tmp_path, missing):
        write_results(results([True]), tmp_path / "results.jsonl")
        (tmp_path / missing).unlink()

        with pytest.raises(ResultsTableError, match="expected both files"):
            read_results(tmp_path / "results.jsonl")
