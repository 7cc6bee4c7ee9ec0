import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.retrieval import (
    DEFINITIONS,
    context_precision,
    context_use_rate,
    definitions_page,
    hit_at_k,
    retriever_k,
)

ids = st.lists(st.sampled_from("abcdef"), unique=True)


class TestRetrievalFigures:
    @pytest.mark.parametrize(
        ("passages", "relevant", "expected"),
        [
            (["x", "b", "y", "z"], ["a", "b"], (4, True, 0.25)),
            (["a", "b"], ["a", "b", "c"], (2, True, 1.0)),
            (["x", "y"], ["a"], (2, False, 0.0)),
            ([], ["a"], (0, False, None)),
            (["x"], [], (1, None, None)),
        ],
    )
    def test_have_known_values(self, passages, relevant, expected):
        found = retriever_k(passages), hit_at_k(passages, relevant), context_precision(passages, relevant)

        assert found == expected

    @pytest.mark.parametrize(
        ("passages", "cited", "expected"),
        [(["a", "b"], ["b"], 0.5), (["a", "b"], ["q"], 0.0), (["a"], ["a", "a"], 1.0), ([], ["a"], None)],
    )
    def test_count_what_was_given_and_cited(self, passages, cited, expected):
        assert context_use_rate(passages, cited) == expected

    @given(ids, ids)
    def test_agree_with_each_other(self, passages, relevant):
        precision = context_precision(passages, relevant)

        if precision is not None:
            assert 0 <= precision <= 1
            assert (precision > 0) == hit_at_k(passages, relevant)
            assert precision * retriever_k(passages) == pytest.approx(len(set(passages) & set(relevant)))


class TestDefinitions:
    def test_say_of_every_figure_what_it_is_and_when_there_is_none(self):
        page = definitions_page()

        assert [d.name for d in DEFINITIONS] == ["retriever_k", "hit_at_k", "context_precision", "context_use_rate"]
        for definition in DEFINITIONS:
            assert f"| `{definition.name}` | {definition.formula} | {definition.span} |" in page
            assert definition.unmeasured in page
