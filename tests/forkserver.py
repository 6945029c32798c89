"""Processes of tests: forks of one that has imported what takes seconds; a fork of the test would hold its sockets."""

from __future__ import annotations

import multiprocessing

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.tiny", "tests.deploy.faulty_devices"])
