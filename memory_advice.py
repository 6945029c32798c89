"""What to turn when memory runs out, in the order of what it costs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lightning_modules.args import MemoryArgs, Precision

NAMED = 3
"""Knobs that are named at once."""


class Settings(Protocol):
    """Parsed settings: jsonargparse's, or a dictionary with dots in its keys."""

    def get(self, key: str, /) -> object:
        """Return a setting, or None where there is none of that name."""


@dataclass(frozen=True)
class Knob:
    """A setting that saves memory."""

    setting: str
    saves: object
    """The value that does."""
    costs: str
    instead_of: object = None
    """The one value it may replace; None: any other."""
    changes_weights: bool = False
    """Whether a run that has it is another run, which an older one cannot go on as."""
    only_on_gpu: bool = False

    @property
    def flag(self) -> str:
        """Return how it is turned on the command line."""
        value = str(self.saves).lower() if isinstance(self.saves, bool) else self.saves
        return f"--{self.setting.replace('.init_args', '')} {value}"

    def is_left(self, settings: Settings) -> bool:
        """Whether it is there and not yet turned."""
        now = settings.get(self.setting)
        return now == self.instead_of if self.instead_of is not None else now not in (None, self.saves)


_MEMORY = "module.init_args.memory"

TRAINING = (
    Knob(f"{_MEMORY}.vae_slicing", True, "little time"),
    Knob(f"{_MEMORY}.windows", 1, "time of sample videos only"),
    Knob(f"{_MEMORY}.park_encoders", True, "little time", only_on_gpu=True),
    Knob("precision", "16-mixed", "nothing", instead_of="32-true", only_on_gpu=True),
    Knob("module.init_args.frozen_dtype", "16", "nothing", "32", changes_weights=True, only_on_gpu=True),
    Knob("data.init_args.batch_size", 1, "nothing with as many more `--federation.local_steps`"),
    Knob("module.init_args.gradient_checkpointing", True, "a third more time"),
    Knob(f"{_MEMORY}.eight_bit", True, "some quality and time", changes_weights=True),
    Knob(f"{_MEMORY}.vae_tiling", True, "quality where tiles meet"),
    Knob(f"{_MEMORY}.offload", True, "most of the speed", only_on_gpu=True),
)
"""Of `train.py`, cheapest first."""

GENERATION = (
    Knob("memory.windows", 1, "some speed"),
    Knob("memory.vae_slicing", True, "little time"),
    Knob("precision", "bf16", "little quality", instead_of="32"),
    Knob("memory.park_encoders", True, "little time", only_on_gpu=True),
    Knob("memory.eight_bit", True, "some quality and time"),
    Knob("memory.vae_tiling", True, "quality where tiles meet"),
    Knob("memory.offload", True, "most of the speed", only_on_gpu=True),
    Knob("device", "cpu", "most of the speed", only_on_gpu=True),
)
"""Of `generate.py`, cheapest first."""


SIGNS_OF_A_FULL_GPU = (
    *("CUDA error: out of memory", "CUDA driver error: out of memory"),
    *("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "DEVICE_ALLOCATION_FAILED"),
)
"""What CUDA and its libraries say where it is they, not torch, who ask for memory in vain."""


class OutOfMemory(ValueError):
    """Memory ran out; the message says what to turn."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch or the system had no memory left; torch says so on a CPU in a plain RuntimeError."""
    said = str(error)
    on_cpu = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in said and "memory" in said
    return on_cpu or isinstance(error, MemoryError) or is_full_gpu(error)


def is_full_gpu(error: Exception) -> bool:
    """Whether a GPU had no memory left; where CUDA's libraries asked for it, that is a plain RuntimeError, too."""
    import torch

    by_cuda = isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS_OF_A_FULL_GPU)
    return by_cuda or isinstance(error, torch.OutOfMemoryError)


def advise(knobs: Sequence[Knob], settings: Settings, *, on_gpu: bool, goes_on: str | None = None) -> OutOfMemory:
    """Return an error that names the knobs to turn next, cheapest first.

    Args:
        knobs: In the order of what they cost.
        settings: How they stand.
        on_gpu: Whether the memory was a GPU's.
        goes_on: How to go on after what was already done, if anything was.
    """
    left = [knob for knob in knobs if knob.is_left(settings) and (on_gpu or not knob.only_on_gpu)]
    if goes_on is not None:
        left = [knob for knob in left if not knob.changes_weights]
    named = "; ".join(f"{knob.flag} (costs {knob.costs})" for knob in left[:NAMED])
    where = "the GPU" if on_gpu else "this machine"
    again = "" if goes_on is None else f" Nothing finished is lost: {goes_on}."
    turn = f"Turn, cheapest first: {named}." if named else "Every knob is turned; smaller frames are left."
    return OutOfMemory(f"Out of memory on {where}. {turn}{again}")


def advise_run(chosen: Settings, error: Exception) -> OutOfMemory:
    """Return what to turn where memory ran out in `train.py`, and how to go on."""
    from federation.checkpoints import RoundFolders

    print(file=sys.stderr)  # ends the line of the progress bar
    folder = Path(chosen.get("resume") or chosen.get("out_dir"))
    goes_on = f"add the flag to `--resume {folder}`" if RoundFolders(folder / "checkpoints").committed() else None
    return advise(TRAINING, chosen, on_gpu=is_full_gpu(error), goes_on=goes_on)


def advise_generation(precision: Precision, device: str, memory: MemoryArgs, error: Exception) -> OutOfMemory:
    """Return what to turn where memory ran out in `generate.py`."""
    settings = {"precision": precision, "device": device}
    settings |= {f"memory.{name}": value for name, value in vars(memory).items()}
    return advise(GENERATION, settings, on_gpu=is_full_gpu(error))


def advise_plainly(advice: str, error: Exception) -> OutOfMemory:
    """Return what to do where memory ran out in a command that has no knobs for it."""
    return OutOfMemory(f"Out of memory on {'the GPU' if is_full_gpu(error) else 'this machine'}. {advice}")


@contextmanager
def advised(advice: Callable[[Exception], OutOfMemory]) -> Iterator[None]:
    """Raise, where memory runs out inside, what `advice` makes of the error; other errors pass."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise advice(error) from error
