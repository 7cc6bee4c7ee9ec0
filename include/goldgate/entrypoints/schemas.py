"""Write the JSON Schemas of all contracts into the documentation.

`python -m goldgate.entrypoints.schemas` writes them; with `--check` it only says which are not current.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from goldgate.contracts.demo import DemoReport
from goldgate.contracts.evaluation import ResultRow, Scorecard
from goldgate.contracts.foreign import EndpointAgent, ForeignResponse, PythonAgent
from goldgate.contracts.gold import GoldRow
from goldgate.contracts.ledger import LedgerEntry
from goldgate.contracts.llm import LLM
from goldgate.contracts.local import StackStatus
from goldgate.contracts.pods import PodSettings
from goldgate.contracts.policy import ReleasePolicy
from goldgate.contracts.prediction import PredictRequest, PredictResponse
from goldgate.contracts.release import (
    Build,
    CanaryRecord,
    Candidate,
    Closing,
    Evaluation,
    Judgement,
    Promotion,
    Registration,
    ReleaseOrder,
)
from goldgate.contracts.request_log import RequestLog, RunLog
from goldgate.contracts.resources import Agent, MCPServer
from goldgate.contracts.story import LiveQuestion, Story
from goldgate.contracts.task_runs import Task, TaskRun
from goldgate.entrypoints import generated_files
from goldgate.entrypoints.settings import CHECKOUT

FOLDER = CHECKOUT / "include" / "docs" / "schemas"

WRITTEN_BY_PEOPLE: tuple[type[BaseModel], ...] = (
    LLM,
    Agent,
    PythonAgent,
    EndpointAgent,
    MCPServer,
    Task,
    TaskRun,
    PodSettings,
    ReleasePolicy,
    GoldRow,
    Story,
    LiveQuestion,
)
EXCHANGED: tuple[type[BaseModel], ...] = (
    ForeignResponse,
    PredictRequest,
    PredictResponse,
    ResultRow,
    Scorecard,
    RequestLog,
    RunLog,
    LedgerEntry,
    ReleaseOrder,
    Candidate,
    Evaluation,
    Build,
    Judgement,
    Registration,
    CanaryRecord,
    Promotion,
    Closing,
    StackStatus,
    DemoReport,
)


def schemas() -> dict[str, str]:
    """Make every schema: file name to its text."""
    return {f"{contract.__name__}.json": _schema(contract) for contract in (*WRITTEN_BY_PEOPLE, *EXCHANGED)}


def stale_in(folder: Path) -> list[str]:
    """Name the schema files in a folder that are missing, outdated, or of no contract any more."""
    return generated_files.stale_in(folder, schemas(), ending=".json")


def write_to(folder: Path) -> list[str]:
    """Bring a folder up to date, and name the files that changed."""
    return generated_files.write_to(folder, schemas(), ending=".json")


def _schema(contract: type[BaseModel]) -> str:
    schema = contract.model_json_schema(by_alias=True)
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Write or check the schemas; 1 if a check finds one that is not current."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; end with 1 if a schema is not current")
    arguments = parser.parse_args(argv)
    if not arguments.check:
        changed = write_to(FOLDER)
        print(f"{len(changed)} schemas written to {FOLDER}")  # noqa: T201 - a command that talks to people
        return 0
    stale = stale_in(FOLDER)
    for name in stale:
        print(f"{FOLDER / name} is not current. Run `python -m goldgate.entrypoints.schemas`.", file=sys.stderr)  # noqa: T201 - as above
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
