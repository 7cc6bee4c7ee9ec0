"""Bind an address, run a uvicorn server until it is told to stop, and come back from it."""

import signal
import socket
from typing import Final

import uvicorn

EVERYWHERE: Final = "*"
"""As a host: every address of the machine, of both families where it has both."""


def listen_on(host: str, *, port: int, backlog: int | None = None) -> socket.socket:
    """Bind a TCP address and listen.

    Args:
        host: An address, a name, or `EVERYWHERE`.
        port: 0 takes a free one.
        backlog: How many connections may wait to be accepted.

    Raises:
        OSError: It is taken, or not of this machine.
        OverflowError: There is no such port.
    """
    if host != EVERYWHERE:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=backlog)
    if socket.has_dualstack_ipv6():
        return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=backlog)
    return socket.create_server(("", port), backlog=backlog)


def serve_until_stopped(server: uvicorn.Server, *, listener: socket.socket) -> None:
    """Serve on a bound socket until SIGTERM or SIGINT, answer what is under way, and return.

    uvicorn raises the signal that stopped it once more when it is done, which by default would end the process before
    its caller can clean up.
    """

    def stop(*_: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    server.run(sockets=[listener])
