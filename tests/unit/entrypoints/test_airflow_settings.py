import json

import pytest

from goldgate.contracts.base import ContractError
from goldgate.entrypoints.airflow_settings import FILE, airflow_env, pools_json, read_airflow_settings

ASTRO = """
airflow:
  connections:
    - conn_id: model_endpoint
      conn_type: http
      conn_host: models.example
      conn_schema:
      conn_login:
      conn_password:
      conn_port: 443
      conn_extra:
        timeout: 5
  pools:
    - pool_name: one_at_a_time
      pool_slot: 1
      pool_description:
  variables:
    - variable_name: team
      variable_value: search
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "airflow_settings.yaml"
        path.write_text(text)
        return path

    return write


class TestReadAirflowSettings:
    def test_reads_the_file_of_this_checkout(self):
        names = [pool.pool_name for pool in read_airflow_settings(FILE).pools]

        assert "goldgate_evaluation" in names

    def test_takes_an_empty_value_as_not_set(self, written):
        found = read_airflow_settings(written(ASTRO))

        assert found.connections[0].conn_login == ""
        assert found.pools[0].pool_description == ""

    def test_refuses_a_password(self, written):
        with pytest.raises(ContractError, match="conn_password"):
            read_airflow_settings(written(ASTRO.replace("conn_password:", "conn_password: hunter2")))

    def test_refuses_a_field_that_nobody_knows(self, written):
        with pytest.raises(ContractError, match="pool_slots"):
            read_airflow_settings(written(ASTRO.replace("pool_slot:", "pool_slots:")))


class TestAirflowEnv:
    def test_writes_connections_and_variables_as_airflow_reads_them(self, written):
        made = airflow_env(read_airflow_settings(written(ASTRO)), env={})

        assert made["AIRFLOW_VAR_TEAM"] == "search"
        assert json.loads(made["AIRFLOW_CONN_MODEL_ENDPOINT"]) == {
            "conn_type": "http",
            "extra": {"timeout": 5},
            "host": "models.example",
            "port": 443,
        }

    def test_lets_the_environment_win(self, written):
        """The way to give a connection its password."""
        env = {"AIRFLOW_CONN_MODEL_ENDPOINT": "http://u:p@models.example", "AIRFLOW__CORE__EXECUTOR": "X"}

        made = airflow_env(read_airflow_settings(written(ASTRO)), env=env)

        assert made["AIRFLOW_CONN_MODEL_ENDPOINT"] == "http://u:p@models.example"
        assert "AIRFLOW__CORE__EXECUTOR" not in made


class TestPoolsJson:
    def test_is_what_airflow_imports(self, written):
        pools = json.loads(pools_json(read_airflow_settings(written(ASTRO))))

        assert pools == {"one_at_a_time": {"slots": 1, "description": "", "include_deferred": False}}
