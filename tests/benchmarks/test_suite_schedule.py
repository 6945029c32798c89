"""Jobs are done in order, each once, and no longer than the budget lasts."""

from __future__ import annotations

import os
import signal
import time

import pytest

from benchmarks.suites.plan import Job
from benchmarks.suites.schedule import Clock, do_jobs

ONE, TWO = Job("one", "", False, None), Job("two", "", False, None)
AFTER_TWO = Job("after two", "", True, TWO)


class Floor:
    """Remembers what was done; what is `bare` has scores and no adapters."""

    def __init__(
        self,
        done: tuple[str, ...] = (),
        broken: tuple[str, ...] = (),
        bare: tuple[str, ...] = (),
        seconds: float = 0.0,
    ) -> None:
        self.done, self.broken, self.tried, self.lines = list(done), broken, [], []
        self.bare = list(bare)
        self.clock, self.seconds = Clock(None, began=0.0), seconds

    def do(self, job: Job) -> None:
        self.tried.append(job.key)
        self.clock.began -= self.seconds
        if job.key in self.broken:
            raise ValueError(f"{job.key} is\nbroken.")
        self.done.append(job.key)
        self.bare = [key for key in self.bare if key != job.key]

    def run(self, *jobs: Job, hours: float | None = None) -> dict[str, str]:
        self.clock.hours = hours
        return do_jobs(
            jobs,
            self.do,
            lambda job: job.key in self.done,
            lambda job: job.key in self.done and job.key not in self.bare,
            1,
            self.clock,
            lambda job, line: self.lines.append(f"{job.key}: {line}"),
        )


def test_what_is_done_is_not_done_again():
    floor = Floor(done=("one",))
    assert floor.run(ONE, TWO) == {}
    assert floor.tried == ["two"]
    assert "0 of 1 left" in floor.lines[0]


def test_a_job_waits_for_the_one_it_starts_from():
    floor = Floor()
    floor.run(AFTER_TWO, ONE, TWO)
    assert floor.tried == ["one", "two", "after two"]


def test_a_failure_is_told_and_ends_only_what_starts_from_it():
    floor = Floor(broken=("two",))
    assert floor.run(TWO, AFTER_TWO, ONE) == {"two": "ValueError: two is broken."}
    assert floor.tried == ["two", "one"]
    assert "ValueError" in floor.lines[0]


def test_what_others_start_from_is_done_again_if_its_adapters_are_gone():
    floor = Floor(done=("one", "two"), bare=("one", "two"))
    assert floor.run(ONE, TWO, AFTER_TWO) == {}
    assert floor.tried == ["two", "after two"]
    floor = Floor(done=("two", "after two"), bare=("two",))
    floor.run(TWO, AFTER_TWO)
    assert not floor.tried


@pytest.mark.parametrize(("hours", "done"), [(None, 3), (3.1, 3), (2.9, 2), (0.1, 1)])
def test_no_job_begins_that_would_not_end_in_time(monkeypatch, hours, done):
    floor = Floor(seconds=3600)
    monkeypatch.setattr("benchmarks.suites.schedule.time.monotonic", lambda: 0.0)
    floor.run(ONE, TWO, AFTER_TWO, hours=hours)
    assert len(floor.tried) == done


@pytest.mark.slow
def test_processes_work_beside_each_other():
    lines: list[str] = []
    failures = do_jobs([ONE, TWO], demand_two, nothing, nothing, 2, Clock(None), lambda job, line: lines.append(line))
    assert failures == {"one": "ValueError: Got one."}
    assert len(lines) == 2


def nothing(job: Job) -> bool:
    """Stand for a folder in which no job has left anything."""
    return False


def demand_two(job: Job) -> None:
    """Stand for a job; another process finds it by its name."""
    if job != TWO:
        raise ValueError(f"Got {job.key}.")


@pytest.mark.slow
def test_a_process_that_is_killed_costs_its_own_job_alone():
    keys = ("killed", "beside", "killed, too", "after", "last")
    lines: list[str] = []
    failures = do_jobs(
        [Job(key, "", False, None) for key in keys],
        kill_some,
        nothing,
        nothing,
        2,
        Clock(None),
        lambda job, line: lines.append(f"{job.key}: {line}"),
    )
    assert sorted(failures) == ["killed", "killed, too"]
    assert set(failures.values()) == {"its process was killed, perhaps for want of memory"}
    assert sorted(line.split(", ")[0] for line in lines if "done" in line) == [
        "after: done",
        "beside: done",
        "last: done",
    ]


def kill_some(job: Job) -> None:
    """Stand for jobs that the kernel ends as they take too much memory."""
    if "killed" in job.key:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.5)  # so that a job stands beside one that is killed
