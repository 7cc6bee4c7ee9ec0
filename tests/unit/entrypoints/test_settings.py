"""Settings are read once and are wrong all at once."""

import pytest

from goldgate.entrypoints.settings import CHECKOUT, Settings, SettingsError


class TestSettings:
    def test_has_a_default_for_everything(self):
        settings = Settings.from_env({})

        assert settings.home == CHECKOUT / ".goldgate"
        assert settings.agents == CHECKOUT / "include" / "agents"

    def test_names_every_address_that_is_wrong(self):
        env = {"GOLDGATE_ROUTER_URL": "localhost:1", "GOLDGATE_MODEL_URL": "http://h:port", "GOLDGATE_MLFLOW_URL": ""}

        with pytest.raises(SettingsError) as caught:
            Settings.from_env(env)

        assert all(name in str(caught.value) for name in env)

    def test_passes_to_a_child_what_it_read(self, tmp_path):
        settings = Settings.from_env({"GOLDGATE_HOME": str(tmp_path), "GOLDGATE_ROUTER_URL": "http://127.0.0.1:9/"})

        assert Settings.from_env(settings.as_env()) == settings

    def test_completes_an_environment_and_changes_nothing_that_is_set(self):
        settings = Settings.from_env({"GOLDGATE_MODEL_URL": "http://127.0.0.1:9/v1"})

        completed = settings.completed({"KEY": "k", "GOLDGATE_MODEL_URL": "http://127.0.0.1:8/v1"})

        assert (completed["KEY"], completed["GOLDGATE_MODEL_URL"]) == ("k", "http://127.0.0.1:8/v1")
        assert completed["GOLDGATE_HOME"] == str(CHECKOUT / ".goldgate")
