"""On a device: hands the server's order to the device's socket and the answer back, and holds nothing.

Flower starts this anew for every message and takes its code from the server, so it imports only flwr and the standard
library, and runs as a user that reaches the socket and nothing else.
"""

from __future__ import annotations

import socket

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

LENGTH_BYTES = 4

app = ClientApp()


@app.query()
def relay(message: Message, context: Context) -> Message:
    """Return the device's answer to the server's order.

    Raises:
        ConnectionError: If the device refuses; its own log says why.
    """
    order = bytes(message.content["relay"]["message"])
    answer = ask_device(str(context.node_config["socket"]), order)
    return Message(RecordDict({"relay": ConfigRecord({"message": answer})}), reply_to=message)


def ask_device(path: str, order: bytes) -> bytes:
    """Return what the device behind a Unix socket answers to one order."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(len(order).to_bytes(LENGTH_BYTES, "big") + order)
        with connection.makefile("rb") as answers:
            length = int.from_bytes(answers.read(LENGTH_BYTES), "big")
            answer = answers.read(length)
    if not answer or len(answer) != length:
        raise ConnectionError("The device gave no answer.")
    return answer
