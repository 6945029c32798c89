"""What a training step needs, measured without that memory: it runs on tensors that have shapes and no contents."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import flop_registry

NARROW = ("linear", "conv1d", "conv2d", "scaled_dot_product_attention")
WIDE = ("layer_norm", "group_norm", "softmax", "mse_loss")
"""Functions that CUDA autocast runs in 16 bit (NARROW) and 32 bit (WIDE), as far as our layers use them (PyTorch, "CUDA
Ops that can autocast"); the meta device has no autocast of its own."""


@dataclass(frozen=True)
class Footprint:
    """What one step needs beside weights and optimizer states."""

    flops: int
    """Of forward and backward, recomputed activations counted as often as they are computed."""
    held: int
    """Bytes from forward to backward: activations."""
    peak: int
    """Most bytes at any moment: activations, gradients, and what operations need while they run. An allocator's slack,
    the workspaces of cuDNN and a CUDA context come on top."""


def measure_step(step: Callable[[], Tensor], autocast: torch.dtype | None = None) -> Footprint:
    """Run a step forward and backward and return what it needed; on the meta device that costs no memory.

    Args:
        step: Returns the loss. Weights and batch are on the meta device, or on a real one.
        autocast: The 16-bit type of mixed precision; only for the meta device.
    """
    with Meter() as meter, gpu_kernels(autocast):
        with AnswersOfMeta():
            loss = step()
        held = meter.now
        loss.backward()
    return Footprint(meter.flops, held, meter.peak)


class Meter(TorchDispatchMode):
    """Counts the bytes of the tensors that operations made and that are still there; those from before do not count.

    Work is counted by the formulas of torch's `FlopCounterMode`. That itself follows modules through hooks, which keep
    what is recomputed in the backward pass: the peak would be as high as without recomputation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now, self.peak, self.flops = 0, 0, 0
        self._alive: set[int] = set()

    def __torch_dispatch__(self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        """Run an operation and count what it returns; a view shares its storage and counts once."""
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.flops += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=result)
        given = [leaf.untyped_storage() for leaf in args if isinstance(leaf, Tensor)]
        for leaf in result if isinstance(result, tuple | list) else (result,):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                if id(storage) not in self._alive and not any(storage is one for one in given):
                    self._count(storage)
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        self._alive.add(id(storage))
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, id(storage), storage.nbytes())

    def _free(self, storage: int, size: int) -> None:
        self._alive.discard(storage)
        self.now -= size


class AnswersOfMeta(TorchFunctionMode):
    """Lets code run on the meta device that asks what tensors hold.

    Every condition is taken to hold and every mask to pick everything, so that the step is as expensive as it can be;
    numbers are 0.
    """

    def __torch_function__(self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        """Run a function of torch, or answer for it."""
        name = getattr(func, "__name__", "")
        if args and isinstance(args[0], Tensor) and args[0].is_meta:
            if name in _ANSWERS:
                return _ANSWERS[name](args[0])
            if name in ("__getitem__", "__setitem__") and _is_mask(args[1]):
                return args[0] if name == "__getitem__" else None
        return func(*args, **(kwargs or {}))


_ANSWERS: dict[str, Callable[[Tensor], object]] = {
    "__bool__": lambda _: True,
    "item": lambda _: 0.0,
    "__float__": lambda _: 0.0,
    "nonzero": lambda mask: torch.arange(len(mask), device="meta").unsqueeze(1),
}


def _is_mask(index: object) -> bool:
    return isinstance(index, Tensor) and index.dtype == torch.bool


@contextmanager
def gpu_kernels(autocast: torch.dtype | None) -> Iterator[None]:
    """Have layers on the meta device compute as a GPU would: under autocast, and with fused attention.

    The meta device would hold whole attention matrices. The functions are exchanged by name, since a mode of torch is
    not asked while activations are recomputed in the backward pass.
    """
    usual = {name: getattr(F, name) for name in (*NARROW, *WIDE)}
    try:
        for name, function in usual.items():
            setattr(F, name, partial(_as_on_gpu, function, name, autocast))
        yield
    finally:
        for name, function in usual.items():
            setattr(F, name, function)


def _as_on_gpu(function: Callable, name: str, autocast: torch.dtype | None, *args: object, **kwargs: object) -> Tensor:
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    if not tensors[0].is_meta:
        return function(*args, **kwargs)
    if autocast is not None:
        args, kwargs = _cast((args, kwargs), autocast if name in NARROW else torch.float32)
    if name == "scaled_dot_product_attention":
        query, key, value = [*args, *kwargs.values()][:3]
        return torch.ops.aten._scaled_dot_product_flash_attention(query, key, value)[0]
    return function(*args, **kwargs)


def _cast(arguments: tuple[tuple, dict], dtype: torch.dtype) -> tuple[tuple, dict]:
    def cast(leaf: object) -> object:
        return leaf.to(dtype) if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf

    return tree_map(cast, arguments)
