"""`-n`: in which namespace a command works."""

import os

import click
import pytest
from click.testing import CliRunner, Result

from goldgate.domain.runs.state import Need
from goldgate.entrypoints.commands.common import ExitCode, command
from goldgate.entrypoints.commands.everything import goldgate
from goldgate.entrypoints.commands.namespaces import InNamespace, task_program
from goldgate.entrypoints.display import Screen
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.task_tables import awaited_lines
from tests.fakes.recorded_runs import a_call, a_waiting_run

WAITS = a_waiting_run(a_call(need=Need.APPROVAL))
CLUSTER = {"GOLDGATE_CLUSTER": "/nowhere/kubeconfig", "GOLDGATE_NAMESPACE": "agents"}


@click.group(cls=InNamespace)
def looking() -> None:
    """Look at things."""


@looking.command()
@command
def where(*, screen: Screen, settings: Settings) -> None:
    """Say where, as told and as whoever reads the environment anew finds it."""
    screen.result(None, f"{settings.namespace} {Settings.from_env(os.environ).namespace}")


@looking.command()
@command
def onward(*, screen: Screen, settings: Settings) -> None:  # noqa: ARG001 - given to every command
    """Say how to go on."""
    screen.result(None, "\n".join([f"{task_program()} resume p1", *awaited_lines(WAITS, program=task_program())]))


def run(*words: str, **env: str) -> Result:
    return CliRunner().invoke(looking, list(words), env={**CLUSTER, **env})


class TestNamespace:
    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["where"], "agents"),
            (["where", "-n", "others"], "others"),
            (["where", "--namespace", "others"], "others"),
            (["-n", "others", "where"], "others"),
            (["-n", "some", "where", "-n", "others"], "others"),
        ],
    )
    def test_is_that_of_the_option_before_that_of_the_environment(self, words: list[str], expected: str):
        found = run(*words)

        assert found.stdout == f"{expected} {expected}\n"

    def test_is_named_for_one_command_only(self):
        run("where", "-n", "others")

        assert run("where").stdout == "agents agents\n"

    def test_is_refused_where_there_is_no_cluster(self):
        found = run("where", "-n", "others", GOLDGATE_CLUSTER="")

        assert found.exit_code == ExitCode.USAGE
        assert "no GOLDGATE_CLUSTER" in found.stderr

    @pytest.mark.parametrize("name", ["", "../other", "Upper", "a" * 64, "line\n"])
    def test_is_refused_if_it_is_no_name(self, name: str):
        found = run("where", "-n", name)

        assert found.exit_code == ExitCode.USAGE
        assert "expected a name" in found.stderr

    def test_stands_in_the_commands_that_somebody_is_told_to_type(self):
        there, here = run("onward", "-n", "others").stdout, run("onward").stdout

        assert there.count("goldgate task -n others ") == here.count("goldgate task ") == there.count("goldgate task ")
        assert "goldgate task -n others answer" in there

    def test_can_be_given_to_all_that_works_on_runs_and_applies_agents(self):
        task, agent = goldgate.commands["task"], goldgate.commands["agent"]
        assert isinstance(task, click.Group)
        assert isinstance(agent, click.Group)

        takers = [task, *task.commands.values(), agent.commands["apply"]]

        assert [each.name for each in takers if not any("-n" in one.opts for one in each.params)] == []
