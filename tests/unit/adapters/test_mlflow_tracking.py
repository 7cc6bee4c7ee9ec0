"""Evaluations and packaged agents on a real MLflow server."""

import contextlib
import itertools
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from goldgate.domain.errors import PermanentError, TransientError
from tests.fakes.in_memory_tracking import InMemoryTracking

_numbers = itertools.count(1)

pytestmark = pytest.mark.slow


@pytest.fixture
def tracking(mlflow_url: str) -> Any:
    from goldgate.adapters.mlflow_tracking import MlflowTracking

    return MlflowTracking(mlflow_url, loader="tests.fakes.echo_agent:load_echo")


@pytest.fixture
def client(mlflow_url: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=mlflow_url)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / ("d" * 64)
    (folder / "prompts").mkdir(parents=True)
    (folder / "prompts" / "system.md").write_text("be kind")
    (folder / "agent.yaml").write_text("kind: Agent\n")
    return folder


def log(tracking: Any, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "experiment": f"experiment-{next(_numbers)}",
        "name": "candidate",
        "tags": {"release_id": "r1"},
        "params": {"retriever_k": "5"},
        "metrics": {"quality": 0.9, "hit@k": 0.8},
        "artifacts": [],
    }
    return tracking.log_evaluation(**(given | changes))


class TestLogEvaluation:
    def test_leaves_a_finished_run_with_everything(self, tracking, client, tmp_path: Path, mlflow_url: str):
        (tmp_path / "report").mkdir()
        (tmp_path / "report" / "index.html").write_text("<html>")
        (tmp_path / "results.jsonl").write_text("{}\n")

        tracked = log(tracking, artifacts=[tmp_path / "report", tmp_path / "results.jsonl"])

        run = client.get_run(tracked.run_id)
        assert (run.info.status, run.data.tags["release_id"]) == ("FINISHED", "r1")
        assert run.data.metrics == {"quality": 0.9, "hit_at_k": 0.8}
        assert run.data.params == {"retriever_k": "5"}
        assert {file.path for file in client.list_artifacts(tracked.run_id)} == {"report", "results.jsonl"}
        assert [file.path for file in client.list_artifacts(tracked.run_id, "report")] == ["report/index.html"]
        assert tracked.url.startswith(f"{mlflow_url}/#/experiments/")

    def test_uses_an_experiment_again(self, tracking, client):
        name = f"experiment-{next(_numbers)}"

        runs = [client.get_run(log(tracking, experiment=name).run_id).info for _ in range(2)]

        assert runs[0].experiment_id == runs[1].experiment_id

    def test_marks_a_run_whose_logging_broke_off(self, tracking, client, tmp_path: Path):
        name = f"experiment-{next(_numbers)}"

        with pytest.raises(PermanentError, match="is not there"):
            log(tracking, experiment=name, artifacts=[tmp_path / "missing"])

        (run,) = client.search_runs([client.get_experiment_by_name(name).experiment_id])
        assert run.info.status == "FAILED"

    def test_cuts_a_parameter_that_is_too_long(self, tracking, client):
        tracked = log(tracking, params={"prompt": "x" * 10_000})

        assert len(client.get_run(tracked.run_id).data.params["prompt"]) == 6000


class TestAttach:
    def test_adds_below_a_folder(self, tracking, client, tmp_path: Path):
        tracked = log(tracking)
        (tmp_path / "report.html").write_text("<html>")

        url = tracking.attach(tracked.run_id, [tmp_path / "report.html"], folder="evaluation")

        assert [file.path for file in client.list_artifacts(tracked.run_id, "evaluation")] == ["evaluation/report.html"]
        assert url == f"{tracked.url}/artifacts/evaluation"

    def test_refuses_a_run_that_is_not_there(self, tracking):
        with pytest.raises(PermanentError, match="no-such-run"):
            tracking.attach("no-such-run", [], folder="x")


class TestPackage:
    def test_makes_a_model_that_answers_from_its_bundle(self, tracking, mlflow_url: str, bundle: Path):
        import mlflow

        run_id = log(tracking).run_id
        packaged = tracking.package(bundle, run_id=run_id, name="helper")

        location = mlflow.MlflowClient(mlflow_url).get_logged_model(packaged.model_uri.split("/")[-1]).artifact_location
        model = mlflow.pyfunc.load_model(mlflow.artifacts.download_artifacts(location, tracking_uri=mlflow_url))
        (answer,) = model.predict(
            [
                {
                    "question": "Why?",
                    "context": ["c"],
                    "history": [{"role": "user", "content": "h"}],
                    "trace_id": "1" * 32,
                }
            ]
        )
        assert answer["answer"] == "be kind: Why? ['c'] ['h']"
        assert answer["trace_id"] == "1" * 32
        assert answer["tool_calls"] == [{"name": "t", "arguments": {"deep": {"a": [1]}}, "is_error": False}]
        assert model.metadata.run_id == run_id
        assert model.metadata.signature.to_dict() == packaged.signature

    def test_pins_what_the_agent_image_pins(self, tracking, client, bundle: Path, tmp_path: Path):
        import mlflow

        packaged = tracking.package(bundle, run_id=log(tracking).run_id, name="helper")

        location = client.get_logged_model(packaged.model_uri.split("/")[-1]).artifact_location
        path = mlflow.artifacts.download_artifacts(
            f"{location}/requirements.txt", dst_path=str(tmp_path), tracking_uri=client.tracking_uri
        )
        lines = Path(path).read_text().splitlines()
        assert "mlflow-skinny==3.17.2" in lines
        assert not [line for line in lines if "--hash" in line or line.startswith("mlflow==")]

    def test_does_not_load_the_agent(self, mlflow_url: str, bundle: Path):
        from goldgate.adapters.mlflow_tracking import MlflowTracking

        tracking = MlflowTracking(mlflow_url, loader="tests.fakes.echo_agent:load_never")

        assert tracking.package(bundle, run_id=log(tracking).run_id, name="helper").model_uri.startswith("models:/m-")


class TestUnreachable:
    def test_server_is_told_as_passing(self):
        from goldgate.adapters.mlflow_tracking import MlflowTracking

        tracking = MlflowTracking("http://127.0.0.1:1", loader="x:y")

        with pytest.raises(TransientError, match=r"http://127\.0\.0\.1:1 did not log the evaluation"):
            log(tracking)

    def test_server_is_told_in_one_plain_sentence(self):
        from goldgate.adapters.mlflow_tracking import MlflowTracking

        with pytest.raises(TransientError) as caught:
            MlflowTracking("http://127.0.0.1:1", loader="x:y").attach("r1", [], folder="report")

        assert str(caught.value) == (
            "MLflow at http://127.0.0.1:1 did not attach `report` to run `r1`: it refused the connection. "
            "Look with `make status`."
        )


RUN = {"run": {"info": {"run_id": "r1", "experiment_id": "0", "artifact_uri": "mlflow-artifacts:/0/r1/artifacts"}}}


class TestUpload:
    @pytest.mark.parametrize(("status", "kind"), [(403, PermanentError), (500, TransientError), (429, TransientError)])
    def test_that_the_server_does_not_take_is_told_as_ours(self, tmp_path: Path, status: int, kind: type[Exception]):
        from goldgate.adapters.mlflow_tracking import MlflowTracking

        (tmp_path / "report.html").write_text("<html>")
        with _server(status) as url, pytest.raises(kind, match=f"attach `report` to run `r{status}`.*{status}"):
            # A run of its own: MLflow remembers by run where its artifacts go.
            MlflowTracking(url, loader="x:y").attach(f"r{status}", [tmp_path / "report.html"], folder="report")


@contextlib.contextmanager
def _server(status: int) -> Iterator[str]:
    """An MLflow that knows the run and answers each upload with a status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, RUN)

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._answer(status, {})

        def _answer(self, code: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class TestInMemoryTracking:
    """The fake refuses what the real one refuses."""

    def test_refuses_an_artifact_that_is_not_there(self, tmp_path: Path):
        with pytest.raises(PermanentError):
            log(InMemoryTracking(), artifacts=[tmp_path / "missing"])

    def test_refuses_a_run_that_is_not_there(self):
        with pytest.raises(PermanentError, match="no-such-run"):
            InMemoryTracking().attach("no-such-run", [], folder="x")

    def test_keeps_what_was_logged(self):
        fake = InMemoryTracking()

        assert json.dumps(fake.runs[log(fake).run_id]["metrics"]) == '{"quality": 0.9, "hit@k": 0.8}'
