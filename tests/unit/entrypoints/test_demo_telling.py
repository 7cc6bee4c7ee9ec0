import pytest

from goldgate.entrypoints.demo_telling import telling


class TestTelling:
    def test_tells_the_gates_that_held_a_candidate_back(self):
        result = {"verdict": "fail", "gates": {"quality >= 0.8": "fail", "cost": "pass"}, "broken_rows": ["a", "b"]}

        told = telling("judge", "success", result, seconds=2.0)

        assert "FAIL: quality >= 0.8; 2 rows broken" in told
        assert "cost" not in told

    def test_tells_an_outcome_with_its_reason(self):
        result = {"outcome": "aborted", "reason": "latency: p95 1200 ms"}

        assert "aborted: latency: p95 1200 ms" in telling("canary", "success", result, seconds=9.0)

    def test_tells_figures_and_who_ran_beside(self):
        told = telling("evaluate", "success", {"figures": {"quality": 0.8123456}, "champion_version": "3"}, seconds=1.0)

        assert "quality 0.8123; beside champion 3" in told

    @pytest.mark.parametrize("state", [None, "queued", "scheduled", "running"])
    def test_is_silent_on_states_that_nobody_waits_for(self, state):
        assert telling("check", state, None, seconds=None) == ""

    def test_says_what_a_long_task_does_meanwhile(self):
        assert "building the image" in telling("build", "running", None, seconds=None)
        assert telling("check", "running", None, seconds=None) == ""

    @pytest.mark.parametrize("state", ["skipped", "up_for_retry", "deferred", "failed"])
    def test_tells_every_state_that_matters_without_a_result(self, state):
        assert telling("check", state, None, seconds=None).startswith("check")
