"""Several processes, and how they end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest
import torch

from datamodules.process_pool import map_in_processes, one_thread


def tell(job):
    return job, os.getpid(), torch.get_num_threads()


def be_killed(job):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(job):
    raise ValueError(f"job {job}")


def tell_from_a_daemon(answers):
    answers.put(list(map_in_processes(tell, [1, 2], 2, "counted")))


@pytest.mark.slow
def test_results_come_in_the_order_of_the_jobs_from_other_processes_of_one_thread():
    done = list(map_in_processes(tell, range(5), 2, "counted"))
    assert [job for job, _, _ in done] == list(range(5))
    assert os.getpid() not in {process for _, process, _ in done}
    assert {threads for _, _, threads in done} == {1}


def test_one_process_is_this_one():
    assert {process for _, process, _ in map_in_processes(tell, range(3), 1, "counted")} == {os.getpid()}


@pytest.mark.slow
def test_a_daemon_works_alone_as_it_may_have_no_children():
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    daemon = context.Process(target=tell_from_a_daemon, args=(answers,), daemon=True)
    daemon.start()
    assert {process for _, process, _ in answers.get(timeout=120)} == {daemon.pid}
    daemon.join()


def listen(job):
    os.kill(os.getpid(), signal.SIGINT)
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.slow
def test_an_interruption_is_this_processs_alone():
    assert list(map_in_processes(listen, [1, 2], 2, "listened")) == [True, True]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_work_in_a_line():
    with pytest.raises(OSError, match=r"^A process that counted was killed"):
        list(map_in_processes(be_killed, [1, 2, 3], 2, "counted"))


@pytest.mark.slow
def test_what_a_job_raises_is_raised_here():
    with pytest.raises(ValueError, match="job 1"):
        list(map_in_processes(fail, [1, 2, 3], 2, "counted"))


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def leave_a_note(path):
    try:
        path.with_suffix(".begun").touch()
        time.sleep(600 if path.name != "first" else 0)
    finally:
        path.with_suffix(".left").touch()


@pytest.mark.slow
def test_who_stops_asking_stops_the_work_and_each_process_leaves_in_order(tmp_path, capfd):
    jobs, others = [tmp_path / name for name in ("first", *"abcdef")], set(multiprocessing.active_children())
    results = map_in_processes(leave_a_note, jobs, 2, "slept")
    next(results)
    while len(list(tmp_path.glob("*.begun"))) < 3:
        time.sleep(0.05)
    results.close()
    assert {path.stem for path in tmp_path.glob("*.left")} == {path.stem for path in tmp_path.glob("*.begun")}
    assert len(list(tmp_path.glob("*.begun"))) == 3
    assert not set(multiprocessing.active_children()) - others
    assert "Traceback" not in capfd.readouterr().err
