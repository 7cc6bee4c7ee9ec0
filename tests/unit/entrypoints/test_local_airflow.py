import base64
import configparser
import json
import stat

import pytest

from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.local_airflow import airflow_home, password_of, passwords_file, prepare
from goldgate.entrypoints.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings.from_env({"GOLDGATE_HOME": str(tmp_path / "100% home")})


def written(settings):
    config = configparser.ConfigParser(interpolation=None)
    config.read(airflow_home(settings) / "airflow.cfg")
    return config


class TestPrepare:
    def test_lets_only_this_user_read_what_is_secret(self, settings):
        prepare(settings)

        for name in ("airflow.cfg", "secrets.json", passwords_file(settings).name):
            mode = (airflow_home(settings) / name).stat().st_mode
            assert stat.S_IMODE(mode) == 0o600, name

    def test_keeps_secrets_and_passwords_over_starts(self, settings):
        prepare(settings)
        before = written(settings)["core"]["fernet_key"], password_of(settings, "admin")

        prepare(settings)

        assert (written(settings)["core"]["fernet_key"], password_of(settings, "admin")) == before

    def test_makes_secrets_of_its_own_for_each_home(self, settings, tmp_path):
        other = Settings.from_env({"GOLDGATE_HOME": str(tmp_path / "other")})
        prepare(settings)
        prepare(other)

        assert password_of(settings, "admin") != password_of(other, "admin")
        assert written(settings)["api_auth"]["jwt_secret"] != written(other)["api_auth"]["jwt_secret"]

    def test_makes_a_fernet_key_of_32_bytes(self, settings):
        prepare(settings)

        assert len(base64.urlsafe_b64decode(written(settings)["core"]["fernet_key"])) == 32

    def test_gives_every_user_a_password_so_that_airflow_prints_none(self, settings):
        prepare(settings)

        users = [pair.split(":")[0] for pair in written(settings)["core"]["simple_auth_manager_users"].split(",")]

        assert sorted(json.loads(passwords_file(settings).read_text())) == sorted(users)

    def test_writes_paths_so_that_airflow_does_not_expand_them(self, settings):
        prepare(settings)

        assert written(settings)["database"]["sql_alchemy_conn"].endswith("100%% home/airflow/airflow.db")

    def test_binds_airflow_to_this_machine(self, settings):
        prepare(settings)

        assert written(settings)["api"]["host"] == "127.0.0.1"


class TestPasswordOf:
    def test_says_how_to_get_one_before_the_first_start(self, settings):
        with pytest.raises(PermanentError, match="make up"):
            password_of(settings, "admin")

    def test_says_so_for_a_file_that_was_broken(self, settings):
        prepare(settings)
        passwords_file(settings).write_text("{")

        with pytest.raises(PermanentError, match="No password of user `admin`"):
            password_of(settings, "admin")
