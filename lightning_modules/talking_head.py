"""The model people train: a frozen backbone, one adapter the federation shares, one that never leaves its device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from lightning import LightningModule
from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW, Optimizer

from lightning_modules import adapters
from lightning_modules.args import MemoryArgs, Precision
from lightning_modules.backbone import Backbone, ClipLike
from lightning_modules.diffusion import NoisyLatents, add_noise
from lightning_modules.draws import join_batches, with_draws
from lightning_modules.losses import denoising_loss, identity_loss, temporal_consistency_loss
from lightning_modules.memory import DTYPES, recompute_activations, save_memory
from lightning_modules.model_folder import fingerprint
from lightning_modules.reference import Reference
from lightning_modules.sampling import animate
from lightning_modules.signals import Signals, measure_signals
from lightning_modules.stacked import StackedAdapters

NOTHING_SAVED = MemoryArgs()


class TalkingHead(LightningModule):
    """Portrait and sound to a talking face, personalised by two LoRA adapters that act at once.

    Args:
        base: Folder of the base model (see `Backbone`).
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
        trainable: `adapter`: the shared adapter is federated; `backbone`: all of the denoiser is.
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
        identity_targets: tuple[str, ...] = (
            "to_q",
            "to_k",
            "to_v",
            "to_out.0",
            "conv1",
            "conv2",
            "conv_in",
            "conv_out",
        ),
        shared_learning_rate: float = 1e-3,
        identity_learning_rate: float = 2e-3,
        tdc_weight: float = 0.05,
        identity_weight: float = 0.1,
        freeze_a: bool = True,
        shared_start: str | None = None,
        trainable: Literal["adapter", "backbone"] = "adapter",
        frozen_dtype: Precision = "32",
        gradient_checkpointing: bool = False,
        memory: MemoryArgs = NOTHING_SAVED,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.base_hash, self.backbone = self._open(base)
        self.backbone.requires_grad_(False).to(DTYPES[frozen_dtype])
        self.trainable, self.freeze_a = trainable, freeze_a
        if gradient_checkpointing:
            recompute_activations(self.backbone)
        self.learning_rates = {"shared": shared_learning_rate, "personal": identity_learning_rate}
        self.weights = {"tdc": tdc_weight, "identity": identity_weight}
        self.losses: dict[str, Tensor] = {}
        self._stacked: dict[str, StackedAdapters] = {}
        self._shared, self._personal = self._add_adapters(
            shared_rank, identity_rank, list(shared_targets), list(identity_targets)
        )
        self.stored = save_memory(self.backbone, memory)
        if shared_start is not None:
            self.load_adapter(adapters.SHARED, shared_start)

    @staticmethod
    def _open(base: str) -> tuple[str, Backbone]:
        """Return what a base model is known by, and the model."""
        return fingerprint(base), Backbone.from_pretrained(base)

    def _add_adapters(
        self, shared_rank: int, identity_rank: int, shared_targets: list[str], identity_targets: list[str]
    ) -> tuple[list[Parameter], list[Parameter]]:
        unet, names = self.backbone.unet, []
        whole = list(unet.parameters()) if self.trainable == "backbone" else []
        if not whole:
            adapters.add_adapter(unet, adapters.SHARED, shared_rank, shared_targets, seed=0)
            names.append(adapters.SHARED)
        if identity_rank:
            if self.backbone.shape.widened:
                identity_targets = [target for target in identity_targets if target != "conv_in"]
            adapters.add_adapter(unet, adapters.IDENTITY, identity_rank, identity_targets, seed=1)
            names.append(adapters.IDENTITY)
        if names:
            unet.set_adapters(names)
        for parameter in whole:
            parameter.requires_grad_(True)
        shared = whole or adapters.lora_parameters(unet, adapters.SHARED, freeze_a=self.freeze_a)
        personal = adapters.lora_parameters(unet, adapters.IDENTITY, freeze_a=False) if identity_rank else []
        for parameter in [*shared, *personal]:
            parameter.data = parameter.data.float()  # a small step on a 16-bit weight rounds to nothing
        return shared, personal

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> TalkingHead:
        """Move or cast the model; weights that wait in host memory go back there."""
        super()._apply(fn, recurse)
        for weights in self.stored:
            weights.settle()
        return self

    # What the federation asks for (federation.protocols.FederatedModule)

    def shared_parameters(self) -> list[Parameter]:
        """Return what the federation averages: B of the shared adapter (A, too, if asked for), or the denoiser."""
        return self._shared

    def personal_parameters(self) -> list[Parameter]:
        """Return the identity adapter."""
        return self._personal

    def configure_optimizers(self, parts: dict[str, list[Parameter]] | None = None) -> dict[str, Optimizer]:
        """Return fresh optimizers of the shared and the personal part, or of others in their place."""
        parts = {"shared": self._shared, "personal": self._personal} if parts is None else parts
        return {
            name: AdamW(parameters, self.learning_rates[name], weight_decay=0.0, fused=parameters[0].is_cuda or None)
            for name, parameters in parts.items()
            if parameters
        }

    def on_before_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int) -> dict[str, Tensor]:
        """Return a batch, still on the CPU, with all that chance decides of its training step."""
        return with_draws(batch)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Return the weighted loss of one batch and leave its terms in `losses`.

        The batch is `datamodules.clients`', through `on_before_batch_transfer`: latents (batch, frames, C, h, w), mel,
        motion, and of the reference frame its picture, latents, identity and motion.
        """
        terms = self.client_losses([batch])[0]
        self.losses = {name: term.detach() for name, term in terms.items()}
        return terms["total"]

    def client_losses(self, batches: Sequence[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
        """Return the terms and the `total` loss of each client's batch; the model sees all batches as one.

        Several clients must be in `side_by_side`.
        """
        batch = join_batches(batches) if len(batches) > 1 else batches[0]
        noisy = add_noise(self.backbone.scheduler, batch["latents"], batch["eps"], batch["timestep"])
        beside = self.backbone.beside(Reference.of_batch(batch), batch["motion"], batch["posed"])
        velocity = self._predict(noisy, batch, batch["shown"], beside)
        clips, visible = ([len(one[name]) for one in batches] for name in ("latents", "visible"))
        terms = {
            "denoising": _each(denoising_loss, clips, *noisy.regress(velocity)),
            "tdc": _each(temporal_consistency_loss, clips, noisy.noise_from(velocity), noisy.eps),
            "identity": self._identity_terms(noisy, velocity, batch, visible),
        }
        return [self._with_total(dict(zip(terms, own, strict=True))) for own in zip(*terms.values(), strict=True)]

    @contextmanager
    def side_by_side(self, adapters: dict[str, list[Tensor]], batches: Sequence[dict[str, Tensor]]) -> Iterator[None]:
        """Give several clients' adapters to the denoiser, for `client_losses` and the backward pass.

        Args:
            adapters: For `shared` and `personal` one vector per client, all parameters of the part end to end.
            batches: The clients' batches, in the same order.
        """
        clips = [len(batch["latents"]) for batch in batches]
        parameters = {"shared": self._shared, "personal": self._personal}
        if not self._stacked:
            self._stacked = {part: StackedAdapters(self.backbone.unet, parameters[part]) for part in adapters}
        with ExitStack() as stack:
            for part, vectors in adapters.items():
                stack.enter_context(self._stacked[part].put(torch.stack(vectors), clips))
            yield

    def prepare(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return a batch with what no adapter changes, for `denoising_error` under one adapter after the other."""
        reference = Reference.of_batch(batch)
        return batch | {
            "beside": self.backbone.beside(reference, batch["motion"], batch["has_motion"].nonzero().flatten())
        }

    @torch.no_grad()
    def denoising_error(self, batch: dict[str, Tensor], timestep: Tensor, eps: Tensor) -> Tensor:
        """Return the denoising loss at given times (batch,) and noise, motion shown: comparable between adapters."""
        noisy = add_noise(self.backbone.scheduler, batch["latents"], eps, timestep)
        velocity = self._predict(noisy, batch, batch["has_motion"], batch.get("beside"))
        return denoising_loss(*noisy.regress(velocity))

    @torch.no_grad()
    def signals(self, batches: Iterable[dict[str, Tensor]]) -> Signals:
        """Score the current weights on a client's clips, for ISFA; see `measure_signals`."""
        return measure_signals(self.backbone, self._predict, batches)

    def _predict(
        self, noisy: NoisyLatents, batch: dict[str, Tensor], has_motion: Tensor, beside: Tensor | None = None
    ) -> Tensor:
        driving = batch["mel"], batch["motion"], has_motion
        conditions = self.backbone.conditions(Reference.of_batch(batch), *driving, beside)
        return self.backbone.predict(noisy.z_t, noisy.timestep, conditions)

    def _identity_terms(
        self, noisy: NoisyLatents, velocity: Tensor, batch: dict[str, Tensor], visible: list[int]
    ) -> list[Tensor]:
        """Compare middle frames' estimates with the references, where noise is low enough to show a face.

        `visible` counts these clips for each client; one without any has nothing to compare.
        """
        nothing = velocity.new_zeros(())
        if not self.weights["identity"] or not sum(visible):
            return [nothing] * len(visible)
        middle, rows = velocity.shape[1] // 2, batch["visible"]
        faces = self.backbone.embed(self.backbone.decode(noisy.clean_from(velocity)[rows, middle]))
        terms = _each(identity_loss, visible, faces, batch["identity"][rows])
        return [term if count else nothing for term, count in zip(terms, visible, strict=True)]

    def _with_total(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        return terms | {
            "total": terms["denoising"] + sum(weight * terms[name] for name, weight in self.weights.items())
        }

    # What generate.py and the callbacks ask for

    def encode_clip(self, clip: ClipLike) -> dict[str, Tensor]:
        """Return what training needs of a clip, computed once; see `Backbone.encode_clip`."""
        return self.backbone.encode_clip(clip)

    def generate(self, portrait: Tensor, mel: Tensor, **options: Any) -> Tensor:
        """Make a portrait speak with the adapters as they are; arguments and result are those of `animate`."""
        return animate(self.backbone, portrait, mel, batch=self.hparams.memory.windows, **options)

    def export_adapter(self, name: Literal["shared", "identity"], folder: str | Path, **notes: object) -> None:
        """Write an adapter in peft format, with `adapter.json` naming the base it belongs to."""
        adapters.save_adapter(self.backbone.unet, name, Path(folder), {"base": self.base_hash, **notes})

    def load_adapter(self, name: Literal["shared", "identity"], folder: str | Path) -> None:
        """Load an adapter written by `export_adapter`."""
        adapters.load_adapter(self.backbone.unet, name, Path(folder))


def _each(loss: Callable[..., Tensor], counts: list[int], *tensors: Tensor) -> list[Tensor]:
    """Return the loss of each client, whose clips come one client after the other."""
    return [loss(*parts) for parts in zip(*(tensor.split(counts) for tensor in tensors), strict=True)]
