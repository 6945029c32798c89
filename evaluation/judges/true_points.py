"""Where the points of a demo person's face truly are: how it was drawn is known."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.clips import FPS, Clip
from datamodules.demo.face import EYE_HEIGHT, NOSE, NOSE_LIFT, outline
from datamodules.demo.mouth import ACROSS, shape_mouth
from datamodules.demo.person import CLIENTS, Person, draw_person
from datamodules.demo.recording import clip_randomness
from datamodules.demo.sketch import UNIT_CIRCLE, Pose, Sketch
from datamodules.demo.speech import articulate

LOWEST = len(UNIT_CIRCLE) // 4
"""The chin's place in the outline of a head, which begins at the right and goes down."""


def points_of_clip(clip: Clip) -> Tensor:
    """Return the points of every frame of a demo person's clip, (frames, points, 2), as `points_of_pose` does.

    The clip knows its motion and how far the mouth is open; how wide it is follows from the seed.

    Raises:
        ValueError: If the clip is no whole recording of a demo person by this generator.
    """
    unknown = ValueError(f"True points are known of whole clips by `make_demo_people` alone. Got {clip.path}.")
    seed = seed_of(clip.person)
    number = clip.name.removeprefix("clip_")
    if seed is None or not number.isdigit() or clip.motion is None:
        raise unknown
    spoken = articulate(len(clip.frames), FPS, clip_randomness(seed, int(number)))
    if not np.allclose(spoken.opening, clip.mouth, atol=1e-5):
        raise unknown
    person = draw_person(seed)
    tracks = zip(clip.motion.tolist(), spoken.opening, spoken.width, strict=True)
    poses = [Pose(*move[:3], (move[3], move[4]), move[5], opening, width) for move, opening, width in tracks]
    return torch.stack([points_of_pose(person, pose) for pose in poses])


def seed_of(name: str) -> int | None:
    """Return the seed of a demo person's folder name, None for anybody else's."""
    if name.startswith("p") and name[1:].isdigit():
        return int(name[1:])
    return next((seed for seed, client in CLIENTS.items() if client.name == name), None)


def points_of_pose(person: Person, pose: Pose) -> Tensor:
    """Return x and y of each of `landmarks.POINTS`, (points, 2), as fractions of width and height from the top left."""
    sketch = Sketch(Image.new("RGB", (1, 1)), person, pose)
    mouth = shape_mouth(person, pose)
    middle = len(ACROSS) // 2
    inner, outer = person.eye_gap - person.eye_size, person.eye_gap + person.eye_size
    eyes = [(x, EYE_HEIGHT) for x in (-outer, -inner, inner, outer)]
    lips = [
        (-mouth.half, mouth.middle[0]),
        (mouth.half, mouth.middle[-1]),
        (0, mouth.top[middle]),
        (0, mouth.bottom[middle]),
    ]
    placed = [
        sketch.on_face(np.array(eyes)),
        sketch.on_face(np.array([NOSE]), lift=NOSE_LIFT),
        sketch.on_face(np.array(lips)),
        sketch.flat(outline(person, pose)[LOWEST, None]),
    ]
    return torch.from_numpy((np.concatenate(placed) + 1) / 2).float()
