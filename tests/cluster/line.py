"""A line to the API server that can be cut, or held in the middle of what somebody new asks.

Whoever uses it is cut off or held, and nobody else.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import yaml

from goldgate.adapters.cluster.connection import Access

_CHUNK_BYTES = 65_536


class Line:
    """Carries connections to a server, as long as it is whole and nobody holds it."""

    def __init__(self, server: str) -> None:
        where = urlsplit(server)
        assert where.hostname is not None
        self.turned_away = 0
        """Connections that came while it was cut."""
        self.reached = threading.Event()
        """Somebody is held."""
        self._to = (where.hostname, where.port or 443)
        self._is_cut = False
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._left: int | None = None
        self._held_port = 0
        self._may_go_on = threading.Event()
        self._may_go_on.set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._serving = threading.Thread(target=self._serve, daemon=True)
        self._serving.start()

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self._server.getsockname()[1]}"

    @contextmanager
    def cut(self) -> Iterator[None]:
        """End what is open, and let nothing through meanwhile."""
        with self._lock:
            self._is_cut, self.turned_away = True, 0
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            self._open.clear()
        try:
            yield
        finally:
            self._is_cut = False

    @contextmanager
    def held_after(self, answers: int) -> Iterator[None]:
        """Hold those who connect from now on, once the server has sent so many pieces; let go at the end."""
        self.reached.clear()
        self._may_go_on.clear()
        self._left = answers
        try:
            yield
        finally:
            self._left = None
            self._may_go_on.set()

    @property
    def held_process(self) -> psutil.Process:
        """Who waits at the other end."""
        for found in psutil.net_connections("tcp4"):
            if found.laddr and found.laddr.port == self._held_port and found.pid:
                return psutil.Process(found.pid)
        raise AssertionError(f"nobody has port {self._held_port}")

    def close(self) -> None:
        """Take nobody any more."""
        # It wakes whoever waits for a connection, which to close alone does not.
        self._server.shutdown(socket.SHUT_RDWR)
        self._serving.join()
        self._may_go_on.set()
        with self.cut():
            self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, (_, port) = self._server.accept()
                threading.Thread(target=self._take, args=(near, port), daemon=True).start()

    def _take(self, near: socket.socket, port: int) -> None:
        may_be_held = self._left is not None
        with near, suppress(OSError), socket.create_connection(self._to) as far:
            if not self._let_in(near, far):
                return
            back = threading.Thread(target=self._carry, args=(far, near, port if may_be_held else None), daemon=True)
            back.start()
            self._carry(near, far)
            back.join()

    def _let_in(self, *ends: socket.socket) -> bool:
        with self._lock:
            if self._is_cut:
                self.turned_away += 1
            else:
                self._open += ends
            return not self._is_cut

    def _carry(self, from_: socket.socket, to: socket.socket, held_as: int | None = None) -> None:
        with suppress(OSError):
            while chunk := from_.recv(_CHUNK_BYTES):
                if held_as is not None:
                    self._count(held_as)
                to.sendall(chunk)
        for each in (from_, to):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _count(self, port: int) -> None:
        with self._lock:
            if self._left is None:
                return
            self._left -= 1
            if self._left > 0:
                return
            if not self.reached.is_set():
                self._held_port = port
                self.reached.set()
        self._may_go_on.wait()


@contextmanager
def line_to(kubeconfig: Path, *, namespace: str) -> Iterator[tuple[Line, Access]]:
    """Lay a line to the API server of a kubeconfig, and give it with a way to use it."""
    said = yaml.safe_load(kubeconfig.read_text())
    [cluster] = [each["cluster"] for each in said["clusters"]]
    line = Line(cluster["server"])
    # Its certificate is of another name; only the line is between them, on this machine.
    cluster.clear()
    cluster |= {"server": line.address, "insecure-skip-tls-verify": True}
    try:
        yield line, Access(kubeconfig=yaml.safe_dump(said), namespace=namespace)
    finally:
        line.close()
