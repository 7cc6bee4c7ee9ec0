import pytest

from goldgate.contracts.demo import DemoRelease, DemoRollback
from goldgate.entrypoints.demo_report import problems_of_story


def release(name, outcome, *, expected=None, champion="1"):
    return DemoRelease(
        name=name,
        release_id=f"demo-{name}",
        expected=expected or outcome,
        outcome=outcome,
        step="judge",
        reason="because",
        champion=champion,
        gates=[],
        broken_rows=[],
        canary=None,
        seconds=1,
        steps_s={},
        airflow_url="http://airflow",
        mlflow_url=None,
        report_url=None,
    )


def rollback(*, outcome="rolled_back", served_after_s=0.4):
    return DemoRollback(
        outcome=outcome, from_version="2", to_version="1", served_after_s=served_after_s, airflow_url="http://airflow"
    )


class TestProblemsOfStory:
    def test_finds_none_when_all_went_as_told(self):
        story = [
            release("a", "promoted"),
            release("b", "promoted", champion="2"),
            release("c", "blocked", champion="2"),
        ]

        assert problems_of_story(story, rollback()) == []

    def test_finds_an_outcome_that_was_not_told(self):
        found = problems_of_story([release("a", "blocked", expected="promoted")], None)

        assert found == ["Release `a`: blocked at `judge`, expected promoted. because"]

    def test_finds_a_release_without_a_record(self):
        assert problems_of_story([release("a", "unknown", expected="blocked")], None) != []

    @pytest.mark.parametrize("outcome", ["blocked", "aborted"])
    def test_finds_a_champion_that_moved_though_nothing_was_promoted(self, outcome):
        found = problems_of_story([release("a", "promoted"), release("b", outcome, champion="2")], None)

        assert found == [f"Release `b`: {outcome}, but the champion moved from 1 to 2."]

    @pytest.mark.parametrize(
        ("went", "told"),
        [
            (rollback(outcome="superseded"), "superseded"),
            (rollback(served_after_s=None), "never answered"),
        ],
    )
    def test_finds_a_rollback_that_did_not_work(self, went, told):
        (found,) = problems_of_story([release("a", "promoted")], went)

        assert told in found
