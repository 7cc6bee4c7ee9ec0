"""Run a uvicorn server until it is told to stop, and come back from it."""

import signal
import socket

import uvicorn


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
