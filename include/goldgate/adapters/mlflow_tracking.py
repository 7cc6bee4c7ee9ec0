"""Evaluations and packaged agents in MLflow.

Through its client alone: nothing is set for the whole process, and no run is active.
"""

import contextlib
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import quote

import mlflow.pyfunc
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import AnyType, Array, ColSpec, DataType, Map, Object, Property, Schema

from goldgate.contracts.documents import read_json
from goldgate.contracts.foreign import ENVIRONMENT_FILE, AgentEnvironment
from goldgate.domain.errors import PermanentError, TransientError, connection_problem, first_line
from goldgate.ports.tracking import PackagedModel, TrackedRun

AGENT_LOADER: Final = "goldgate.entrypoints.agents:load_agent"
"""What loads a packaged agent, as `module:function`. Named here, found where the model is loaded."""

CALLABLE_LOADER: Final = "goldgate.entrypoints.foreign:load_packaged"
"""What loads a Python callable in its own environment, where the packages of the runtime are not."""

_RUNTIME: Final = Path(__file__).resolve().parents[1]
"""Goes with a callable as its code: of it MLflow's own dependencies are all that is needed."""

_OLDEST_PYTHON: Final = (3, 11)
"""Of the runtime. A callable for an older one is packaged for the agent image, which builds its environment."""

_OF_MLFLOW: Final = ("mlflow-skinny", "numpy", "pandas")
"""What MLflow needs to load any pyfunc: its skinny package, and two that it imports all the same."""

AGENT_LOCK: Final = Path(__file__).resolve().parents[2] / "images" / "agent" / "requirements.txt"
"""What the agent image installs, pinned."""

_NO_BYTECODE: Final = shutil.ignore_patterns("__pycache__", "*.pyc")
_CODE: Final = Path(__file__).with_name("mlflow_pyfunc.py")

# MLflow retries seven times by default, for four minutes: our callers decide themselves what to do without it. And it
# prints links and progress bars, where a command may be writing JSON.
_ENVIRONMENT: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_PASSING: Final = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"}
_PASSING_STATUS: Final = {408, 429}
_COLLISION: Final = re.compile(r"IntegrityError|UniqueViolation")

_LONGEST_PARAM: Final = 6000
"""Characters of a parameter that MLflow takes."""

INPUT_EXAMPLE: Final = [
    {
        "question": "How do I keep two runs of one DAG from overlapping?",
        "context": ["max_active_runs = 16"],
        "history": [{"role": "user", "content": "I am on the local executor."}],
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }
]
"""Trace id: the example of the W3C Trace Context recommendation."""


class MlflowTracking:
    """One MLflow server as the experiment tracker. See `goldgate.ports.tracking.Tracking`."""

    def __init__(self, tracking_uri: str, *, loader: str = AGENT_LOADER, requirements: Path = AGENT_LOCK) -> None:
        """Name the server, what loads a packaged agent, and the lock of the image that it runs in."""
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self._uri = tracking_uri.rstrip("/")
        self._client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        self._loader = loader
        self._requirements = requirements

    def log_evaluation(
        self,
        *,
        experiment: str,
        name: str,
        tags: Mapping[str, str],
        params: Mapping[str, str],
        metrics: Mapping[str, float],
        artifacts: Sequence[Path],
    ) -> TrackedRun:
        """Log one evaluation as a finished run. A run whose logging broke off is marked as failed."""
        with self._reached(f"log the evaluation `{name}`"):
            experiment_id = self._experiment(experiment)
            run = self._client.create_run(experiment_id, run_name=name, tags=dict(tags))
            run_id, at_ms = run.info.run_id, run.info.start_time
            try:
                self._client.log_batch(
                    run_id,
                    metrics=[Metric(_key(key), value, at_ms, 0) for key, value in metrics.items()],
                    params=[Param(_key(key), value[:_LONGEST_PARAM]) for key, value in params.items()],
                )
                self._log_artifacts(run_id, artifacts, folder=None)
            except BaseException:
                self._client.set_terminated(run_id, status="FAILED")
                raise
            self._client.set_terminated(run_id, status="FINISHED")
        return TrackedRun(run_id=run_id, url=self._page(experiment_id, run_id))

    def attach(self, run_id: str, artifacts: Sequence[Path], *, folder: str) -> str:
        """Add artifacts to a run, and return the page that shows them."""
        with self._reached(f"attach `{folder}` to run `{run_id}`"):
            run = self._client.get_run(run_id)
            self._log_artifacts(run_id, artifacts, folder=folder)
        return f"{self._page(run.info.experiment_id, run_id)}/artifacts/{quote(folder)}"

    def package(self, bundle: Path, *, run_id: str, name: str) -> PackagedModel:
        """Log a frozen agent folder as a pyfunc model of a run.

        The agent is not loaded for that: MLflow's own `log_model` would, to try the input example, and would ask the
        language model.
        """
        with self._reached(f"package `{name}`"), TemporaryDirectory(prefix="goldgate-package-") as temporary:
            run = self._client.get_run(run_id)
            model = self._client.create_logged_model(run.info.experiment_id, name=name, source_run_id=run_id)
            folder = Path(temporary) / "model"
            self._save(bundle, folder=folder, model=Model(run_id=run_id, model_id=model.model_id))
            self._client.log_model_artifacts(model.model_id, str(folder))
            self._client.finalize_logged_model(model.model_id, "READY")
            self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        return PackagedModel(model_uri=f"models:/{model.model_id}", signature=predict_signature().to_dict())

    def _save(self, bundle: Path, *, folder: Path, model: Model) -> None:
        with TemporaryDirectory(prefix="goldgate-bundle-") as staging:
            # The artifact's folder is named by the last part of its path: always `bundle`, whatever the digest.
            # A copy: MLflow follows no link.
            staged = shutil.copytree(bundle, Path(staging) / "bundle")
            own = _own_environment(bundle)
            if own:
                # MLflow warns that the agent's packages are not installed here. They are not meant to be.
                logging.getLogger("mlflow.utils.requirements_utils").setLevel(logging.ERROR)
            code = own and shutil.copytree(_RUNTIME, Path(staging) / _RUNTIME.name, ignore=_NO_BYTECODE)
            mlflow.pyfunc.save_model(
                path=str(folder),
                python_model=str(_CODE),
                artifacts={"bundle": str(staged)},
                model_config={"loader": CALLABLE_LOADER if own else self._loader},
                code_paths=[str(code)] if code else None,
                signature=predict_signature(),
                input_example=INPUT_EXAMPLE,
                pip_requirements=_own_requirements(own) if own else self._pip_requirements(),
                mlflow_model=model,
            )
        if own:
            _name_python(folder, own.python)

    def _pip_requirements(self) -> list[str]:
        """Pins of the agent image's lock. Hashes are left out: MLflow writes these lines into a conda file too."""
        try:
            lines = self._requirements.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise PermanentError(f"The agent image's lock `{self._requirements}` cannot be read: {error}.") from error
        return [line.removesuffix("\\").strip() for line in lines if line and not line.startswith((" ", "#"))]

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except MlflowException as error:
            # Somebody else made it in between.
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self._client.get_experiment_by_name(name).experiment_id)

    def _log_artifacts(self, run_id: str, artifacts: Sequence[Path], *, folder: str | None) -> None:
        for artifact in artifacts:
            if artifact.is_dir():
                inside = f"{folder}/{artifact.name}" if folder else artifact.name
                self._client.log_artifacts(run_id, str(artifact), artifact_path=inside)
            elif artifact.is_file():
                self._client.log_artifact(run_id, str(artifact), artifact_path=folder)
            else:
                raise PermanentError(f"Artifact `{artifact}` is not there, so run `{run_id}` lacks it.")

    def _page(self, experiment_id: str, run_id: str) -> str:
        return f"{self._uri}/#/experiments/{experiment_id}/runs/{run_id}"

    @contextlib.contextmanager
    def _reached(self, what: str) -> Iterator[None]:
        """Translate what MLflow raises. A failed connection or a broken server passes; a refusal does not."""
        try:
            yield
        except MlflowException as error:
            if _passes(error):
                raise TransientError(f"MLflow at {self._uri} did not {what}: {connection_problem(error)}") from error
            raise PermanentError(f"MLflow at {self._uri} refuses to {what}: {first_line(error)}") from error
        except OSError as error:
            if _is_refusal(error):
                raise PermanentError(f"MLflow at {self._uri} refuses to {what}: {first_line(error)}") from error
            raise TransientError(f"MLflow at {self._uri} did not {what}: {connection_problem(error)}") from error


def _own_environment(bundle: Path) -> AgentEnvironment | None:
    """Read the environment of a callable, if this is one and the runtime can go into it."""
    path = bundle / ENVIRONMENT_FILE
    found = read_json(path, AgentEnvironment) if path.exists() else None
    if found is None or tuple(map(int, found.python.split("."))) < _OLDEST_PYTHON:
        return None
    return found


def _own_requirements(own: AgentEnvironment) -> list[str]:
    """The pins of the agent, and those of MLflow that it does not pin itself."""
    pinned = {_package(pin) for pin in own.pins}
    return [*own.pins, *(f"{name}=={version(name)}" for name in _OF_MLFLOW if name not in pinned)]


def _package(pin: str) -> str:
    return re.split(r"[=\[;\s]", pin, maxsplit=1)[0].lower().replace("_", "-")


def _name_python(folder: Path, python: str) -> None:
    """Ask for the agent's Python where MLflow writes down the one that packages."""
    for name in ("python_env.yaml", "conda.yaml"):
        path = folder / name
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"(python[:=] ?)[\d.]+", rf"\g<1>{python}", text, count=1), encoding="utf-8")


def predict_signature() -> ModelSignature:
    """The stable schema of `predict()`: the fields of `PredictRequest` and of `PredictResponse`.

    MLflow has no whole-number column that may miss and no free-form object but a map of anything.
    """
    text, number, flag = DataType.string, DataType.double, DataType.boolean
    turn = Object([Property("role", text), Property("content", text)])
    call = Object([Property("name", text), Property("arguments", Map(AnyType())), Property("is_error", flag)])
    usage = Object(
        [
            *(Property(name, DataType.long) for name in ("tokens_in", "tokens_out", "tokens_cached", "llm_calls")),
            Property("cost_usd", number),
            Property("is_metered", flag),
        ]
    )
    block = Object([Property(name, text) for name in ("flag", "reason", "span_id")])
    span = Object([Property("name", text), Property("span_id", text), *_numbers("start_ms", "duration_ms")])
    return ModelSignature(
        inputs=Schema(
            [
                ColSpec(text, "question"),
                ColSpec(Array(text), "context", required=False),
                ColSpec(Array(turn), "history", required=False),
                ColSpec(text, "trace_id", required=False),
            ]
        ),
        outputs=Schema(
            [
                ColSpec(text, "answer"),
                ColSpec(flag, "refused"),
                ColSpec(Array(text), "citations"),
                ColSpec(Array(text), "retrieved"),
                ColSpec(Array(call), "tool_calls"),
                ColSpec(usage, "usage"),
                ColSpec(number, "latency_ms_total"),
                ColSpec(number, "latency_ms_llm"),
                ColSpec(Array(text), "safety_flags"),
                ColSpec(Array(block), "safety_blocks"),
                ColSpec(text, "error", required=False),
                *(ColSpec(text, name) for name in ("trace_id", "model", "prompt")),
                ColSpec(Array(span), "spans"),
                ColSpec(Array(text), "unmeasured"),
            ]
        ),
    )


def _key(name: str) -> str:
    """MLflow takes no `@` in a name: `hit@k` is logged as `hit_at_k`."""
    return name.replace("@", "_at_")


def _numbers(*names: str) -> Sequence[Any]:
    return [Property(name, DataType.double) for name in names]


def _passes(error: MlflowException) -> bool:
    """Whether the same may succeed later.

    MLflow's client sends again what a busy server has not answered in time, while that is still being written: the two
    collide in the database, and the server calls the second one a bad request.
    """
    return error.error_code in _PASSING or (error.error_code == "BAD_REQUEST" and bool(_COLLISION.search(str(error))))


def _is_refusal(error: OSError) -> bool:
    """Whether an upload or download was answered, and with a no: requests tells that as an OSError with a response."""
    status: int = getattr(getattr(error, "response", None), "status_code", 0)
    return 400 <= status < 500 and status not in _PASSING_STATUS  # noqa: PLR2004 - HTTP's range
