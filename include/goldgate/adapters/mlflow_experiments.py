"""Finds the experiment of MLflow that traces belong to, over its REST API.

MLflow's own client takes 4 s to import, which whoever answers requests does not have.
"""

from collections.abc import Mapping
from typing import Any, Final

import httpx2

from goldgate.domain.errors import PermanentError, TransientError

_WITHIN_S: Final = 5.0
_DELETE_WITHIN_S: Final = 60.0
"""1,600 traces took a second; once a day, in a thread that nobody waits for."""
_SERVER_FAULT: Final = 500
_PASSING: Final = {408, 429}


def find_or_make_experiment(mlflow_url: str, name: str, *, headers: Mapping[str, str]) -> str:
    """Return the id of the experiment of that name, made if there is none.

    Raises:
        PermanentError: MLflow refuses, or the experiment was deleted.
        TransientError: MLflow cannot be reached.
    """
    try:
        with httpx2.Client(base_url=f"{mlflow_url}/api/2.0/mlflow/experiments", timeout=_WITHIN_S) as client:
            client.headers.update(headers)
            found = _find(client, name)
            if found is None:
                made = client.post("/create", json={"name": name})
                # Somebody else may have made it in between.
                found = _find(client, name) if made.status_code == httpx2.codes.BAD_REQUEST else made
            if found is None:
                raise PermanentError(f"MLflow at {mlflow_url} neither finds nor makes the experiment `{name}`.")
            return _id_of(_read(found, name), name, mlflow_url=mlflow_url)
    except httpx2.HTTPError as error:
        raise TransientError(
            f"MLflow at {mlflow_url} cannot be reached ({type(error).__name__}). Traces wait for it."
        ) from error


def delete_traces_before(mlflow_url: str, name: str, *, before_ms: int, headers: Mapping[str, str]) -> int:
    """Delete the traces of an experiment that began at or before a time; 0 if there is no such experiment.

    Raises:
        PermanentError: MLflow refuses, or the experiment was deleted.
        TransientError: MLflow cannot be reached.
    """
    try:
        with httpx2.Client(base_url=f"{mlflow_url}/api/2.0/mlflow", timeout=_DELETE_WITHIN_S) as client:
            client.headers.update(headers)
            found = client.get("/experiments/get-by-name", params={"experiment_name": name})
            if found.status_code == httpx2.codes.NOT_FOUND:
                return 0
            body = {
                "experiment_id": _id_of(_read(found, name), name, mlflow_url=mlflow_url),
                "max_timestamp_millis": before_ms,
            }
            deleted = _read(client.post("/traces/delete-traces", json=body), name)
    except httpx2.HTTPError as error:
        raise TransientError(f"MLflow at {mlflow_url} cannot be reached ({type(error).__name__}).") from error
    return int(deleted.get("traces_deleted", 0))


def _find(client: httpx2.Client, name: str) -> httpx2.Response | None:
    found = client.get("/get-by-name", params={"experiment_name": name})
    return None if found.status_code == httpx2.codes.NOT_FOUND else found


def _read(answer: httpx2.Response, name: str) -> dict[str, Any]:
    status = answer.status_code
    if status >= _SERVER_FAULT or status in _PASSING:
        raise TransientError(f"MLflow answered {status} when it was asked for the experiment `{name}`.")
    if not answer.is_success:
        raise PermanentError(
            f"MLflow answered {status} when it was asked for the experiment `{name}`. "
            "Check MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
        )
    try:
        read = answer.json()
    except ValueError as error:
        raise PermanentError("Whatever answers at the address of MLflow does not speak its API.") from error
    return read if isinstance(read, dict) else {}


def _id_of(read: dict[str, Any], name: str, *, mlflow_url: str) -> str:
    experiment = read.get("experiment", read)
    if not isinstance(experiment, dict):
        experiment = {}
    if experiment.get("lifecycle_stage", "active") != "active":
        raise PermanentError(
            f"The experiment `{name}` of MLflow at {mlflow_url} is deleted; expected an active one. "
            "Restore it with `mlflow experiments restore`."
        )
    experiment_id = experiment.get("experiment_id")
    if not isinstance(experiment_id, str):
        raise PermanentError(f"MLflow at {mlflow_url} names no id for the experiment `{name}`.")
    return experiment_id
