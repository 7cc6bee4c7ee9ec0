"""A line to the API server that can be cut: whoever uses it is cut off, and nobody else."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from goldgate.adapters.cluster.connection import Access

_CHUNK_BYTES = 65_536


class Line:
    """Carries connections to an address, as long as it is whole."""

    def __init__(self, host: str, port: int) -> None:
        self.turned_away = 0
        """Connections that came while it was cut."""
        self._to = (host, port)
        self._is_cut = False
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
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

    def close(self) -> None:
        # It wakes whoever waits for a connection, which to close alone does not.
        self._server.shutdown(socket.SHUT_RDWR)
        self._serving.join()
        with self.cut():
            self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                self._take(self._server.accept()[0])

    def _take(self, near: socket.socket) -> None:
        with self._lock:
            if self._is_cut:
                self.turned_away += 1
                near.close()
                return
            far = socket.create_connection(self._to)
            self._open += [near, far]
        threading.Thread(target=_join, args=(near, far), daemon=True).start()


def _join(near: socket.socket, far: socket.socket) -> None:
    with near, far:
        back = threading.Thread(target=_carry, args=(far, near), daemon=True)
        back.start()
        _carry(near, far)
        back.join()


def _carry(from_: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while chunk := from_.recv(_CHUNK_BYTES):
            to.sendall(chunk)
    for each in (from_, to):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def line_to(kubeconfig: Path, *, namespace: str) -> Iterator[tuple[Line, Access]]:
    """Lay a line to the API server of a kubeconfig, and give it with a way to use it."""
    said = yaml.safe_load(kubeconfig.read_text())
    [cluster] = [each["cluster"] for each in said["clusters"]]
    server = urlsplit(cluster["server"])
    line = Line(server.hostname or "", server.port or 443)
    # Its certificate is of another name; only the line is between them, on this machine.
    cluster.clear()
    cluster |= {"server": line.address, "insecure-skip-tls-verify": True}
    try:
        yield line, Access(kubeconfig=yaml.safe_dump(said), namespace=namespace)
    finally:
        line.close()
