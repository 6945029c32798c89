"""Times must hold all that they claim to hold and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict

import pytest

from benchmarks.client_parallel import measure_client_parallel
from benchmarks.privacy_stages import TimedStage, measure_privacy_stages
from federation.hooks import FederationCallback
from tests.tiny_command import CONFIG, ROOT


class Slow(FederationCallback):
    """Sleeps where it is called."""

    def on_release(self, state):
        time.sleep(0.02)


def test_a_stage_is_timed_in_its_own_hooks_alone():
    seconds = defaultdict(float)
    stage = TimedStage(Slow(), seconds)
    stage.on_release(None)
    stage.on_release(None)
    stage.on_round_end(None)
    assert list(seconds) == [("Slow", "on_release")]
    assert seconds["Slow", "on_release"] >= 0.04


@pytest.fixture
def settings(tmp_path) -> str:
    """Return the config of a tiny run."""
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    return str(tmp_path / "tiny.yaml")


@pytest.mark.slow
def test_the_stages_of_a_run_are_named_with_their_share(settings, tmp_path):
    here = ["--strategy=auto"]  # client_parallel would leave a process group in this one
    assert len(measure_privacy_stages(settings, overrides=here, out=str(tmp_path / "stages.json"))) == 1
    kept = json.loads((tmp_path / "stages.json").read_text())
    stages = {name.split()[0] for name in kept["seconds_by_stage"]}
    assert stages >= {"PrivacyBudget", "ISFAAggregation", "ClipUpdate", "DistributedNoise", "SecureAggregation"}
    assert 0 < sum(kept["seconds_by_stage"].values()) < kept["seconds_of_a_round"]
    assert kept["d"] == 21


@pytest.mark.slow
def test_one_measurement_leaves_the_seconds_of_all_rounds_but_the_first(settings, tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / "client_parallel.py"), f"--settings={settings}"]
    command += ["--devices=2", "--measure=s.json", '--overrides=["--federation.rounds=2"]']
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280)
    assert not done.returncode, done.stderr
    seconds = json.loads((tmp_path / "s.json").read_text())
    assert len(seconds) == 1
    assert all(value > 0 for value in seconds)


def test_too_few_rounds_are_refused():
    with pytest.raises(ValueError, match="--rounds"):
        measure_client_parallel(rounds=1)
