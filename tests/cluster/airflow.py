"""A real Airflow, by its REST API, as a person's tools see it."""

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar

import httpx

from tests.waiting import until

WITHIN_S: Final = 180.0
T = TypeVar("T")


class Airflow:
    """The REST API, for the DAG `agent_task_run` above all."""

    def __init__(self, url: str, password: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)
        token = self._http.post("/auth/token", json={"username": "admin", "password": password}).json()["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, **given: Any) -> Any:
        """Ask until there is an answer: the database of this Airflow is one file, and at times too busy to write."""
        answered = awaited(lambda: self._answered(method, path, **given), what=f"Airflow is too busy: {path}")
        # What was begun before the answer was lost is there already.
        assert answered.status_code < 400 or (method, answered.status_code) == ("POST", 409), answered.text
        return answered.json()

    def _answered(self, method: str, path: str, **given: Any) -> httpx.Response | None:
        answered = self._http.request(method, f"/api/v2/{path}", **given)
        return None if answered.status_code >= 500 else answered

    def close(self) -> None:
        self._http.close()

    def has(self, dag_id: str) -> bool:
        return self._http.get(f"/api/v2/dags/{dag_id}").status_code == 200

    def trigger(self, run_id: str, **conf: Any) -> None:
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        self.ask("POST", "dags/agent_task_run/dagRuns", json=body)

    def task(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"dags/agent_task_run/dagRuns/{run_id}/taskInstances/run")
        return found

    def state(self, run_id: str) -> str | None:
        return self.task(run_id)["state"]

    def question(self) -> dict[str, Any] | None:
        """The task that asks a person."""
        found = self.ask("GET", "dags/~/dagRuns/~/hitlDetails", params={"response_received": False})["hitl_details"]
        return found[0]["task_instance"] if found else None

    def approved(self) -> bool:
        """Approve what is asked, once a trigger waits for it: Airflow loses an answer that comes within a moment."""
        if (asks := self.question()) is None:
            return False
        path = f"dags/{asks['dag_id']}/dagRuns/{asks['dag_run_id']}/taskInstances/ask"
        log = self.ask("GET", f"{path}/logs/{asks['try_number']}", params={"full_content": True})
        if "trigger agent_task_question/" not in str(log["content"]):
            return False
        answer = {"chosen_options": ["Approve"], "params_input": {"text": ""}}
        self.ask("PATCH", f"{path}/-1/hitlDetails", json=answer)
        return True

    def clear(self, run_id: str) -> None:
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["run"], "only_failed": False}
        self.ask("POST", "dags/agent_task_run/clearTaskInstances", json=body)

    def mark(self, run_id: str, state: str) -> None:
        path = f"dags/agent_task_run/dagRuns/{run_id}/taskInstances/run"
        self.ask("PATCH", path, json={"new_state": state})

    def log(self, run_id: str) -> str:
        tries = self.task(run_id)["try_number"]
        path = f"dags/agent_task_run/dagRuns/{run_id}/taskInstances/run/logs/{tries}"
        content = self.ask("GET", path, params={"full_content": True})["content"]
        return "\n".join(f"{line.get('event', line)} {line.get('error_detail') or ''}".rstrip() for line in content)

    def result(self, run_id: str) -> dict[str, Any]:
        path = f"dags/agent_task_run/dagRuns/{run_id}/taskInstances/run/xcomEntries/return_value"
        value = self.ask("GET", path, params={"deserialize": True})["value"]
        return json.loads(value) if isinstance(value, str) else value

    def runs(self) -> dict[str, dict[str, Any]]:
        found = self.ask("GET", "dags/agent_task_run/dagRuns")["dag_runs"]
        return {one["dag_run_id"]: one for one in found}


def awaited(found: Callable[[], T], *, what: str) -> T:
    """Wait for what an Airflow does at the pace of a busy machine."""
    return until(found, within_s=WITHIN_S, what=what)
