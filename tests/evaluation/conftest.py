"""A finished run that several tests read and none changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evaluation.finished import make_finished


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of two people with two clips each."""
    return make_finished(tmp_path_factory.mktemp("finished"))
