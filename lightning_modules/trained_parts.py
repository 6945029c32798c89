"""What people train of a model: the part that the federation shares, and the part that stays with its owner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from diffusers import UNetMotionModel
from torch import Tensor, nn
from torch.nn import Parameter

from lightning_modules.adapters import IDENTITY, MOVER, SHARED, Carrier, add_adapter, select_trained_factors
from lightning_modules.efficiency.stacked import StackedAdapters
from lightning_modules.mover import HeadMover

SEEDS = {SHARED: 0, IDENTITY: 1}
"""Of the adapters' A, which every device draws for itself."""
MOVER_SCALE = 4
"""Alpha over the rank of adapters on the mover: the few steps of a run teach it more than at 1 (docs/base_model.md)."""


@dataclass(frozen=True)
class Lora:
    """An adapter to be."""

    rank: int
    targets: Sequence[str]
    """Ends of the names of the modules it sits on."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"An adapter's rank must be at least 1. Got {self.rank}.")


@dataclass
class TrainedParts:
    """Two lists of parameters, in an order that is the same on every device; `personal` may be empty."""

    denoiser: UNetMotionModel
    mover: HeadMover | None
    """Holds a part of each adapter, unless it is None."""
    shared: list[Parameter]
    personal: list[Parameter]

    def named(self) -> dict[str, list[Parameter]]:
        """Return the parts by their names in the federation."""
        return {"shared": self.shared, "personal": self.personal}

    def carriers(self) -> dict[str, Carrier]:
        """Return the models that adapters sit on, by the subfolder that holds their weights; the denoiser's is none."""
        return ({} if self.mover is None else {MOVER: self.mover}) | {"": self.denoiser}

    @contextmanager
    def side_by_side(self, vectors: Mapping[str, Sequence[Tensor]], clips: Sequence[int]) -> Iterator[None]:
        """Give several clients' parts to the models that carry them, until the end of the context.

        Args:
            vectors: For `shared` and `personal` one vector per client, all parameters of the part end to end.
            clips: Number of clips in each client's part of the batch.
        """
        with ExitStack() as stack:
            for part, own in vectors.items():
                stack.enter_context(self._stacked[part].put(torch.stack(list(own)), clips))
            yield

    @cached_property
    def _stacked(self) -> dict[str, StackedAdapters]:
        carriers = nn.ModuleList(self.carriers().values())
        return {part: StackedAdapters(carriers, parameters) for part, parameters in self.named().items()}


def add_parts(
    denoiser: UNetMotionModel, mover: HeadMover | None, shared: Lora | None, identity: Lora | None, *, freeze_a: bool
) -> TrainedParts:
    """Add the adapters, which act at once and change nothing yet, to a frozen denoiser and a frozen mover.

    What is trained becomes float32, whatever the models are stored in.

    Args:
        denoiser: Has no adapters of these names.
        mover: Each adapter sits on all of its convolutions, too. Bases without known motion have none.
        shared: None shares the whole denoiser instead.
        identity: None leaves the personal part empty.
        freeze_a: Train only B of the shared adapter; see `select_trained_factors`.
    """
    whole = list(denoiser.parameters()) if shared is None else []
    chosen = {name: lora for name, lora in ((SHARED, shared), (IDENTITY, identity)) if lora is not None}
    mover = mover if chosen else None
    convolutions = [] if mover is None else mover.convolutions
    for name, lora in chosen.items():
        add_adapter(denoiser, name, lora.rank, list(lora.targets), SEEDS[name])
        if mover is not None:
            add_adapter(mover, name, lora.rank, convolutions, SEEDS[name], MOVER_SCALE)
    models = [denoiser] if mover is None else [denoiser, mover]
    if chosen:
        for model in models:
            model.set_adapter(list(chosen))
    for parameter in whole:
        parameter.requires_grad_(True)  # not before: peft freezes a model that it adds an adapter to
    factors = [factor for model in models for factor in select_trained_factors(model, SHARED, freeze_a=freeze_a)]
    personal = [factor for model in models for factor in select_trained_factors(model, IDENTITY, freeze_a=False)]
    for parameter in [*whole, *factors, *personal]:
        parameter.data = parameter.data.float()  # a small step on a 16-bit weight rounds to nothing
    return TrainedParts(denoiser, mover, whole or factors, personal)
