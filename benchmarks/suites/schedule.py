"""Does the jobs of a suite in their order, several at a time, as long as the budget lasts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context

from benchmarks.suites.plan import Job


@dataclass
class Clock:
    """Says whether another job may begin: only if one as long as the longest yet would end in time."""

    hours: float | None
    """The budget; None has no end. The first job begins whatever the budget is."""
    began: float = field(default_factory=time.monotonic)
    longest: float = 0.0
    """Seconds of the longest job that was done."""

    @property
    def seconds(self) -> float:
        """Return the seconds that have passed."""
        return time.monotonic() - self.began

    def allows_another(self) -> bool:
        """Return whether another job may begin."""
        return self.hours is None or self.longest == 0 or self.seconds + self.longest <= 3600 * self.hours


class ThisProcess(Executor):
    """Calls what is submitted at once, in this process; a debugger and a test can look inside."""

    def submit(self, fn: Callable[..., object], /, *args: object, **kwargs: object) -> Future:
        """Return a future that is done."""
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class OneProcess(Executor):
    """Calls what is submitted in one other process; where that is killed, the call fails and the next has another."""

    def __init__(self) -> None:
        self._pool = _spawn_one()

    def submit(self, fn: Callable[..., object], /, *args: object, **kwargs: object) -> Future:
        """Return the future of a call."""
        try:
            return self._pool.submit(fn, *args, **kwargs)
        except BrokenProcessPool:
            self._pool = _spawn_one()
            return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the process once it has done what was submitted."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


def do_jobs(
    jobs: Sequence[Job],
    do: Callable[[Job], None],
    is_done: Callable[[Job], bool],
    has_adapters: Callable[[Job], bool],
    processes: int,
    clock: Clock,
    say: Callable[[Job, str], None],
) -> dict[str, str]:
    """Do what is not done yet and return, by the keys of jobs that failed, why; the others go on.

    Args:
        jobs: In the order in which they shall begin. One that starts from another waits for its adapters.
        do: Does a job; called in another process where there are several, so it must be picklable.
        is_done: Whether a job needs no doing, but for others that start from it.
        has_adapters: Whether others can start from a job; one that cannot be started from is done again for them.
        processes: Jobs at the same time.
        clock: Ends it.
        say: Called with each job that ends, and what became of it.
    """
    wanted = {job for job in jobs if not is_done(job)}
    wanted |= {job.start for job in wanted if job.start is not None and not has_adapters(job.start)}
    waiting, running, failures = [job for job in jobs if job in wanted], {}, {}
    total = len(waiting)
    with ExitStack() as ends:
        # A pool for each, since all calls of a pool fail where one of its processes is killed.
        free = [ends.enter_context(ThisProcess() if processes == 1 else OneProcess()) for _ in range(processes)]
        while True:
            while free and clock.allows_another() and (job := _next(waiting, has_adapters)):
                waiting.remove(job)
                worker = free.pop()
                running[worker.submit(do, job)] = (job, worker, clock.seconds)
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job, worker, began = running.pop(future)
                free.append(worker)
                clock.longest = max(clock.longest, clock.seconds - began)
                if error := future.exception():
                    failures[job.key] = _describe(error)
                left = f"{len(waiting) + len(running)} of {total} left"
                say(job, f"{failures.get(job.key, 'done')}, {clock.seconds - began:.0f} s, {left}")
    return failures


def _spawn_one() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))  # torch's threads do not survive a fork


def _describe(error: BaseException) -> str:
    if isinstance(error, BrokenProcessPool):
        return "its process was killed, perhaps for want of memory"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _next(waiting: Sequence[Job], has_adapters: Callable[[Job], bool]) -> Job | None:
    """Return the first job that can begin."""
    return next((job for job in waiting if job.start is None or has_adapters(job.start)), None)
