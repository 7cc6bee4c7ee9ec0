"""A program that is an arm, for tests of what starts arms. `--agent broken` dies at once."""

import argparse
import sys
from pathlib import Path

from goldgate.adapters.supervisor_arms import arm_address_file
from goldgate.entrypoints.arm import serve
from goldgate.serving.arm import create_arm
from tests.fakes.scripted_arm_client import response

parser = argparse.ArgumentParser()
for flag in ("--agent", "--version", "--home"):
    parser.add_argument(flag, required=True)
arguments = parser.parse_args()
if arguments.agent == "broken":
    sys.exit(2)
serve(
    create_arm(
        lambda request, **_: response(trace_id=request.trace_id), agent=arguments.agent, version=arguments.version
    ),
    told=arm_address_file(Path(arguments.home), agent=arguments.agent, version=arguments.version),
)
