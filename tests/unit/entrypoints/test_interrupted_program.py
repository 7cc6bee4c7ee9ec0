"""The program `goldgate` as a process that is interrupted."""

import signal
import subprocess
import sys

import click
from click.testing import CliRunner

from goldgate.entrypoints.commands.common import ExitCode, command
from goldgate.entrypoints.display import Screen
from goldgate.entrypoints.settings import Settings

INTERRUPTED_WHILE_LOADED = """
import os, signal, sys

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
from goldgate.entrypoints.cli import main
sys.argv = ["goldgate", "--version"]
try:
    main()
finally:
    print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)


class TestTheProgram:
    def test_ends_without_a_traceback_when_it_is_interrupted_while_it_is_loaded(self):
        ended = run(INTERRUPTED_WHILE_LOADED)

        assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")

    def test_lets_its_commands_see_to_an_interrupt(self):
        ended = run(LOADED)

        assert ended.stdout.splitlines()[-1] == "True"


class TestACommand:
    def test_that_is_interrupted_says_so_by_its_code_and_nothing_else(self):
        @click.command()
        @command
        def asked(*, screen: Screen, settings: Settings) -> None:  # noqa: ARG001 - given to every command
            raise KeyboardInterrupt

        found = CliRunner().invoke(asked)

        assert (found.exit_code, found.stdout, found.stderr) == (ExitCode.INTERRUPTED, "", "")
