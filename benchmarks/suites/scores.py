"""Scores what people end up with after a job: the denoising loss on their own held-out clips, which are right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from lightning.fabric import Fabric

from benchmarks.suites.args import Settings
from callbacks.held_out_loss import HeldOutLoss
from compute import make_fabric
from datamodules.clients import ClientDataModule
from evaluation.scores import Score
from evaluation.systems import OWN, SHARED
from federation.client_states import ClientState
from launching import read_clients
from lightning_modules.talking_head import TalkingHead
from train import make_parser

HELD_OUT_LOSS = "held-out loss"


@dataclass(frozen=True)
class Adapters:
    """Where the adapters lie that one person ends up with."""

    shared: Path
    identity: Path | None
    """None where nothing was personal."""
    is_federated: bool
    """Whether `shared` is everybody's; otherwise it is this person's own."""


@dataclass(frozen=True)
class Scoring:
    """A model as a job trained it, and the clips that all jobs are scored on."""

    fabric: Fabric
    module: TalkingHead
    data: ClientDataModule
    newcomer: ClientState
    """An identity adapter that changes nothing."""

    @classmethod
    def open(cls, settings: str, clean: Settings) -> Scoring:
        """Build the model of a job and read the clips it is scored on.

        Args:
            settings: All options of the job's training, as YAML.
            clean: The `data` section that takes the place of the job's.
        """
        parser = make_parser([])
        chosen = parser.instantiate(parser.parse_object(yaml.safe_load(settings) | {"data": clean}))
        fabric = make_fabric(chosen.accelerator, 1, "auto", chosen.precision)
        read_clients(chosen.data, chosen.module, processes=1)
        module = fabric.to_device(chosen.module).eval()
        return cls(fabric, module, chosen.data, ClientState.capture(module.personal_parameters()))

    def load(self, adapters: Adapters, *, personal: bool) -> None:
        """Put a person's adapters into the model, without the identity adapter unless `personal`."""
        self.module.load_adapter("shared", adapters.shared)
        if personal and adapters.identity is not None:
            self.module.load_adapter("identity", adapters.identity)
        else:
            self.newcomer.restore(self.module.personal_parameters())


@torch.no_grad()
def score_losses(scoring: Scoring, adapters: Mapping[str, Adapters], batches: int) -> list[Score]:
    """Return the held-out loss of everyone in `adapters` who has a held-out clip, by what the model is given.

    `global adapter` is left out where there is none. `own adapter` is all that the person ends up with: where nothing
    was personal, that is the global adapter again.
    """
    loss, scores = HeldOutLoss(scoring.fabric, scoring.module, scoring.data, batches), []
    for person in [person for person in loss.clients if person in adapters]:
        clips, theirs = loss.batches(person), adapters[person]
        for given in (SHARED, OWN) if theirs.is_federated else (OWN,):
            scoring.load(theirs, personal=given == OWN)
            value = loss.measure(person, clips)
            if not math.isfinite(value):  # left out, the others' mean would look the better for it
                raise ValueError(f"The held-out loss of {person} must be a number. Got {value}, by the {given}.")
            scores.append(Score(given, person, "", HELD_OUT_LOSS, value))
    return scores
