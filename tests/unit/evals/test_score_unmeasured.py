"""What an agent does not report is neither 0 nor missed."""

from goldgate.contracts.gold import GoldRow
from goldgate.contracts.prediction import PredictResponse, Reported
from goldgate.evals.score import score

ROW = GoldRow(id="r", question="q", expect="answer", relevant=["a"], must_contain=[["yes"]], needs_tool="look")


def said(*unmeasured: Reported) -> PredictResponse:
    return PredictResponse(
        answer="yes",
        refused=False,
        retrieved=[] if "retrieved" in unmeasured else ["b"],
        latency_ms_total=1,
        latency_ms_llm=1,
        trace_id="0" * 32,
        model="m",
        prompt="p",
        unmeasured=list(unmeasured),
    )


class TestScoreOfWhatIsNotReported:
    def test_leaves_retrieval_open(self):
        open_, missed = score(ROW, said("retrieved", "citations"), repeat=0), score(ROW, said(), repeat=0)

        assert (open_.hit_at_k, open_.context_precision, open_.context_use_rate) == (None, None, None)
        assert (missed.hit_at_k, missed.context_precision, missed.context_use_rate) == (False, 0.0, 0.0)

    def test_does_not_take_citations_that_are_not_told_for_none(self):
        result = score(ROW, said("citations"), repeat=0)

        assert (result.hit_at_k, result.context_use_rate) == (False, None)

    def test_blocks_a_row_that_needs_a_tool_and_says_why(self):
        unknown, known = score(ROW, said("tool_calls"), repeat=0), score(ROW, said(), repeat=0)

        assert not unknown.passed
        assert unknown.failures == [
            "Whether the tool `look` was called is unmeasured: the agent does not report its calls."
        ]
        assert known.failures == ["Did not call the tool `look`."]
