"""The app that Flower ships: thin, and a mere carrier."""

from __future__ import annotations

import ast
import socket
import sys
import threading
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from federation.flower.launch import APP

RELAY = APP / "privfedtalk_relay"
ALLOWED = {"flwr", "__future__"} | set(sys.stdlib_module_names)


def imported(source: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {("." * node.level) + (node.module or "") for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", sorted(RELAY.glob("*.py")), ids=lambda path: path.stem)
def test_shipped_code_imports_flower_and_the_standard_library_only(path):
    assert imported(path.read_text()) <= ALLOWED


@pytest.mark.parametrize("line", ["import torch", "from federation.update import RoundState", "from . import torch"])
def test_the_check_sees_other_imports(line):
    assert not imported(f"def f():\n    {line}") <= ALLOWED


def test_nobody_else_imports_flower():
    root = APP.parents[2]
    parts = ("federation", "callbacks", "deploy")
    ours = [*root.glob("*.py"), *(path for part in parts for path in (root / part).rglob("*.py"))]
    assert len(ours) > 100
    assert {path.parent for path in ours if "flwr" in imported(path.read_text())} == {RELAY}


def test_nothing_else_is_shipped():
    shipped = [path.relative_to(APP) for path in APP.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sorted(path.name for path in shipped) == ["__init__.py", "client_app.py", "pyproject.toml", "server_app.py"]


def test_the_apps_name_what_is_there():
    components = tomllib.loads((APP / "pyproject.toml").read_text())["tool"]["flwr"]["app"]["components"]
    for component in components.values():
        module, _, name = component.partition(":")
        assert f"\n{name} = " in (APP / Path(*module.split("."))).with_suffix(".py").read_text()


@pytest.fixture(scope="module")
def apps():
    from federation.flower.app.privfedtalk_relay import client_app, server_app

    return SimpleNamespace(client=client_app, server=server_app)


class FakeGrid:
    """Answers every message with its own words, in capitals; node 13 fails and node 14 says nothing."""

    def __init__(self) -> None:
        self.pushed, self.ttl = {}, []

    def get_node_ids(self):
        return [2**63 + 1, 13, 14]

    def push_messages(self, messages):
        for number, message in enumerate(messages):
            self.pushed[f"m{number}"] = message
            self.ttl.append(message.metadata.ttl)
        return list(self.pushed)

    def pull_messages(self, numbers):
        for number in list(numbers):
            node = self.pushed[number].metadata.dst_node_id
            if node != 14:
                said = {"relay": {"message": bytes(self.pushed[number].content["relay"]["message"]).upper()}}
                metadata = SimpleNamespace(reply_to_message_id=number, src_node_id=node)
                yield SimpleNamespace(metadata=metadata, has_content=lambda node=node: node != 13, content=said)


@pytest.mark.flower
def test_the_server_app_carries_orders_and_answers(apps, monkeypatch):
    for name in ("_run_id", "_task_id", "_node_id"):  # Flower sets them in the processes it starts
        monkeypatch.setattr(f"flwr.supercore.task_identity.TaskIdentity.{name}", 1)
    server, grid = apps.server, FakeGrid()
    nodes = grid.get_node_ids()
    assert list(server.respond(grid, b"N")) == [b"N" + b"".join(map(server.NODE.pack, nodes))]
    orders = b"".join(server.ORDER.pack(node, 5) + b"hello" for node in nodes)
    answers = list(server.respond(grid, b"A" + server.SECONDS.pack(0.3) + orders))
    assert answers == [b"R" + server.NODE.pack(2**63 + 1) + b"HELLO", b"E"]
    assert all(ttl >= 1.0 for ttl in grid.ttl)


@pytest.mark.flower
def test_the_client_app_hands_on_and_back(apps, tmp_path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen(1)

    def serve():
        for answer in (b"\0\0\0\2ok", b"", b"\0\0\0\5cut"):
            connection, _ = listener.accept()
            assert connection.recv(100) == b"\0\0\0\5order"
            connection.sendall(answer)
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert apps.client.ask_device(str(tmp_path / "s"), b"order") == b"ok"
    for _ in range(2):
        with pytest.raises(ConnectionError):
            apps.client.ask_device(str(tmp_path / "s"), b"order")
    thread.join(10)
    listener.close()
