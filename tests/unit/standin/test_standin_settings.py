"""Settings come from people and drills; what is wrong is told."""

from datetime import timedelta

import pytest

from goldgate.contracts.base import ContractError
from goldgate.standin.settings import StandinSettings


class TestStandinSettings:
    def test_are_read_from_the_environment(self):
        env = {"GOLDGATE_STANDIN_LATENCY_MS": "5", "GOLDGATE_STANDIN_SEED": "9", "GOLDGATE_HOME": "/x"}

        assert StandinSettings.from_env(env) == StandinSettings(latency_ms=5, seed=9)

    def test_name_every_variable_that_is_wrong(self):
        env = {"GOLDGATE_STANDIN_LATENCY": "5", "GOLDGATE_STANDIN_HANG_RATIO": "2"}

        with pytest.raises(ContractError) as caught:
            StandinSettings.from_env(env)

        assert {problem.field for problem in caught.value.problems} == {"latency", "hang_ratio"}

    @pytest.mark.parametrize("changes", [[], "x", {"hang": 1}, {"server_error_status": 404}, {"drop_ratio": "many"}])
    def test_refuse_changes_that_are_none(self, changes):
        with pytest.raises(ContractError):
            StandinSettings().changed(changes)

    def test_add_the_time_up(self):
        settings = StandinSettings(latency_ms=20, latency_per_input_token_ms=0.01, latency_per_output_token_ms=1)

        assert settings.time_to_first_token(input_tokens=2000) == timedelta(milliseconds=40)
        assert settings.time_to_write(output_tokens=30) == timedelta(milliseconds=30)
