"""What makes frames of a case: the base model and every adapter of a run, with the pose given and from sound alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from evaluation.anchors import (
    AUTOENCODER,
    CLEAN,
    NOISE,
    RECORDED,
    STATIC,
    clean_render,
    drawn_seed,
    noise,
    static_copy,
    through_autoencoder,
)
from evaluation.cases import Case
from evaluation.finished_run import FinishedRun
from evaluation.frames_on_disk import to_disk
from lightning_modules.backbone import Backbone

BASE = "base"
SHARED = "global adapter"
OWN = "own adapter"
STRANGER = "nearest stranger's adapter"
POSE = "pose given"
SOUND = "sound alone"
OTHER_SOUND = "another's sound"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class System:
    """One way of generating: which adapters act, and what drives the portrait."""

    name: str
    adapter: Callable[[Case], Path | None]
    """Folder of the adapter that acts for a case; None is the base model."""
    posed: bool
    """Whether the true head motion is given; if not, frames are made as `generate.py` makes them from sound alone."""
    sound: Callable[[Case], Tensor] = lambda case: case.sound
    """What is heard, (frames, steps, features)."""


def make_anchors(backbone: Backbone, cases: Sequence[Case], scratch: Path) -> dict[str, list[Tensor]]:
    """Return the frames of each case by anchor; clean renders only where all cases are of demo people.

    Args:
        backbone: Whose autoencoder is an anchor.
        cases: What is generated.
        scratch: A folder on the disk that the frames lie on, see `to_disk`.
    """
    made = {
        NOISE: [to_disk(noise(case), scratch) for case in cases],
        STATIC: [static_copy(case) for case in cases],
        RECORDED: [case.frames for case in cases],
        AUTOENCODER: [to_disk(through_autoencoder(backbone, case.frames), scratch) for case in cases],
    }
    if all(drawn_seed(case) is not None for case in cases):
        made[CLEAN] = [to_disk(clean_render(case), scratch) for case in cases]
    return made


def list_systems(
    run: FinishedRun, cases: Sequence[Case], strangers: Mapping[str, str], *, knows_motion: bool
) -> list[System]:
    """Return all systems that these cases and the base model allow, the simplest first.

    The last one hears another person's sound: whatever follows the sound must get worse by it.

    Args:
        run: The run.
        cases: What is generated.
        strangers: By client, whose adapter is the nearest stranger's.
        knows_motion: Whether the base model was trained with known head motion; else it is given none.
    """
    adapters: dict[str, Callable[[Case], Path | None]] = {BASE: lambda case: None, SHARED: lambda case: run.shared}
    if all(run.own(case.person) for case in cases):
        adapters[OWN] = lambda case: run.own(case.person)
    if OWN in adapters and strangers:
        adapters[STRANGER] = lambda case: run.own(strangers[case.person])
    is_known = knows_motion and all(case.motion is not None for case in cases)
    poses = [POSE, SOUND] if is_known else [SOUND]
    systems = [
        System(f"{name}, {pose}", adapter, posed=pose == POSE) for pose in poses for name, adapter in adapters.items()
    ]
    if len({case.person for case in cases}) > 1:
        best = list(adapters)[min(2, len(adapters) - 1)]
        sounds = swap_sounds(cases)
        heard = lambda case: sounds[case.person, case.name]  # noqa: E731
        systems.append(System(f"{best}, {OTHER_SOUND}", adapters[best], posed=POSE in poses, sound=heard))
    return systems


def swap_sounds(cases: Sequence[Case]) -> dict[tuple[str, str], Tensor]:
    """Return for each person and clip the sound of the next person in the list, repeated if it is shorter."""
    people = list(dict.fromkeys(case.person for case in cases))
    first = {person: next(case for case in cases if case.person == person) for person in people}
    follower = dict(zip(people, [*people[1:], people[0]], strict=True))
    swapped = {}
    for case in cases:
        sound = first[follower[case.person]].sound
        swapped[case.person, case.name] = sound[torch.arange(len(case.sound)) % len(sound)]
    return swapped


@torch.no_grad()
def nearest_strangers(run: FinishedRun, backbone: Backbone) -> dict[str, str]:
    """Return for each client the other client who looks most alike to the model's own face encoder.

    The encoder only chooses here; it scores nothing.
    """
    owners = [client for client in run.data.clients if run.own(client)]
    if len(owners) < 2:
        return {}
    portraits = torch.stack([run.data.splits(client)["train"][0].frames[0] for client in owners])
    embedded = backbone.embed(portraits.to(backbone.device) / 127.5 - 1)
    alike = (embedded @ embedded.T).fill_diagonal_(-2)
    return {client: owners[int(alike[row].argmax())] for row, client in enumerate(owners)}
