import socket

import pytest

from goldgate.entrypoints.serving_loop import EVERYWHERE, listen_on


class TestListenOn:
    def test_takes_every_address_of_the_machine(self):
        with listen_on(EVERYWHERE, port=0) as listener:
            port = listener.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
                reached = one.getpeername()[1]

        assert reached == port

    def test_takes_one_address_and_no_other(self):
        with listen_on("127.0.0.1", port=0) as listener:
            port = listener.getsockname()[1]

            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.2", port), timeout=10)

    def test_says_that_it_is_taken(self):
        with listen_on("127.0.0.1", port=0) as listener, pytest.raises(OSError, match="in use"):
            listen_on("127.0.0.1", port=listener.getsockname()[1])
