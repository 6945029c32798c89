from __future__ import annotations

import os
import socket
import stat
import threading
from contextlib import suppress

import pytest

from federation.deployment.frames import LENGTH, FrameError, receive_frame, send_frame
from federation.deployment.socket_service import SocketService, demand_user

LONGEST = 64


def answer(order: bytes) -> bytes:
    if order == b"refuse":
        raise ValueError("An order\nthat nobody should give.")
    if order == b"break":
        raise RuntimeError("the secret")
    return order.upper()


@pytest.fixture
def service(tmp_path):
    service = SocketService(tmp_path / "door" / "socket", answer, longest=LONGEST, users={os.getuid()})
    thread = threading.Thread(target=service.serve)
    thread.start()
    yield service
    service.close()
    thread.join(10)
    assert not thread.is_alive()


def connect(service: SocketService) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(str(service.path))
    return connection


def demand_closed(connection: socket.socket) -> None:
    with suppress(ConnectionResetError):  # where bytes were left unread
        assert connection.recv(1) == b""


def test_orders_are_answered_one_after_another(service):
    with connect(service) as connection:
        for order in (b"one", b"two"):
            send_frame(connection, order)
            assert receive_frame(connection, LONGEST) == order.upper()


def test_only_its_owner_and_group_reach_the_socket(service):
    assert stat.S_IMODE(service.path.stat().st_mode) == 0o660
    assert stat.S_IMODE(service.path.parent.stat().st_mode) == 0o700


def test_a_path_that_is_too_long_for_a_socket_is_one_line(tmp_path):
    folder = tmp_path / ("long" * 30)
    with pytest.raises(OSError, match=r"A socket must be made at .* Its path may have 107 bytes, and has \d{3}\."):
        SocketService(folder / "socket", bytes, longest=10, users={os.getuid()})


def test_a_group_may_pass_through_the_folder_and_read_nothing_in_it(tmp_path):
    service = SocketService(tmp_path / "door" / "socket", answer, longest=LONGEST, users=(), group=os.getgid())
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (service.path, service.path.parent)]
    service.close()
    assert modes == [0o660, 0o710]


@pytest.mark.parametrize(
    ("sent", "line"),
    [
        (LENGTH.pack(6) + b"refuse", "An order that nobody should give."),
        (LENGTH.pack(5) + b"break", "an internal RuntimeError"),
        (LENGTH.pack(LONGEST + 1), "between 1 and 64 bytes"),
        (LENGTH.pack(2**32 - 1) + b"GET / HTTP/1.1", "between 1 and 64 bytes"),
        (LENGTH.pack(0), "between 1 and 64 bytes"),
    ],
)
def test_whatever_is_no_order_closes_the_connection_with_one_line(service, caplog, sent, line):
    with connect(service) as connection:
        connection.sendall(sent)
        demand_closed(connection)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert line in lines[0]
    assert "\n" not in lines[0]
    assert "secret" not in lines[0]
    with connect(service) as connection:
        send_frame(connection, b"still there")
        assert receive_frame(connection, LONGEST) == b"STILL THERE"


def test_a_frame_that_breaks_off_is_none(service, caplog):
    with connect(service) as connection:
        connection.sendall(LENGTH.pack(10) + b"half")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert "Got 4 of them" in caplog.text


def test_another_user_is_turned_away_unread(tmp_path, caplog):
    service = SocketService(tmp_path / "door" / "socket", answer, longest=LONGEST, users={os.getuid() + 1})
    thread = threading.Thread(target=service.serve)
    thread.start()
    with connect(service) as connection:
        assert connection.recv(1) == b""
    service.close()
    thread.join(10)
    assert f"User {os.getuid()} may not speak to this device" in caplog.text
    assert not service.path.exists()


def test_without_the_check_anybody_is_answered(tmp_path, monkeypatch):
    monkeypatch.setattr("federation.deployment.socket_service.demand_user", lambda connection, users: None)
    service = SocketService(tmp_path / "socket", answer, longest=LONGEST, users=())
    thread = threading.Thread(target=service.serve)
    thread.start()
    with connect(service) as connection:
        send_frame(connection, b"hello")
        assert receive_frame(connection, LONGEST) == b"HELLO"
    service.close()
    thread.join(10)


def test_only_a_few_connections_are_open_at_once(service, caplog):
    idle = [connect(service) for _ in range(4)]
    for connection in idle:
        send_frame(connection, b"here")
        assert receive_frame(connection, LONGEST) == b"HERE"
    with connect(service) as connection:
        assert connection.recv(1) == b""
    assert "4 are open already" in caplog.text
    for connection in idle:
        connection.close()


def test_the_kernel_tells_who_connects():
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        demand_user(one, {os.getuid()})
        with pytest.raises(PermissionError):
            demand_user(one, {os.getuid() + 1})


def test_a_reader_is_not_made_to_wait_for_ever():
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        one.settimeout(0.05)
        with pytest.raises(TimeoutError):
            receive_frame(one, LONGEST)
        other.sendall(LENGTH.pack(3)[:2])
        other.close()
        with pytest.raises(FrameError):
            receive_frame(one, LONGEST)
