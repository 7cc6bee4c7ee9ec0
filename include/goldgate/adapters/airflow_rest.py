"""Airflow from outside, over its REST API: trigger a DAG as a person would, and see how it goes."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx

from goldgate.domain.errors import PermanentError, TransientError

_WITHIN_S: Final = 15.0
_TOKEN_KEPT_S: Final = 3600.0
"""A token of the local stack lives for a day."""


@dataclass(frozen=True, kw_only=True)
class TaskSeen:
    """A task of a run, now."""

    task_id: str
    state: str | None
    started_at: datetime | None
    ended_at: datetime | None


class AirflowRest:
    """One Airflow, as one user.

    Args:
        url: Its base address.
        user: Name of the user.
        password: Of the user. Never in an error.
    """

    def __init__(self, url: str, *, user: str, password: str) -> None:
        self._url = url
        self._login = {"username": user, "password": password}
        self._client = httpx.Client(base_url=url, timeout=_WITHIN_S, trust_env=False)
        self._token: tuple[str, float] | None = None

    def knows(self, dag_id: str) -> bool:
        """Say whether the DAG is there yet."""
        return self._send("GET", f"/api/v2/dags/{dag_id}", also=(404,)).status_code == httpx.codes.OK

    def trigger(self, dag_id: str, *, run_id: str, conf: dict[str, Any]) -> None:
        """Start a run. A run of that id that is there already goes on."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        self._send("POST", f"/api/v2/dags/{dag_id}/dagRuns", body=body, also=(409,))

    def run_state(self, dag_id: str, run_id: str) -> str:
        """`queued`, `running`, `success` or `failed`."""
        return str(self._send("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}").json()["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[TaskSeen]:
        """Every task of a run."""
        found = self._send("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances").json()
        return [
            TaskSeen(
                task_id=one["task_id"],
                state=one["state"],
                started_at=_time(one["start_date"]),
                ended_at=_time(one["end_date"]),
            )
            for one in found["task_instances"]
        ]

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """What a task returned; None if nothing (yet)."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        answered = self._send("GET", path, also=(404,))
        return None if answered.status_code == httpx.codes.NOT_FOUND else answered.json()["value"]

    def run_url(self, dag_id: str, run_id: str) -> str:
        """The page of a run."""
        return f"{self._url}/dags/{dag_id}/runs/{run_id}"

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()

    def _send(
        self, method: str, path: str, *, body: dict[str, Any] | None = None, also: tuple[int, ...] = ()
    ) -> httpx.Response:
        try:
            headers = {"Authorization": f"Bearer {self._bearer()}"}
            answered = self._client.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise TransientError(f"Airflow at {self._url} does not answer: {error!r}.") from error
        if answered.is_success or answered.status_code in also:
            return answered
        return _refused(answered, asked=f"{method} {path}")

    def _bearer(self) -> str:
        if self._token is None or time.monotonic() - self._token[1] > _TOKEN_KEPT_S:
            answered = self._client.post("/auth/token", json=self._login)
            if not answered.is_success:
                _refused(answered, asked="POST /auth/token")
            self._token = (str(answered.json()["access_token"]), time.monotonic())
        return self._token[0]


def _refused(answered: httpx.Response, *, asked: str) -> httpx.Response:
    told = f"Airflow answered {asked} with {answered.status_code}: {answered.text[:500]}"
    if answered.is_server_error or answered.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise TransientError(told)
    raise PermanentError(told)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
