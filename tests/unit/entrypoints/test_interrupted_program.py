"""The program `goldgate` as a process that is interrupted."""

import signal
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from goldgate.entrypoints.commands.common import ExitCode, command
from goldgate.entrypoints.display import Screen
from goldgate.entrypoints.settings import Settings

INTERRUPTED_WHILE_LOADED = """
import os, signal, sys
signal.signal(signal.SIGINT, {handler})

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "goldgate.entrypoints.commands.everything":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
from goldgate.entrypoints.cli import main
main()
"""

LOADED = """
import signal, sys
signal.signal(signal.SIGINT, {handler})
before = signal.getsignal(signal.SIGINT)
from goldgate.entrypoints.cli import main
sys.argv = ["goldgate", "--version"]
try:
    main()
finally:
    print(signal.getsignal(signal.SIGINT) is before)
"""


FOREGROUND = "signal.default_int_handler"
BACKGROUND = "signal.SIG_IGN"


def run(program: str, *, handler: str) -> subprocess.CompletedProcess[str]:
    asked = program.replace("{handler}", handler)
    return subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=120, check=False)


class TestTheProgram:
    def test_ends_without_a_traceback_when_it_is_interrupted_while_it_is_loaded(self):
        ended = run(INTERRUPTED_WHILE_LOADED, handler=FOREGROUND)

        assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")

    def test_is_not_interrupted_where_it_was_started_to_ignore_that(self):
        ended = run(
            INTERRUPTED_WHILE_LOADED.replace("main()", "sys.argv[1:] = ['--version']; main()"), handler=BACKGROUND
        )

        assert ended.returncode == 0

    @pytest.mark.parametrize("handler", [FOREGROUND, BACKGROUND])
    def test_lets_its_commands_see_to_an_interrupt(self, handler: str):
        ended = run(LOADED, handler=handler)

        assert ended.stdout.splitlines()[-1] == "True"


class TestACommand:
    def test_that_is_interrupted_says_so_by_its_code_and_nothing_else(self):
        @click.command()
        @command
        def asked(*, screen: Screen, settings: Settings) -> None:  # noqa: ARG001 - given to every command
            raise KeyboardInterrupt

        found = CliRunner().invoke(asked)

        assert (found.exit_code, found.stdout, found.stderr) == (ExitCode.INTERRUPTED, "", "")
