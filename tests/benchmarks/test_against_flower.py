"""The comparison with Flower is of the same work, and without Flower it claims nothing."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

from benchmarks import against_flower
from benchmarks.against_flower import compare_with_flower, masking_work, time_flower, why_not_flower

NAMES = [f"client{number}" for number in range(5)]


def pretend_version(monkeypatch: pytest.MonkeyPatch, found: str | None) -> None:
    def version(package: str) -> str:
        if found is None:
            raise PackageNotFoundError(package)
        return found

    monkeypatch.setattr(against_flower, "version", version)


@pytest.mark.parametrize(("found", "why"), [(None, "not installed"), ("1.42.0", "flwr 1.42.0"), ("1.4.1", "1.4.1")])
def test_without_the_flower_that_was_read_its_bars_are_not_met(found, why, monkeypatch):
    pretend_version(monkeypatch, found)
    figures, bars = compare_with_flower(200, 8, 1)
    assert figures["flower"] is None
    assert [bar.verdict for bar in bars] == ["not measured", "not measured", "met"]
    assert not any(bar.met for bar in bars[:2])
    assert all(why in bar.name and "pip install 'flwr==1.41.*'" in bar.name for bar in bars[:2])


def test_the_flower_that_was_read_is_measured(monkeypatch):
    pretend_version(monkeypatch, "1.41.2")
    assert why_not_flower() is None


def test_our_client_adds_a_mask_of_its_own_and_one_with_everybody_else(monkeypatch):
    used = []
    monkeypatch.setattr(against_flower, "add_keystreams", lambda vector, *keys: used.append((vector.shape, *keys)))
    masking_work(30, NAMES)()
    ((shape, added, subtracted),) = used
    assert shape == (30,)
    assert len({*added, *subtracted}) == len(added) + len(subtracted) == len(NAMES)


def test_a_vector_is_masked_whole():
    masked = masking_work(1000, NAMES)()
    assert np.unique(masked).size > 990


@pytest.mark.flower
def test_both_mask_and_flowers_sum_is_checked(monkeypatch):
    monkeypatch.setenv("GRPC_VERBOSITY", "error")  # importing flwr sets it; this takes it back
    from benchmarks import flower_masks

    figures, bars = compare_with_flower(200, 8, 1)
    assert all(bar.value > 0 for bar in bars)
    assert figures["flower"].bytes_per_coordinate > 8
    monkeypatch.setattr(flower_masks, "combine_shares", lambda shares: bytes(32))
    with pytest.raises((RuntimeError, ValueError)):
        time_flower(200, 8, 1)
