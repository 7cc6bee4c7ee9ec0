"""A wire between Airflow and an API server, which can be held in the middle of what somebody new asks."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import psutil

_CHUNK_BYTES: Final = 65_536


class Relay:
    """Passes bytes on. `held_after` holds those who come while it is armed; all others go on."""

    def __init__(self, server: str) -> None:
        where = urlsplit(server)
        assert where.hostname is not None
        self._target = (where.hostname, where.port or 443)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self._left: int | None = None
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._open.set()
        self._held_by: int | None = None
        self.reached = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def held_after(self, answers: int) -> Iterator[None]:
        """Hold those who connect from now on, once the server has sent so many pieces; let go at the end."""
        self.reached.clear()
        self._open.clear()
        self._left = answers
        try:
            yield
        finally:
            self._left = None
            self._open.set()

    @property
    def held_process(self) -> psutil.Process:
        """Who waits at the other end."""
        port = self._held_by
        for found in psutil.net_connections("tcp4"):
            if found.laddr and found.laddr.port == port and found.pid:
                return psutil.Process(found.pid)
        raise AssertionError(f"nobody has port {port}")

    def close(self) -> None:
        """Take nobody any more."""
        self._open.set()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, (_, port) = self._listener.accept()
            except OSError:
                return
            told = port if self._left is not None else None
            threading.Thread(target=self._join, args=(client, told), daemon=True).start()

    def _join(self, client: socket.socket, port: int | None) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self._target) as server:
            back = threading.Thread(target=self._pass_on, args=(server, client, port), daemon=True)
            back.start()
            self._pass_on(client, server)
            back.join()

    def _pass_on(self, source: socket.socket, target: socket.socket, port: int | None = None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                if port is not None:
                    self._count(port)
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _count(self, port: int) -> None:
        with self._lock:
            if self._left is None:
                return
            self._left -= 1
            if self._left > 0:
                return
            if not self.reached.is_set():
                self._held_by = port
                self.reached.set()
        self._open.wait()
