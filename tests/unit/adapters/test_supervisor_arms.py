import json
import os
import signal
import socket
from pathlib import Path

import pytest

from goldgate.adapters.supervisor_arms import SupervisorArms, arm_address_file, supervisor_socket
from goldgate.domain.errors import PermanentError, TransientError
from tests.contracts.test_arms_port import home, supervised  # noqa: F401 - `home` is a fixture
from tests.waiting import until


@pytest.fixture
def alone(tmp_path) -> SupervisorArms:
    """Arms of a home without a supervisor."""
    return SupervisorArms(tmp_path, python="python", env={})


class TestSupervisorSocket:
    def test_is_below_the_home(self):
        assert supervisor_socket(Path("/srv/gg")) == Path("/srv/gg/run/supervisor.sock")

    def test_is_short_for_a_long_home(self):
        """A Unix socket's path holds 108 bytes."""
        found = {supervisor_socket(Path("/srv") / (letter * 100)) for letter in "ab"}

        assert len(found) == 2
        assert all(len(str(path)) < 60 for path in found)


class TestSupervisorArms:
    @pytest.mark.parametrize("name", [("a b", "1"), ("a:b", "1"), ("../a", "1"), ("a", "1/2"), ("", "1"), ("a", "")])
    def test_refuses_names_that_a_supervisor_or_a_path_would_misread(self, alone, name):
        with pytest.raises(PermanentError, match="expected an agent and a version"):
            alone.ensure(*name)

    @pytest.mark.parametrize("value", ['a"b', "a\nb", "a ;b", "a #b"])
    def test_refuses_values_that_its_configuration_cannot_hold(self, tmp_path, value):
        arms = SupervisorArms(tmp_path, python="python", env={"A": value})

        with pytest.raises(PermanentError, match="supervisord cannot hold it"):
            arms._config("helper", "7")

    def test_says_how_to_start_a_supervisor(self, alone):
        with pytest.raises(TransientError, match="Start it with `make up`"):
            alone.ensure("helper", "7")

    def test_does_not_take_a_stranger_for_an_arm(self, alone, tmp_path):
        """Another server may have got the port of an arm that died."""
        path = arm_address_file(tmp_path, agent="helper", version="7")
        path.parent.mkdir(parents=True)
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            path.write_text(json.dumps({"url": f"http://127.0.0.1:{bound.getsockname()[1]}", "pid": 1}))

            assert alone.address("helper", "7") is None

    def test_says_which_address_file_is_damaged(self, alone, tmp_path):
        path = arm_address_file(tmp_path, agent="helper", version="7")
        path.parent.mkdir(parents=True)
        path.write_text("{")

        with pytest.raises(PermanentError, match="Delete it"):
            alone.address("helper", "7")


class TestSupervisedArm:
    def test_comes_back_when_it_is_killed(self, home):  # noqa: F811 - the fixture
        arms = supervised(home)
        arms.ensure("helper", "1")
        until(lambda: arms.address("helper", "1"))
        told = json.loads(arm_address_file(home, agent="helper", version="1").read_text())

        os.kill(told["pid"], signal.SIGKILL)

        until(lambda: (address := arms.address("helper", "1")) is not None and address != told["url"])
        arms.stop("helper", "1")
        until(lambda: not arms.running())

    def test_that_dies_at_once_is_not_ready_and_is_listed(self, home):  # noqa: F811 - the fixture
        arms = supervised(home)
        arms.ensure("broken", "1")
        arms.ensure("broken", "1")

        assert arms.address("broken", "1") is None
        assert list(arms.running()) == [("broken", "1")]
        arms.stop("broken", "1")
        until(lambda: not arms.running())
