"""What people train of a denoiser: the part that the federation shares, and the part that stays with its owner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from diffusers import UNetMotionModel
from torch import Tensor
from torch.nn import Parameter

from lightning_modules.adapters import IDENTITY, SHARED, add_adapter, lora_parameters
from lightning_modules.stacked import StackedAdapters

SEEDS = {SHARED: 0, IDENTITY: 1}
"""Of the adapters' A, which every device draws for itself."""


@dataclass(frozen=True)
class Lora:
    """An adapter to be."""

    rank: int
    targets: Sequence[str]
    """Ends of the names of the modules it sits on."""


@dataclass
class TrainedParts:
    """Two lists of a denoiser's parameters, in an order that is the same on every device; `personal` may be empty."""

    denoiser: UNetMotionModel
    shared: list[Parameter]
    personal: list[Parameter]

    def __post_init__(self) -> None:
        for parameter in [*self.shared, *self.personal]:
            parameter.requires_grad_(True)
            parameter.data = parameter.data.float()  # a small step on a 16-bit weight rounds to nothing

    def named(self) -> dict[str, list[Parameter]]:
        """Return the parts by their names in the federation."""
        return {"shared": self.shared, "personal": self.personal}

    @contextmanager
    def side_by_side(self, vectors: Mapping[str, Sequence[Tensor]], clips: Sequence[int]) -> Iterator[None]:
        """Give several clients' parts to the denoiser, until the end of the context.

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
        return {part: StackedAdapters(self.denoiser, parameters) for part, parameters in self.named().items()}


def add_parts(denoiser: UNetMotionModel, shared: Lora | None, identity: Lora | None, *, freeze_a: bool) -> TrainedParts:
    """Add the adapters, which act at once and change nothing yet, to a frozen denoiser.

    Args:
        denoiser: Has no adapters of these names.
        shared: None shares the whole denoiser instead.
        identity: None leaves the personal part empty.
        freeze_a: Train only B of the shared adapter; see `lora_parameters`.
    """
    whole = list(denoiser.parameters()) if shared is None else []
    chosen = {name: lora for name, lora in ((SHARED, shared), (IDENTITY, identity)) if lora is not None}
    for name, lora in chosen.items():
        add_adapter(denoiser, name, lora.rank, list(lora.targets), seed=SEEDS[name])
    if chosen:
        denoiser.set_adapters(list(chosen))
    return TrainedParts(
        denoiser,
        whole or lora_parameters(denoiser, SHARED, freeze_a=freeze_a),
        lora_parameters(denoiser, IDENTITY, freeze_a=False) if identity else [],
    )
