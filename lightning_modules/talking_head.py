"""The model people train: a frozen backbone, one adapter the federation shares, one that never leaves its device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import torch
from lightning import LightningModule
from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW, Optimizer

from lightning_modules import adapters
from lightning_modules.args import DEFAULT_MEMORY, MemoryArgs, Precision
from lightning_modules.backbone import Backbone, ClipLike
from lightning_modules.base_folder import load_base
from lightning_modules.draws import with_draws
from lightning_modules.efficiency.memory import DTYPES, recompute_activations, save_memory
from lightning_modules.model_folder import fingerprint
from lightning_modules.objective import Objective
from lightning_modules.sampling import SamplingOptions, animate
from lightning_modules.signals import measure_signals
from lightning_modules.trained_parts import Lora, add_parts

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
CONVOLUTIONS = ("conv1", "conv2", "conv_in", "conv_out")


class TalkingHead(LightningModule):
    """Portrait and sound to a talking face, personalised by two LoRA adapters that act at once.

    Where the base has a mover, both sit on all of its convolutions, too, beside their targets.

    Args:
        base: Folder of the base model (see `base_folder`).
        shared_rank: Rank of the federated adapter.
        identity_rank: Rank of the personal adapter; 0 leaves it out.
        shared_targets: Ends of the names of modules the shared adapter sits on.
        identity_targets: The same for the identity adapter; without `conv_in` where that was widened, so that the
            adapter also fits the checkpoint it comes from.
        shared_learning_rate: AdamW step of the shared part.
        identity_learning_rate: AdamW step of the identity adapter.
        tdc_weight: Weight of the temporal-denoising consistency.
        identity_weight: Weight of the identity loss (it decodes one frame a step).
        freeze_a: Train only B of the shared adapter (FFA-LoRA). False trains A, too: the mean of the clients' A and of
            their B are then not the factors of their mean change, and an update is more than twice as long.
        shared_start: Folder of an exported adapter in which the shared one starts; it changes nothing at first if not
            given.
        trainable: `adapter`: the shared adapter is federated; `backbone`: all of the denoiser is. `train.py` takes it
            from `--federation.trainable`.
        frozen_dtype: Storage of the frozen parts; 16 bit needs mixed precision to compute in.
        gradient_checkpointing: Recompute activations in the backward pass: less memory, more time.
        memory: What else saves memory.
    """

    def __init__(
        self,
        base: str = "assets/base",
        shared_rank: int = 4,
        identity_rank: int = 8,
        shared_targets: tuple[str, ...] = ("to_q", "to_v", "to_out.0"),
        identity_targets: tuple[str, ...] = (*ATTENTION, *CONVOLUTIONS),
        shared_learning_rate: float = 1e-3,
        identity_learning_rate: float = 2e-3,
        tdc_weight: float = 0.05,
        identity_weight: float = 0.1,
        freeze_a: bool = True,
        shared_start: str | None = None,
        trainable: Literal["adapter", "backbone"] = "adapter",
        frozen_dtype: Precision = "32",
        gradient_checkpointing: bool = False,
        memory: MemoryArgs = DEFAULT_MEMORY,
    ) -> None:
        super().__init__()
        if (least := min(shared_learning_rate, identity_learning_rate)) < 0:
            raise ValueError(f"Learning rates must be at least 0. Got {least}.")
        self.save_hyperparameters()
        self.base_hash, self.backbone = self._open(base)
        self.backbone.requires_grad_(False).to(DTYPES[frozen_dtype])
        if gradient_checkpointing:
            recompute_activations(self.backbone)
        if self.backbone.shape.widened:
            identity_targets = [target for target in identity_targets if target != "conv_in"]
        shared = Lora(shared_rank, shared_targets) if trainable == "adapter" else None
        identity = Lora(identity_rank, identity_targets) if identity_rank else None
        self.trained = add_parts(self.backbone.unet, self.backbone.mover, shared, identity, freeze_a=freeze_a)
        self.learning_rates = {"shared": shared_learning_rate, "personal": identity_learning_rate}
        mover_weight = float(self.trained.mover is not None)  # no other loss reaches it, so its size matters little
        weights = {"tdc": tdc_weight, "identity": identity_weight, "mover": mover_weight}
        self.objective = Objective(self.backbone, weights)
        self.losses: dict[str, Tensor] = {}
        self.stored = save_memory(self.backbone, memory)
        if shared_start is not None:
            self.load_adapter(adapters.SHARED, shared_start)

    @staticmethod
    def _open(base: str) -> tuple[str, Backbone]:
        """Return what a base model is known by, and the model."""
        return fingerprint(base), load_base(base)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> TalkingHead:
        """Move or cast the model; weights that wait in host memory go back there."""
        super()._apply(fn, recurse)
        for weights in self.stored:
            weights.settle()
        return self

    # What the federation asks for (federation.protocols.GroupedModule)

    def shared_parameters(self) -> list[Parameter]:
        """Return what the federation averages: B of the shared adapter (A, too, if asked for), or the denoiser."""
        return self.trained.shared

    def personal_parameters(self) -> list[Parameter]:
        """Return the identity adapter."""
        return self.trained.personal

    def configure_optimizers(self, parts: dict[str, list[Parameter]] | None = None) -> dict[str, Optimizer]:
        """Return fresh optimizers of the shared and the personal part, or of others in their place."""
        return {
            name: AdamW(parameters, self.learning_rates[name], weight_decay=0.0, fused=not parameters[0].is_meta)
            for name, parameters in (self.trained.named() if parts is None else parts).items()
            if parameters
        }

    def on_before_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int) -> dict[str, Tensor]:
        """Return a batch, still on the CPU, with all that chance decides of its training step."""
        return with_draws(batch)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Return the weighted loss of one batch and leave its terms in `losses`.

        The batch is `datamodules.clients`', through `on_before_batch_transfer`: latents (batch, frames, C, h, w), mel,
        pose, motion and frames, and of the reference frame its picture, latents, identity and motion.
        """
        terms = self.client_losses([batch])[0]
        self.losses = {name: term.detach() for name, term in terms.items()}
        return terms["total"]

    def client_losses(self, batches: Sequence[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
        """Return the terms and the `total` loss of each client's batch; several clients must be in `side_by_side`."""
        return self.objective.losses(batches)

    def side_by_side(
        self, adapters: dict[str, list[Tensor]], batches: Sequence[dict[str, Tensor]]
    ) -> AbstractContextManager[None]:
        """Give clients' adapters, as vectors, to the denoiser, for `client_losses` and the backward pass."""
        return self.trained.side_by_side(adapters, [len(batch["latents"]) for batch in batches])

    @torch.no_grad()
    def signals(self, batches: Iterable[dict[str, Tensor]]) -> tuple[float, float]:
        """Return identity and stability on a client's clips, for ISFA; see `measure_signals`."""
        return measure_signals(self.backbone, self.objective.predict, batches)

    # What generate.py and the callbacks ask for

    def denoising_error(self, batch: dict[str, Tensor], timestep: Tensor, eps: Tensor) -> Tensor:
        """Return the denoising loss at given times (batch,) and noise, motion shown: comparable between adapters."""
        return self.objective.error(batch, timestep, eps)

    @property
    def frame_size(self) -> int:
        """Return height and width of the frames that the base model knows, in pixels."""
        return self.backbone.shape.size

    @property
    def encoder_hash(self) -> str:
        """Return what encodings are known by: the base, and what its frozen parts compute in.

        Sound that a speech model has heard with dropout, as it did in earlier versions, has another name.
        """
        heard = "" if self.backbone.speech is None else " heard without dropout"
        tiles = "tiles" if self.hparams.memory.vae_tiling else "whole"
        return f"{self.base_hash} {self.hparams.frozen_dtype} {tiles}{heard}"

    def encode_clip(self, clip: ClipLike) -> dict[str, Tensor]:
        """Return what training needs of a clip, computed once; see `Backbone.encode_clip`."""
        return self.backbone.encode_clip(clip)

    def generate(
        self, portrait: Tensor, sound: Tensor, *, motion: Tensor | None = None, steps: int = 10, seed: int = 0
    ) -> Tensor:
        """Make a portrait speak with the adapters as they are; see `animate`."""
        options = SamplingOptions(steps, seed, batch=self.hparams.memory.windows)
        return animate(self.backbone, portrait, sound, options, motion=motion)

    def export_adapter(self, name: Literal["shared", "identity"], folder: str | Path, **notes: object) -> None:
        """Write an adapter in peft format, with `adapter.json` naming the base it belongs to."""
        for place, model in self.trained.carriers().items():
            adapters.save_adapter(model, name, Path(folder, place), {"base": self.base_hash, **notes})

    def load_adapter(self, name: Literal["shared", "identity"], folder: str | Path) -> None:
        """Load an adapter written by `export_adapter`."""
        for place, model in self.trained.carriers().items():
            adapters.load_adapter(model, name, Path(folder, place))
