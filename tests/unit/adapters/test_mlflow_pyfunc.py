"""Rows come to a packaged agent in whatever form MLflow hands them over."""

import warnings

import numpy as np
import pandas as pd  # noqa: TID253 - what MLflow hands over is what is tested
import pytest

from goldgate.domain.errors import PermanentError

with warnings.catch_warnings():
    # MLflow 3.17 warns of its own type hints while it is imported.
    warnings.simplefilter("ignore")
    from goldgate.adapters.mlflow_pyfunc import PackagedAgent, rows_of

ROW = {"question": "Why?", "context": ["a"], "history": [{"role": "user", "content": "h"}]}


class Context:
    """What MLflow gives to a model that it loads."""

    def __init__(self, loader: str, bundle: str) -> None:
        self.model_config = {"loader": loader}
        self.artifacts = {"bundle": bundle}


class TestRowsOf:
    @pytest.mark.parametrize("given", [ROW, [ROW], pd.DataFrame([ROW])], ids=["one", "list", "frame"])
    def test_are_the_same_whatever_the_form(self, given):
        assert rows_of(given) == [ROW]

    def test_turns_arrays_back_into_lists(self):
        given = {**ROW, "context": np.array(["a"]), "history": np.array([{"role": "user", "content": "h"}])}

        assert rows_of(pd.DataFrame([given])) == [ROW]

    def test_leaves_out_what_a_row_does_not_have(self):
        frame = pd.DataFrame([{"question": "one"}, {"question": "two", "trace_id": "1" * 32}])

        assert rows_of(frame) == [{"question": "one"}, {"question": "two", "trace_id": "1" * 32}]

    def test_refuses_what_holds_no_rows(self):
        with pytest.raises(PermanentError, match="expected rows with `question`"):
            rows_of("Why?")


class TestPackagedAgent:
    def test_says_which_loader_is_not_here(self, tmp_path):
        with pytest.raises(PermanentError, match=r"goldgate\.nowhere:load"):
            PackagedAgent().load_context(Context("goldgate.nowhere:load", str(tmp_path)))

    def test_refuses_a_row_that_breaks_the_contract(self, tmp_path):
        (tmp_path / "prompts").mkdir()
        (tmp_path / "prompts" / "system.md").write_text("p")
        agent = PackagedAgent()
        agent.load_context(Context("tests.fakes.echo_agent:load_echo", str(tmp_path)))

        with pytest.raises(PermanentError, match="row 2: `question`: found nothing"):
            agent.predict(None, [ROW, {"context": []}])
