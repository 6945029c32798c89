"""Checks around every test: no process group, environment variable, thread count or random state leaks out.

Torch is imported where it is used: the process that hands out tests to the others runs none, and they wait for it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # NumPy reads it when imported; there is a test process for every core

import pytest

if TYPE_CHECKING:
    from tests.tiny_checkpoint import Models

LAUNCHERS = {"MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "NODE_RANK", "LOCAL_RANK", "OMP_NUM_THREADS"}
"""Set by Fabric's launchers in the process that launches; removed after the test."""
IMPORTS = (
    *("PYTEST_", "KMP_", "CUDA_", "CUBLAS_", "TORCH", "PYTORCH_NVML_BASED_CUDA_CHECK"),
    *("TF_", "HF_", "XDG_", "OPENCV_", "QT_", "TRITON_", "GRPC_"),
)
"""Prefixes of what libraries set when they are first imported."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs Flower where that is not installed; to import it here would change the environment."""
    if item.get_closest_marker("flower") and find_spec("flwr") is None:
        pytest.skip("Flower is not installed: make test-flower")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """On tiny models threads only wait for each other, and results do not depend on the machine."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def leaves_no_process_group() -> Iterator[None]:
    """Fail a test that leaves a process group behind: the next one would join it."""
    from torch import distributed

    yield
    left = distributed.is_available() and distributed.is_initialized()
    if left:
        distributed.destroy_process_group()
    assert not left, "The test left a process group."


@pytest.fixture(autouse=True)
def leaves_environment() -> Iterator[None]:
    """Fail a test that changes environment variables, and restore them."""
    before = dict(os.environ)
    yield
    changed = {name for name in before.keys() | os.environ.keys() if before.get(name) != os.environ.get(name)}
    leaked = sorted(name for name in changed - LAUNCHERS if not name.startswith(IMPORTS))
    for name in changed:
        if name in before:
            os.environ[name] = before[name]
        elif name in LAUNCHERS or name in leaked:
            del os.environ[name]
    assert not leaked, f"The test changed {', '.join(leaked)}."


@pytest.fixture(autouse=True)
def restores_torch() -> Iterator[None]:
    """Give every test the same random state, and restore thread count and generators."""
    import numpy as np
    import torch

    threads, state = torch.get_num_threads(), torch.get_rng_state()
    random.seed(0)
    np.random.seed(0)
    torch.default_generator.manual_seed(0)  # `torch.manual_seed` writes a stack trace for each device that is absent
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(0)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


@pytest.fixture(scope="session", name="tiny_configs")
def _tiny_configs() -> dict[str, dict]:
    """Return the config of each part of a tiny base model."""
    from tests.tiny_model import tiny_configs

    return tiny_configs()


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Return where tiny models of others are, each in its own library's layout."""
    from tests.tiny_checkpoint import Models

    return Models.write(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def tiny_assembled(tiny_models: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a base model assembled from them, without the adapter for faces."""
    import assemble

    folder, models = tmp_path_factory.mktemp("assembled") / "base", tiny_models
    parts = assemble.PartsArgs(str(models.checkpoint), str(models.motion_adapter))
    parts.speech, parts.face = str(models.speech), str(models.face)
    assemble.assemble(parts, str(folder), size=64, window=4, prompt="a face")
    return folder


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny base model; tests copy it before they change it."""
    from tests.tiny_model import make_tiny_base

    return make_tiny_base(tmp_path_factory.mktemp("base") / "tiny")
