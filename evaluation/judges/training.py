"""What each judge learns, one small LightningModule each, and all of them one after the other."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.clips import Clip
from evaluation.judges.augmentation import degrade, move
from evaluation.judges.examples import Examples
from evaluation.judges.identity import JudgeEncoder, draw_oval
from evaluation.judges.landmarks import LandmarkNet
from evaluation.judges.sync import SyncNet
from lightning_modules.losses import angular_margin_loss
from lightning_modules.pretraining.fitting import TaskFitter
from lightning_modules.pretraining.task import Task
from lightning_modules.pretraining.tasks import Batch

LEARNING_RATE = 2e-3

MOMENTS = 8
"""Of each clip that the sync judge learns from."""

BATCHES = {"landmarks": Batch(32), "sync": Batch(8, f"clips with {MOMENTS} moments each"), "identity": Batch(64)}
"""By judge, in the order in which they are trained; the command's `--help` tells users of them."""


class FaceTask(Task):
    """Tell public people apart; the centres of the people are thrown away afterwards."""

    def __init__(self, people: int) -> None:
        super().__init__(JudgeEncoder(), LEARNING_RATE)
        self.centres = nn.Parameter(torch.randn(people, self.model.config.embedding_dim))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the angular margin loss of (frames in [-1, 1], person index (batch,))."""
        frames, person = batch
        faces = degrade(change_rooms(self.model.cut_faces(move(frames).pictures)))
        return angular_margin_loss(self.model.recognise(faces), self.centres, person, margin=0.25, scale=20)


def change_rooms(faces: Tensor) -> Tensor:
    """Put around every face, (batch, 3, size, size), what is around the next one, outside an oval of random size.

    Beside a narrow head the judge's own oval still shows some of the room, and a person never changes rooms.
    """
    scale = 0.75 + 0.45 * torch.rand(len(faces), 1, 1, 1)
    kept = draw_oval(faces.shape[-1], scale).to(faces)
    return kept * faces + (1 - kept) * faces.roll(1, dims=0)


class SyncTask(Task):
    """Find, among all sounds of a batch, the one that was under a mouth, and the other way round."""

    def __init__(self) -> None:
        super().__init__(SyncNet(), LEARNING_RATE)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the symmetric InfoNCE loss (CLIP, arXiv 2103.00020) of (frames, mel) as `draw_windows` gives them.

        The original's contrastive loss takes one pair at a time; with all pairs of a batch the same few clips teach
        many times as much.
        """
        frames, mel = batch
        mouths = degrade(self.model.cut_mouths(move(frames.flatten(1, 2)).pictures.view_as(frames)))
        scores = self.model.log_scale.exp() * self.model.see_mouths(mouths) @ self.model.hear(mel).T
        own = torch.arange(len(scores), device=scores.device)
        return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2


class PointTask(Task):
    """Find the points of drawn faces."""

    def __init__(self) -> None:
        super().__init__(LandmarkNet(), LEARNING_RATE)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the mean distance per coordinate, in hundredths of the frame, of (frames, points in [0, 1])."""
        frames, points = batch
        moved = move(frames)
        return 100 * F.l1_loss(self.model(degrade(moved.pictures)), moved.carry(points))


def fit_judges(fitter: TaskFitter, people: dict[str, list[Clip]], steps: Mapping[str, int]) -> dict[str, ModelMixin]:
    """Train the judges and return them, all by the names of `available.LOCAL`.

    Args:
        fitter: Trains, and keeps checkpoints.
        people: Clips by person, at least two demo people.
        steps: Optimizer steps of each judge.
    """
    examples = Examples(people)
    # Landmarks first: they ask for demo people, and say so at once.
    landmarks, sync, identity = PointTask(), SyncTask(), FaceTask(len(people))
    sizes = {name: batch.size for name, batch in BATCHES.items()}
    fitter.fit("landmarks", landmarks, lambda s: examples.draw_points(sizes["landmarks"], s), steps["landmarks"])
    fitter.fit("sync", sync, lambda s: examples.draw_windows(sizes["sync"], MOMENTS, s), steps["sync"])
    fitter.fit("identity", identity, lambda s: examples.draw_faces(sizes["identity"], s), steps["identity"])
    return {"identity": identity.model, "sync": sync.model, "landmarks": landmarks.model}
