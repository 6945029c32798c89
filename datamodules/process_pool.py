"""A pool of processes for work on many files, which end with this one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, current_process, get_context
from typing import TypeVar

import torch

Job = TypeVar("Job")
Result = TypeVar("Result")


def map_in_processes(
    work: Callable[[Job], Result], jobs: Sequence[Job], processes: int, doing: str
) -> Iterator[Result]:
    """Yield `work` of each job, in their order, done in several processes; whoever stops asking stops them.

    They are started anew, not forked: torch's and decord's threads, and a GPU, do not survive a fork. A daemon, as on a
    person's device, may have no children: it works alone.

    Args:
        work: What each process does; it and its results must pickle.
        jobs: What it is done for.
        processes: How many at once, one thread each; 1 is this one, as for one job.
        doing: What the processes do, for the error, e.g. `drew demo people`.

    Raises:
        OSError: If one of them is killed.
    """
    processes = min(processes, len(jobs))
    if processes <= 1 or current_process().daemon:
        yield from map(work, jobs)
        return
    others = set(active_children())
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_settle) as pool:
        with _deaf_children():
            # `map` cancels what nobody asks for any more, and stumbles over that where its processes end, too.
            done = [pool.submit(_work_until_told, work, job) for job in jobs]
        try:
            for result in done:
                yield result.result()
        except BrokenProcessPool:
            raise OSError(f"A process that {doing} was killed. Is there memory for it? Try again.") from None
        except BaseException:
            for process in set(active_children()) - others:
                process.terminate()
            raise


@contextmanager
def one_thread() -> Iterator[None]:
    """Work with one of torch's threads: on small pictures several wait for each other most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach, from their first moment on: this one tells them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _settle() -> None:
    signal.signal(signal.SIGTERM, _end)
    torch.set_num_threads(1)


def _end(*_: object) -> None:
    raise SystemExit(1)


def _work_until_told(work: Callable[[Job], Result], job: Job) -> Result:
    """Return `work(job)`; a process that is told to end takes no other job, but puts its things in order first."""
    try:
        return work(job)
    except SystemExit:
        os._exit(1)
