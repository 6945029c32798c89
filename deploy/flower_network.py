"""Starts Flower's own processes on loopback: a SuperLink with TLS, and SuperNodes that know a device by its socket."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from deploy.processes import Processes
from federation.flower.launch import ask_superlink, flower_command

CONNECTION = "federation"
PORT_OF_NODES = 100
"""SuperNodes listen on loopback at the SuperLink's port plus this and their number."""
MOST_NODES = 100


def start_superlink(processes: Processes, place: Path, port: int, environment: dict[str, str]) -> None:
    """Start a SuperLink that admits registered nodes alone, and knows them again when it is started anew."""
    certificates = place / "certificates"
    command = [flower_command("flower-superlink"), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--ssl-ca-certfile", str(certificates / "ca.crt"), "--ssl-certfile", str(certificates / "server.pem")]
    command += ["--ssl-keyfile", str(certificates / "server.key"), "--enable-supernode-auth"]
    command += ["--disable-runtime-dependency-installation", "--database", str(place / "superlink.db")]
    processes.start("superlink", command, environment)
    wait_for_port(processes, port, seconds=120)


def wait_for_port(processes: Processes, port: int, seconds: float) -> None:
    """Return when the SuperLink listens; raises ValueError if it ends or is late."""
    deadline = time.monotonic() + seconds
    while processes.running["superlink"].poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)
    raise ValueError(f"The SuperLink must listen on port {port}. {processes.last_words('superlink')}")


def free_port() -> int:
    """Return a loopback port with room above it for the nodes'."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port + PORT_OF_NODES + MOST_NODES < 2**16:
            return port
    raise OSError("No port is free on loopback.")


def register(key: Path, name: str, environment: dict[str, str]) -> None:
    """Have the SuperLink admit a node; raises ConnectionError if it does not."""
    arguments = ["supernode", "register", str(key), CONNECTION, "--name", name]
    ask_superlink(CONNECTION, f"register {name}", arguments, environment)


def start_supernode(
    processes: Processes, client: str, home: Path, place: Path, ports: tuple[int, int], environment: dict[str, str]
) -> None:
    """Start a SuperNode that knows of its device nothing but the socket."""
    command = [flower_command("flower-supernode"), "--root-certificates", str(place / "certificates" / "ca.crt")]
    command += ["--superlink", f"127.0.0.1:{ports[0]}", "--auth-supernode-private-key", str(home / "node.key")]
    command += ["--port", str(ports[1]), "--node-config", f'socket="{home / "door" / "socket"}"']
    processes.start(f"supernode-{client}", command, environment)
