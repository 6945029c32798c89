"""A thread works ahead as far as it may, hands on errors, and ends when nobody asks any more."""

from __future__ import annotations

import threading

import pytest

from datamodules.prefetch import AHEAD, prefetch


def count_made(made: list[int]):
    for number in range(10):
        made.append(number)
        yield number


def test_everything_comes_in_order():
    assert list(prefetch(range(100))) == list(range(100))
    assert list(prefetch([])) == []


def test_no_more_is_made_than_may_wait():
    made: list[int] = []
    stream = prefetch(count_made(made))
    assert next(stream) == 0
    stream.close()
    assert len(made) <= AHEAD + 1


def test_one_is_made_while_another_is_used():
    """The second item is waited for inside the first one's use: without a thread that would never end."""
    second = threading.Event()

    def make():
        yield 1
        second.set()
        yield 2

    for _ in prefetch(make()):
        assert second.wait(timeout=10)


def test_what_goes_wrong_is_raised_in_its_place():
    def make():
        yield 1
        raise OSError("broken")

    stream = prefetch(make())
    assert next(stream) == 1
    with pytest.raises(OSError, match="broken"):
        next(stream)


def test_no_thread_is_left():
    before = set(threading.enumerate())
    stream = prefetch(iter(int, 1))
    next(stream)
    assert set(threading.enumerate()) > before
    stream.close()
    assert set(threading.enumerate()) <= before
