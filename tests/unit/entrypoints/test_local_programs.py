import configparser
import shlex
from pathlib import Path

import pytest

from goldgate.entrypoints.local_programs import MARKER, programs, stack_env, supervisor_config
from goldgate.entrypoints.settings import Settings


def settings_in(home, **urls):
    return Settings.from_env({"GOLDGATE_HOME": str(home), **urls})


def parsed(settings):
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(supervisor_config(settings, socket=settings.home / "run" / "supervisor.sock"))
    return config


class TestPrograms:
    def test_listen_on_this_machine_only(self, tmp_path):
        for program in programs(settings_in(tmp_path)):
            command = list(program.command)
            if "--host" in command:
                assert command[command.index("--host") + 1] == "127.0.0.1"

    def test_keep_airflows_log_servers_off(self, tmp_path):
        """They would listen on every address."""
        by_name = {program.name: program.command for program in programs(settings_in(tmp_path))}

        assert "--skip-serve-logs" in by_name["scheduler"]
        assert "--skip-serve-logs" in by_name["triggerer"]

    def test_follow_the_addresses_of_the_settings(self, tmp_path):
        settings = settings_in(tmp_path, GOLDGATE_MLFLOW_URL="http://127.0.0.1:5999")

        mlflow = next(program for program in programs(settings) if program.name == "mlflow")

        assert mlflow.port == 5999
        assert "5999" in mlflow.command
        assert mlflow.moved_by == "GOLDGATE_MLFLOW_URL"

    def test_on_another_machine_are_used_and_not_started(self, tmp_path):
        settings = settings_in(tmp_path, GOLDGATE_MODEL_URL="https://models.example:443/v1")

        standin = next(program for program in programs(settings) if program.name == "standin")

        assert standin.is_elsewhere
        assert "program:standin" not in parsed(settings)

    def test_leave_out_all_of_an_airflow_that_is_elsewhere(self, tmp_path):
        settings = settings_in(tmp_path, GOLDGATE_AIRFLOW_URL="https://airflow.example:443")

        sections = parsed(settings).sections()

        assert not [name for name in sections if "scheduler" in name or "api-server" in name]


class TestSupervisorConfig:
    def test_ends_whole_process_groups(self, tmp_path):
        config = parsed(settings_in(tmp_path))

        for name in config.sections():
            if name.startswith("program:"):
                assert config[name]["stopasgroup"] == "true"
                assert config[name]["killasgroup"] == "true"
                assert config[name]["autorestart"] == "true"

    def test_starts_airflow_only_when_it_is_told_to(self, tmp_path):
        config = parsed(settings_in(tmp_path))

        assert config["program:scheduler"]["autostart"] == "false"
        assert config["program:mlflow"]["autostart"] == "true"

    def test_includes_the_arms(self, tmp_path):
        assert parsed(settings_in(tmp_path))["include"]["files"] == f"{tmp_path}/run/arms.d/*.conf"

    @pytest.mark.parametrize("name", ["with space", "per%cent", "quo'te"])
    def test_holds_for_any_name_of_the_home_folder(self, tmp_path, name):
        home = tmp_path / name

        config = parsed(settings_in(home))

        command = shlex.split(config["program:mlflow"]["command"].replace("%%", "%"))
        assert f"sqlite:///{home / 'mlflow' / 'mlflow.db'}" in command
        assert config["supervisord"]["logfile"].replace("%%", "%") == str(home / "logs" / "supervisord.log")

    def test_holds_no_secret(self, tmp_path):
        env = stack_env(settings_in(tmp_path), env={"OPENAI_API_KEY": "sk-very-secret"})

        assert env["OPENAI_API_KEY"] == "sk-very-secret"
        assert "sk-very-secret" not in supervisor_config(settings_in(tmp_path), socket=tmp_path / "s")


class TestStackEnv:
    def test_marks_every_process_with_its_home(self, tmp_path):
        assert stack_env(settings_in(tmp_path), env={})[MARKER] == str(tmp_path)

    def test_lets_nothing_configure_airflow_or_python_from_outside(self, tmp_path):
        outside = {"AIRFLOW__CORE__EXECUTOR": "X", "PYTHONHOME": "/x", "MLFLOW_BACKEND_STORE_URI": "y", "A_KEY": "k"}

        env = stack_env(settings_in(tmp_path), env=outside)

        assert not {"AIRFLOW__CORE__EXECUTOR", "PYTHONHOME", "MLFLOW_BACKEND_STORE_URI"} & env.keys()
        assert env["A_KEY"] == "k"
        assert env["MLFLOW_TRACKING_URI"] == settings_in(tmp_path).mlflow_url

    def test_carries_the_settings_on(self, tmp_path):
        settings = settings_in(tmp_path, GOLDGATE_ROUTER_URL="http://127.0.0.1:1234")

        assert Settings.from_env(stack_env(settings, env={})) == settings
        assert Path(stack_env(settings, env={})["AIRFLOW_HOME"]) == tmp_path / "airflow"
