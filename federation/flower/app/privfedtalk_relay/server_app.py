"""On the server: carries what `train.py` asks of nodes to Flower's grid, and the answers back, over a Unix socket.

Frames are a length of 4 bytes and a content. From `train.py`: `N` asks for the nodes; `A`, seconds (float64) and for
each node its number (8 bytes), a length (4) and an order give orders out. To it: `N` and the nodes' numbers; `R`, a
node's number and its answer; `E` when the answers are over. All numbers are big-endian.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

LENGTH = struct.Struct(">I")
SECONDS = struct.Struct(">d")
ORDER = struct.Struct(">QI")
NODE = struct.Struct(">Q")
POLL_SECONDS = 0.2

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Serve one `train.py` until it closes its socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(context.run_config["socket"]))
        with connection.makefile("rb") as requests:
            while request := read_frame(requests):
                for answer in respond(grid, request):
                    connection.sendall(LENGTH.pack(len(answer)) + answer)


def respond(grid: Grid, request: bytes) -> Iterator[bytes]:
    """Yield the frames that answer one request."""
    if request[:1] == b"N":
        yield b"N" + b"".join(NODE.pack(node) for node in grid.get_node_ids())
        return
    (seconds,) = SECONDS.unpack_from(request, 1)
    for node, answer in ask_nodes(grid, read_orders(request[1 + SECONDS.size :]), seconds):
        yield b"R" + NODE.pack(node) + answer
    yield b"E"


def ask_nodes(grid: Grid, orders: dict[int, bytes], seconds: float) -> Iterator[tuple[int, bytes]]:
    """Give nodes their orders and yield what they answer in time; an order that is not taken by then expires."""
    deadline = time.monotonic() + seconds
    messages = [
        Message(RecordDict({"relay": ConfigRecord({"message": order})}), node, "query", ttl=max(1.0, seconds))
        for node, order in orders.items()
    ]
    waiting = {number for number in grid.push_messages(messages) if number}
    while waiting and time.monotonic() < deadline:
        for reply in grid.pull_messages(waiting):
            waiting.discard(reply.metadata.reply_to_message_id)
            if reply.has_content():
                yield reply.metadata.src_node_id, bytes(reply.content["relay"]["message"])
        time.sleep(POLL_SECONDS)


def read_orders(content: bytes) -> dict[int, bytes]:
    """Return the orders of a request by node."""
    orders, start = {}, 0
    while start < len(content):
        node, length = ORDER.unpack_from(content, start)
        start += ORDER.size + length
        orders[node] = content[start - length : start]
    return orders


def read_frame(requests: socket.SocketIO) -> bytes:
    """Return the next frame, empty where there is none."""
    head = requests.read(LENGTH.size)
    return requests.read(*LENGTH.unpack(head)) if len(head) == LENGTH.size else b""
