import pytest

from goldgate.adapters.mlflow_experiments import find_or_make_experiment
from goldgate.domain.errors import PermanentError, TransientError
from tests.fakes.scripted_web import Asked, ScriptedWeb, Told

FOUND = {"experiment": {"experiment_id": "7", "lifecycle_stage": "active"}}


def experiment_of(answer, **headers: str) -> tuple[str, list[Asked]]:
    with ScriptedWeb(answer) as web:
        return find_or_make_experiment(web.url, "helper & co", headers=headers), web.asked


class TestFindOrMakeExperiment:
    def test_finds_the_one_that_is_there(self):
        found, asked = experiment_of(lambda _: Told(body=FOUND), authorization="Bearer k")

        assert found == "7"
        assert asked[0].path == "/api/2.0/mlflow/experiments/get-by-name?experiment_name=helper+%26+co"
        assert asked[0].headers["authorization"] == "Bearer k"

    def test_makes_one_if_there_is_none(self):
        def answer(asked: Asked) -> Told:
            return Told(status=404) if asked.method == "GET" else Told(body={"experiment_id": "8"})

        found, asked = experiment_of(answer)

        assert found == "8"
        assert asked[1].body == {"name": "helper & co"}

    def test_takes_the_one_that_another_process_made_meanwhile(self):
        answers = iter([Told(status=404), Told(status=400), Told(body=FOUND)])

        assert experiment_of(lambda _: next(answers))[0] == "7"

    @pytest.mark.parametrize(
        ("told", "kind", "says"),
        [
            (Told(status=503), TransientError, "503"),
            (Told(status=429), TransientError, "429"),
            (Told(status=401), PermanentError, "MLFLOW_TRACKING_TOKEN"),
            (
                Told(body={"experiment": {"experiment_id": "7", "lifecycle_stage": "deleted"}}),
                PermanentError,
                "deleted",
            ),
            (Told(body=[]), PermanentError, "no id"),
            (Told(body={"experiment": "odd"}), PermanentError, "no id"),
        ],
    )
    def test_says_why_it_has_none(self, told, kind, says):
        with pytest.raises(kind, match=says):
            experiment_of(lambda _: told)

    def test_waits_for_a_server_that_is_away(self):
        with ScriptedWeb(lambda _: Told()) as web:
            url = web.url

        with pytest.raises(TransientError, match="cannot be reached"):
            find_or_make_experiment(url, "helper", headers={})
