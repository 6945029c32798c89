"""Where a turning head takes its points: one rough ellipsoid for everybody, enough to lay a reference onto a pose.

Places are in float32, whatever a model is stored in: in 16 bits they are off by up to 8 of 512 pixels.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.precision import at_least_float32

HEAD_SIZE = (0.535, 0.675)
"""Half width and half height of the ellipsoid, in units of half the frame."""
HEAD_DEPTH = 0.85 * HEAD_SIZE[0]
HEAD_CENTRE = (0.0, -0.06)
NECK = (0.07, 0.35)
"""How far below and behind the head's middle it turns, and leans: the middle moves when the head does."""
STILL_BEYOND = (1.4, 2.0)
"""Head radii between which hair gives way to a background that stays where it is."""
SURFACE_CHANNELS = 3
"""Which point of the face a place shows (x, y), and how far inside the head's contour that is (below 0: outside)."""


def project(face: Tensor, motion: Tensor) -> Tensor:
    """Return where points of the face are in the picture.

    Args:
        face: Points of the face seen from the front (..., 2), from the head's middle, in units of half the frame.
            Outside the head's contour they only roll and shift with it.
        motion: Yaw, pitch, roll in units of 30 degrees, shift x and y in units of half the frame (..., 5 or more).
    """
    yaw, pitch, roll = (motion[..., :3] * math.radians(30)).unbind(-1)
    depth, flat = _bulge(face)
    x = face[..., 0] * (1 + flat * (yaw.cos() - 1)) + depth * yaw.sin()
    behind = depth * yaw.cos() - flat * face[..., 0] * yaw.sin()
    y = face[..., 1] * (1 + flat * (pitch.cos() - 1)) - behind * pitch.sin()
    rolled = torch.stack([x * roll.cos() - y * roll.sin(), x * roll.sin() + y * roll.cos()], dim=-1)
    return rolled + _centre(motion)


def unproject(picture: Tensor, motion: Tensor, iterations: int = 5) -> Tensor:
    """Return which points of the face are at places (..., 2) of the picture: the inverse of `project`, by iteration."""
    yaw, pitch, roll = (motion[..., :3] * math.radians(30)).unbind(-1)
    x, y = (picture - _centre(motion)).unbind(-1)
    x, y = x * roll.cos() + y * roll.sin(), y * roll.cos() - x * roll.sin()
    face = torch.stack([x, y], dim=-1)
    for _ in range(iterations):
        depth, flat = _bulge(face)
        across = (x - depth * yaw.sin()) / (1 + flat * (yaw.cos() - 1))
        behind = depth * yaw.cos() - flat * across * yaw.sin()
        face = torch.stack([across, (y + behind * pitch.sin()) / (1 + flat * (pitch.cos() - 1))], dim=-1)
    return face


def lay_on(reference: Tensor, own: Tensor, motion: Tensor) -> Tensor:
    """Move a reference frame to where the head of each frame is: (batch, frames, C, h, w).

    Head and hair go along, the background stays; mouth and lids stay as they are in the reference, and what was hidden
    there cannot be shown.

    Args:
        reference: The reference frame, or features of it (batch, C, h, w).
        own: The head motion it shows itself (batch, 6).
        motion: That of the frames (batch, frames, 6).
    """
    frames = motion.shape[1]
    sources = find_sources(own, motion, *reference.shape[-2:])
    moved = sample(reference.repeat_interleave(frames, dim=0), sources.flatten(0, 1))
    return moved.unflatten(0, (-1, frames))


def find_sources(own: Tensor, motion: Tensor, height: int, width: int) -> Tensor:
    """Return which place of the reference each place of each frame shows: (batch, frames, h, w, 2) as (x, y).

    Args:
        own: The head motion of the reference (batch, 6).
        motion: That of the frames (batch, frames, 6).
        height: Of a frame.
        width: Of a frame.
    """
    own, motion = at_least_float32(own), at_least_float32(motion)
    places = _places(height, width, motion.device).to(motion.dtype)
    face = unproject(places, motion[:, :, None, None])
    attached = ((STILL_BEYOND[1] - _radius(face)) / (STILL_BEYOND[1] - STILL_BEYOND[0])).clamp(0, 1)
    return places + attached * (project(face, own[:, None, None, None]) - places)


def sample(pictures: Tensor, places: Tensor) -> Tensor:
    """Return what pictures (n, C, h, w) show at places (n, h, w, 2) in [-1, 1]; beyond their edges, the edge.

    It is computed in the finer of the two types and returned in the pictures' own.
    """
    dtype = torch.promote_types(pictures.dtype, places.dtype)
    shown = F.grid_sample(pictures.to(dtype), places.to(dtype), padding_mode="border", align_corners=False)
    return shown.to(pictures.dtype)


def face_surface(motion: Tensor, height: int, width: int) -> Tensor:
    """Tell what is where in each frame (batch, frames, 3, h, w), in [-1, 1]: see `SURFACE_CHANNELS`."""
    motion = at_least_float32(motion)
    places = _places(height, width, motion.device).to(motion.dtype)
    face = unproject(places, motion[:, :, None, None])
    return torch.cat([face, 1 - _radius(face)], dim=-1).clamp(-1, 1).movedim(-1, 2)


def _places(height: int, width: int, device: torch.device) -> Tensor:
    """Return the middle of every cell (h, w, 2) as (x, y) in [-1, 1]."""
    rows, columns = ((2 * torch.arange(n, device=device) + 1) / n - 1 for n in (height, width))
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)


def _radius(face: Tensor) -> Tensor:
    return (face / _constant(HEAD_SIZE, face.dtype, face.device)).norm(dim=-1, keepdim=True)


def _bulge(face: Tensor) -> tuple[Tensor, Tensor]:
    """Return how far the surface stands out at points of the face, and the share in [0, 1] by which it turns along."""
    inside = (1 - (face / _constant(HEAD_SIZE, face.dtype, face.device)).square().sum(-1)).clamp_min(0).sqrt()
    return HEAD_DEPTH * inside, inside


def _centre(motion: Tensor) -> Tensor:
    yaw, pitch, roll = (motion[..., :3] * math.radians(30)).sin().unbind(-1)
    turned = torch.stack([NECK[0] * yaw + NECK[1] * roll, -NECK[0] * pitch], dim=-1)
    return _constant(HEAD_CENTRE, motion.dtype, motion.device) + motion[..., 3:5] + turned


@cache
def _constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return numbers on a device, copied there once: the host waits for every copy."""
    return torch.tensor(values, dtype=dtype, device=device)
