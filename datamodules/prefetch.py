"""Makes pieces ahead of time in a thread: while one is used, the next ones are made."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

AHEAD = 2


def prefetch(items: Iterable[Item]) -> Iterator[Item]:
    """Yield `items` in their order, made by a thread of their own, at most `AHEAD` of them before they are asked for.

    Two stages gain where their work releases Python's lock, as that of torch, PyAV and files does. What an item raises
    is raised here; when nobody asks any more, the thread finishes the item that it is making and ends.
    """
    source = iter(items)
    end = object()
    thread = ThreadPoolExecutor(max_workers=1)
    try:
        waiting = deque(thread.submit(next, source, end) for _ in range(AHEAD))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(thread.submit(next, source, end))
            yield item
    finally:
        thread.shutdown(wait=True, cancel_futures=True)
