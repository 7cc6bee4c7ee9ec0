"""What agents in pods need of the world: a model and a tool that acts. Both can be held, and count."""

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import yaml

from goldgate.adapters.cluster.connection import Access, connect
from goldgate.adapters.cluster.resources import ClusterResources
from goldgate.entrypoints.agent_applying import apply_agent, frozen_folder
from goldgate.entrypoints.settings import CHECKOUT, Settings
from tests.cluster.conftest import ClusterUnderTest
from tests.fakes.agent_folders import pin_tools, write_folder
from tests.fakes.scripted_endpoint import completion

API: Final = "goldgate.dev/v1alpha1"
AGENT: Final = "clerk"
ANSWER: Final = "It is booked."
_WITHIN_S: Final = 240.0
_KEY: Final = "goldgate.dev/idempotency-key"
_TOOL: Final = {
    "name": "book",
    "description": "Book a room.",
    "inputSchema": {
        "type": "object",
        "properties": {"room": {"type": "string"}},
        "required": ["room"],
        "additionalProperties": False,
    },
}
_ASK: Final = "ask_"
"""How the tools begin by which another agent is asked."""
_CALL: Final = {"id": "c1", "type": "function", "function": {"name": "book", "arguments": '{"room": "blue"}'}}


@dataclass
class Gate:
    """Where something comes by, and may be held."""

    opened: threading.Event = field(default_factory=threading.Event)
    _came: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __post_init__(self) -> None:
        self.opened.set()

    def pass_through(self) -> None:
        """Come by, and go on when it is open."""
        self._came.release()
        self.opened.wait()

    def await_one(self) -> None:
        """Wait until something came by that was not waited for before."""
        assert self._came.acquire(timeout=_WITHIN_S), "nothing came by"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let nothing through meanwhile."""
        while self._came.acquire(blocking=False):
            pass
        self.opened.clear()
        try:
            yield
        finally:
            self.opened.set()


class World:
    """A model that asks for one booking, a tool that makes it, and who came by."""

    def __init__(self, host: str, *, model_s: float = 0.0) -> None:
        """Serve on a free port.

        Args:
            host: The address to serve on.
            model_s: How long the model takes to reply, in seconds.
        """
        self._model_s = model_s
        self.asking, self.answering, self.booking = Gate(), Gate(), Gate()
        self.model_calls = 0
        self.booked: list[str] = []
        """Keys of the calls that reached the tool. It honours them: the same key books once."""
        self._lock = threading.Lock()
        self._server = _server(host, self)
        self.url = f"http://{host}:{self._server.server_address[1]}"

    def close(self) -> None:
        for gate in (self.asking, self.answering, self.booking):
            gate.opened.set()
        self._server.shutdown()
        self._server.server_close()

    def replied(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for the tool first, where there is one, and answer when its result is there."""
        with self._lock:
            self.model_calls += 1
        time.sleep(self._model_s)
        if request.get("tools") and not any(message["role"] == "tool" for message in request["messages"]):
            if (name := request["tools"][0]["function"]["name"]).startswith(_ASK):
                asked = {"name": name, "arguments": '{"message": "Book the blue room."}'}
                return completion(None, tool_calls=[{**_CALL, "function": asked}], finish_reason="tool_calls")
            self.asking.pass_through()
            return completion(None, tool_calls=[_CALL], finish_reason="tool_calls")
        self.answering.pass_through()
        return completion(ANSWER)

    def told(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """Speak MCP, as much of it as one tool needs. None: there is nothing to say to that."""
        match request["method"]:
            case "initialize":
                return {
                    "protocolVersion": request["params"]["protocolVersion"],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "rooms", "version": "1"},
                }
            case "tools/list":
                return {"tools": [_TOOL]}
            case "tools/call":
                key = request["params"].get("_meta", {}).get(_KEY, "none")
                with self._lock:
                    self.booked.append(key)
                self.booking.pass_through()
                return {"content": [{"type": "text", "text": "booked"}], "isError": False}
            case "ping":
                return {}
        return None


def _server(host: str, world: World) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.startswith("/v1/"):
                self._send(200, world.replied(request))
            elif "id" not in request:
                self._send(202, None)
            elif (result := world.told(request)) is not None:
                self._send(200, {"jsonrpc": "2.0", "id": request["id"], "result": result})
            else:
                error = {"code": -32601, "message": "unknown method"}
                self._send(200, {"jsonrpc": "2.0", "id": request["id"], "error": error})

        def do_GET(self) -> None:
            self._send(405, None)

        def do_DELETE(self) -> None:
            self._send(405, None)

        def _send(self, code: int, content: object) -> None:
            body = b"" if content is None else json.dumps(content).encode()
            try:
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                self.close_connection = True  # whoever asked is gone

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@dataclass(frozen=True, kw_only=True)
class Place:
    """A namespace in which an agent can be asked."""

    cluster: ClusterUnderTest
    world: World
    access: Access
    folder: Path

    @property
    def settings_file(self) -> Path:
        """How pods are made; `GOLDGATE_PODS`."""
        return self.folder / "pods.yaml"


def settle(
    cluster: ClusterUnderTest, world: World, folder: Path, *, accounts: tuple[str, ...] = ("task-run",)
) -> Place:
    """Bring an agent with a tool into a namespace, with the account of its pods and the file that says how they are."""
    apply_accounts(cluster, *accounts)
    place = Place(
        cluster=cluster,
        world=world,
        access=Access(where=str(cluster.kubeconfig), namespace=cluster.namespace),
        folder=folder,
    )
    place.settings_file.write_text(yaml.safe_dump(pod_settings(cluster, world)))
    bring_agent(place, AGENT, idempotent=["book"])
    return place


def apply_accounts(cluster: ClusterUnderTest, *names: str) -> None:
    """Make service accounts in the namespace of a test, with their roles."""
    documents = [
        document
        for name in names
        for document in yaml.safe_load_all((CHECKOUT / f"include/deploy/rbac/{name}.yaml").read_text())
    ]
    for document in documents:
        for subject in document.get("subjects", ()):
            subject["namespace"] = cluster.namespace
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))


def bring_agent(place: Place, name: str, **grant: list[str]) -> None:
    """Freeze an agent and apply it.

    Args:
        place: Where it is applied.
        name: What it is called.
        grant: What is known of its tool: lists of the grant, as in `idempotent=["book"]`.
    """
    spec = {"tools": [{"mcpServer": "rooms", "allow": ["book"], **grant}], "limits": {"timeoutSeconds": 600}}
    agent = write_folder(place.folder / name, agent_documents(place.world, name=name, **spec), files={})
    pin_tools(agent)
    _apply(place, agent)


def bring_asking_agent(place: Place, name: str, *, asks: str) -> None:
    """Freeze an agent that may only ask another one, and apply it."""
    spec = {"agents": [{"agent": asks, "description": "Books rooms."}], "limits": {"timeoutSeconds": 600}}
    _apply(place, write_folder(place.folder / name, agent_documents(place.world, name=name, **spec), files={}))


def _apply(place: Place, agent: Path) -> None:
    settings = Settings.from_env({"GOLDGATE_HOME": str(place.folder / "home"), "GOLDGATE_AGENTS": str(place.folder)})
    bundle = frozen_folder(agent, settings=settings, env=dict(os.environ))
    reached = connect(place.access, namespace=place.cluster.namespace)
    apply_agent(bundle, resources=ClusterResources(reached))
    reached.client.close()


def pod_settings(cluster: ClusterUnderTest, world: World) -> dict[str, Any]:
    """Write how the pods of a test are made: small, so that fifty fit on a node."""
    spec = {
        "image": cluster.image,
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "env": {"GOLDGATE_MODEL_URL": f"{world.url}/v1", "GOLDGATE_OTLP_URL": "off"},
        "graceSeconds": 5,
        "keep": "never",
    }
    return {"apiVersion": API, "kind": "PodSettings", "metadata": {"name": "pods"}, "spec": spec}


def agent_documents(world: World, *, name: str, **spec: Any) -> str:
    agent = {
        "description": "Books rooms.",
        "llm": "model",
        "prompts": {"system": "prompts/system.md", "user": "prompts/user.md"},
        **spec,
    }
    documents = [
        ("LLM", "model", {"model": "scripted-1", "baseUrl": f"{world.url}/v1", "free": True, "timeoutSeconds": 300}),
        ("MCPServer", "rooms", {"url": f"{world.url}/mcp", "timeoutSeconds": 300}),
        ("Agent", name, agent),
    ]
    return "---\n".join(
        yaml.safe_dump({"apiVersion": API, "kind": kind, "metadata": {"name": called}, "spec": spec})
        for kind, called, spec in documents
    )
