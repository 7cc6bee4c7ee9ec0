import pytest

from goldgate.adapters.airflow_rest import AirflowRest
from goldgate.domain.errors import PermanentError, TransientError
from tests.fakes.scripted_web import ScriptedWeb, Told

TASK = {
    "task_id": "judge",
    "state": "success",
    "start_date": "2026-11-21T12:00:00Z",
    "end_date": "2026-11-21T12:00:05Z",
}


def airflow_that(told):
    """An Airflow that gives a token, and answers everything else the same way."""

    def answer(asked):
        if asked.path == "/auth/token":
            return Told(status=201, body={"access_token": "a-token"})
        return told

    return ScriptedWeb(answer)


@pytest.fixture
def rest_to():
    made = []

    def make(web):
        rest = AirflowRest(web.url, user="admin", password="pass-word-1")
        made.append(rest)
        return rest

    yield make
    for rest in made:
        rest.close()


class TestAirflowRest:
    def test_asks_for_one_token_and_uses_it(self, rest_to):
        with airflow_that(Told(body={"state": "running"})) as web:
            rest = rest_to(web)
            rest.run_state("d", "r")
            assert rest.run_state("d", "r") == "running"

        assert [asked.path for asked in web.asked].count("/auth/token") == 1
        assert web.asked[-1].headers["authorization"] == "Bearer a-token"

    def test_triggers_a_run_by_its_own_id(self, rest_to):
        with airflow_that(Told(body={})) as web:
            rest_to(web).trigger("agent_release", run_id="demo-1", conf={"agent": "a"})

        assert web.asked[-1].body == {"dag_run_id": "demo-1", "logical_date": None, "conf": {"agent": "a"}}

    def test_takes_a_run_that_is_there_already_as_started(self, rest_to):
        with airflow_that(Told(status=409, body={"detail": "exists"})) as web:
            rest_to(web).trigger("agent_release", run_id="demo-1", conf={})

        assert web.asked[-1].method == "POST"

    def test_reads_tasks_with_their_times(self, rest_to):
        waiting = TASK | {"task_id": "close", "state": None, "start_date": None, "end_date": None}
        with airflow_that(Told(body={"task_instances": [TASK, waiting]})) as web:
            judge, close = rest_to(web).tasks("d", "r")

        assert (judge.ended_at - judge.started_at).total_seconds() == 5
        assert (close.state, close.started_at) == (None, None)

    @pytest.mark.parametrize(("status", "known"), [(200, True), (404, False)])
    def test_says_whether_a_dag_is_there_yet(self, rest_to, status, known):
        with airflow_that(Told(status=status, body={})) as web:
            assert rest_to(web).knows("d") is known

    def test_finds_no_result_where_there_is_none(self, rest_to):
        with airflow_that(Told(status=404, body={})) as web:
            assert rest_to(web).result("d", "r", "t") is None

    @pytest.mark.parametrize(("status", "kind"), [(400, PermanentError), (403, PermanentError), (503, TransientError)])
    def test_tells_refusals_from_trouble(self, rest_to, status, kind):
        refusal = airflow_that(Told(status=status, body={"detail": "agent is missing"}))

        with refusal as web, pytest.raises(kind, match="agent is missing"):
            rest_to(web).run_state("d", "r")

    def test_never_tells_the_password(self, rest_to):
        refusal = ScriptedWeb(lambda _: Told(status=401, body={"detail": "no"}))

        with refusal as web, pytest.raises(PermanentError) as refused:
            rest_to(web).knows("d")

        assert "pass-word-1" not in str(refused.value)

    def test_says_so_when_nobody_answers(self, rest_to):
        with airflow_that(Told()) as web:
            rest = rest_to(web)

        with pytest.raises(TransientError, match="does not answer"):
            rest.knows("d")
