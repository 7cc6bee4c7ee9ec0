"""An MLflow that is busy: its client sends a request again that is still being written, and the two collide."""

import contextlib
import json
import threading
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from goldgate.domain.errors import PermanentError, TransientError
from tests.fakes.in_memory_locks import InMemoryLocks

SQLITE = "(sqlite3.IntegrityError) UNIQUE constraint failed: params.key, params.run_uuid"
"""As MLflow 3.17 told it under load."""

POSTGRES = '(psycopg2.errors.UniqueViolation) duplicate key value violates unique constraint "param_pk"'


@contextlib.contextmanager
def answering(message: str) -> Iterator[str]:
    """An MLflow that calls everything a bad request, for one reason."""
    content = json.dumps({"error_code": "BAD_REQUEST", "message": message}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(400)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PATCH = do_GET  # noqa: N815 - the names that http.server wants

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def attach(url: str) -> None:
    with warnings.catch_warnings(action="ignore"):  # MLflow warns of its own type hints
        from goldgate.adapters.mlflow_tracking import MlflowTracking
    MlflowTracking(url).attach("r1", [], folder="x")


def look(url: str) -> None:
    with warnings.catch_warnings(action="ignore"):  # as above
        from goldgate.adapters.mlflow_registry import MlflowRegistry
    MlflowRegistry(url, locks=InMemoryLocks()).traffic("a")


@pytest.mark.parametrize("act", [attach, look])
class TestACollision:
    @pytest.mark.parametrize("message", [SQLITE, POSTGRES])
    def test_passes(self, act: Callable[[str], None], message: str):
        with answering(message) as url, pytest.raises(TransientError, match="did not"):
            act(url)

    def test_is_no_excuse_for_other_bad_requests(self, act: Callable[[str], None]):
        with answering("Invalid value for `run_id`") as url, pytest.raises(PermanentError, match="refuses to"):
            act(url)
