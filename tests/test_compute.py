"""What a command computes on, or one line that says why it cannot."""

from __future__ import annotations

import pytest
import torch

from compute import pick_device


def test_a_device_that_is_not_there_is_refused():
    assert pick_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="Got toaster"):
        pick_device("toaster")


def test_a_device_that_cannot_be_used_says_why(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA.")

    monkeypatch.setattr(torch, "empty", fail)
    with pytest.raises(ValueError, match=r"Got cuda:1: CUDA error: out of memory\.$"):
        pick_device("cuda:1")
