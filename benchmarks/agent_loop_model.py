"""The model of `agent_loop.py`: asks ten times for a tool call, then answers. It prints its port.

It reads no JSON: it counts the results in the request, so that it costs as little as a server can.
"""

import asyncio
import json
import socket

TOOL_CALLS = 10
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def reply(number: int) -> bytes:
    """The answer to a request with so many results."""
    if number >= TOOL_CALLS:
        message: dict[str, object] = {"role": "assistant", "content": "Done."}
        reason = "stop"
    else:
        function = {"name": "add", "arguments": json.dumps({"a": number, "b": 1})}
        call = {"id": f"call-{number}", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        reason = "tool_calls"
    choice = {"index": 0, "message": message, "finish_reason": reason}
    body = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": USAGE}
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


REPLIES = [reply(number) for number in range(TOOL_CALLS + 1)]


class Model(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what is written at once."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._read = b""
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._read += data
        while (end := self._read.find(b"\r\n\r\n") + 4) > 3:  # noqa: PLR2004 - nothing was found
            head = self._read[:end].lower()
            length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            if len(self._read) < end + length:
                return
            body, self._read = self._read[end : end + length], self._read[end + length :]
            self._transport.write(REPLIES[min(body.count(b'"tool_call_id"'), TOOL_CALLS)])


async def serve() -> None:
    """Serve until it is killed."""
    server = await asyncio.get_running_loop().create_server(Model, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
