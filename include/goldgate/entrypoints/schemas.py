"""Write the JSON Schemas of all contracts into the documentation.

`python -m goldgate.entrypoints.schemas` writes them; with `--check` it only says which are not current.
"""

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
    return generated_files.command(
        argv,
        described=__doc__,
        module="goldgate.entrypoints.schemas",
        folder=FOLDER,
        stale_in=stale_in,
        write_to=write_to,
    )


if __name__ == "__main__":
    sys.exit(main())
