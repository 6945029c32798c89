"""From noise to frames: windows that overlap, agree at every step, and all hold on to the one reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import tee

import torch
from torch import Tensor

from lightning_modules.args import Details
from lightning_modules.backbone import Backbone
from lightning_modules.conditioning import MOTION_CHANNELS
from lightning_modules.denoised import Denoised, decode_stream
from lightning_modules.details import MovedReference, move_with_details
from lightning_modules.diffusion import sampling_times, step_down
from lightning_modules.precision import at_least_float32
from lightning_modules.reference import Conditions, Reference, copied_latents
from lightning_modules.windowing import Group, group_windows, step_groups

TEMPERATURE = 0.5
"""Standard deviation of the start noise for bases that start from a copy, which shows most of a frame already. At 1, as
in training, mouths follow the sound less and frames change more from one to the next; at 0 there is next to no further
gain (docs/base_model.md)."""

MOST_SEQUENCES = 65_535
"""That attention takes at once on a GPU, in some versions of torch: motion modules see a sequence for each place."""

OVERLAP = 3
"""Frames that neighbouring windows share."""


@dataclass(frozen=True)
class SamplingOptions:
    """How frames are made of noise."""

    steps: int = 10
    """Denoising steps."""
    seed: int = 0
    """Of the start noise, which depends neither on the device nor on `batch`."""
    temperature: float | None = None
    """The start noise's standard deviation, in [0, 1]: below 1 frames are nearer to the likeliest ones. None is
    `TEMPERATURE` for a base that starts from a copy (`copying`), and 1 for others, which blur below it."""
    guidance_scale: float = 1.0
    """1 is none; above 1 follows the sound more (Ho & Salimans, arXiv 2207.12598, eq. 6)."""
    batch: int = 8
    """Windows denoised at once."""
    details: Details = "decoded"
    """What the autoencoder loses of each frame is found on the moved reference (decoded), or on the still one and moved
    (warped), which is faster and restores two thirds as much (docs/speed.md)."""

    def temperature_for(self, backbone: Backbone) -> float:
        """Return the temperature, chosen for a base model where none is given."""
        if self.temperature is not None:
            return self.temperature
        return 1.0 if backbone.spread is None else TEMPERATURE


@dataclass(frozen=True)
class GroupInputs:
    """A group of windows and what the denoiser is given of them beside the noisy latents: the same at every step."""

    group: Group
    conditions: Conditions
    moved: MovedReference | None
    """Of the group's frames; None where no head motion is known, and for bases without a mover, whose copies are too
    rough for details."""


def animate(
    backbone: Backbone, portrait: Tensor, sound: Tensor, options: SamplingOptions, *, motion: Tensor | None = None
) -> Tensor:
    """Make a portrait speak: RGB frames, uint8 (frames, 3, height, width); arguments are those of `stream_denoised`."""
    denoised = stream_denoised(backbone, portrait, sound, options, motion=motion)
    return torch.cat(list(decode_stream(backbone, denoised)))


@torch.no_grad()
def stream_denoised(
    backbone: Backbone,
    portrait: Tensor,
    sound: Tensor,
    options: SamplingOptions,
    *,
    motion: Tensor | None = None,
    progress: Callable[[int], object] | None = None,
) -> Iterator[Denoised]:
    """Denoise a clip of any length, in order of time, with DDIM (Song et al., arXiv 2010.02502; eta = 0).

    Each window sees the reference, so nothing accumulates over time. What is held at once does not grow with the clip,
    but for `sound` and `motion`.

    Args:
        backbone: The model, with whatever adapters it carries.
        portrait: One RGB frame, uint8 (3, height, width) at the base model's size.
        sound: (frames, steps, features), one window for each frame to make: log-mel windows (frames, 20, 80), or what
            the base's speech model returns.
        options: Steps, start noise, guidance and windows.
        motion: Head motion (frames, 6), or None to leave it to the model.
        progress: Called after each step of a group of windows with the number of frames that have taken it.

    Yields:
        The clip's frames, some at a time.
    """
    times = sampling_times(backbone.scheduler, options.steps)
    reference = backbone.encode_reference(portrait)
    most = max(1, MOST_SEQUENCES // reference.latents[0, 0].numel())
    groups = group_windows(len(sound), backbone.shape.window, OVERLAP, min(options.batch, most))
    prepared = (_prepare_group(backbone, reference, sound, motion, group, options.details) for group in groups)
    temperature = options.temperature_for(backbone)
    latents = (temperature * piece for piece in draw_noise(groups, reference.latents, options.seed))
    # Each step is at a group behind that of the step before, and decoding behind them all: `steps` groups are held.
    for_decoding, *for_each_step = tee(prepared, len(times) + 1)
    for timestep, following, inputs in zip(times, [*times[1:], None], for_each_step, strict=True):
        predict = partial(_predict, backbone, timestep, options.guidance_scale)
        conditioned = ((one.group, one.conditions) for one in inputs)
        step = partial(step_down, backbone.scheduler, timestep, following)
        latents = step_groups(latents, conditioned, predict, step)
        latents = latents if progress is None else _count(latents, progress)
    # A piece holds the group's frames that no later one shows.
    for piece, inputs in zip(latents, for_decoding, strict=True):
        yield Denoised(piece, inputs.moved and inputs.moved.cut(slice(len(piece))))


def draw_noise(groups: list[Group], like: Tensor, seed: int) -> Iterator[Tensor]:
    """Yield the start noise of a clip in pieces, as if it had been drawn at once.

    torch draws normal numbers sixteen at a time: pieces that do not end there would change what follows.
    """
    generator = torch.Generator().manual_seed(seed)
    first = 0
    frame = like.shape[1:]
    ends = [group.end for group in groups] if frame.numel() % 16 == 0 else [groups[-1].end]
    for end in ends:
        yield torch.randn(end - first, *frame, generator=generator).to(like, non_blocking=True)
        first = end


def _count(pieces: Iterator[Tensor], progress: Callable[[int], object]) -> Iterator[Tensor]:
    for piece in pieces:
        progress(len(piece))
        yield piece


def _prepare_group(
    backbone: Backbone, reference: Reference, sound: Tensor, motion: Tensor | None, group: Group, details: Details
) -> GroupInputs:
    """Return what the denoiser is given of some windows of a clip.

    Windows overlap, so the reference is moved for the whole group at once, and not for each window.
    """
    like, first, is_posed = reference.latents, group.rows[0].start, motion is not None
    moves = motion if is_posed else sound.new_zeros(len(sound), MOTION_CHANNELS)
    shown = moves[None, first : group.end].to(at_least_float32(like), non_blocking=True)
    moved, lost = _move_reference(backbone, reference, shown, details) if is_posed else (None, None)
    posed_rows = torch.arange(int(is_posed), device=like.device)
    extra_channels = backbone.make_extra_channels(reference, shown, posed_rows, moved)

    count = len(group.rows)
    everywhere = Reference(*(part.expand(count, *part.shape[1:]) for part in vars(reference).values()))
    heard, moving = (
        torch.stack([track[rows] for rows in group.rows]).to(like, non_blocking=True) for track in (sound, moves)
    )
    cut = torch.stack([extra_channels[0, rows.start - first : rows.stop - first] for rows in group.rows])
    conditions = backbone.conditions(everywhere, heard, moving, like.new_full((count,), float(is_posed)), cut)
    if moved is None or backbone.mover is None:
        return GroupInputs(group, conditions, None)
    latents = copied_latents(extra_channels)[0]
    return GroupInputs(group, conditions, MovedReference(moved[0], latents, None if lost is None else lost[0]))


def _move_reference(
    backbone: Backbone, reference: Reference, motion: Tensor, details: Details
) -> tuple[Tensor, Tensor | None]:
    """Return a reference laid onto head motion and, if that is to be moved along, what the autoencoder loses of it."""
    if backbone.mover is not None and details == "warped":
        return move_with_details(backbone, reference, motion)
    return backbone.move(reference, motion), None


def _predict(backbone: Backbone, timestep: int, scale: float, z_t: Tensor, conditions: Conditions) -> Tensor:
    """Return the prediction for some windows (windows, frames, C, h, w).

    Where `scale` is not 1, by classifier-free guidance (Ho & Salimans, arXiv 2207.12598, eq. 6): away from what is
    predicted without the sound.
    """
    times = torch.full((len(z_t),), timestep, device=z_t.device)
    predicted = backbone.predict(z_t, times, conditions)
    if scale == 1.0:
        return predicted
    who, sound, moves = conditions.streams
    without_sound = replace(conditions, streams=[who, torch.zeros_like(sound), moves])
    unconditional = backbone.predict(z_t, times, without_sound)
    return unconditional + scale * (predicted - unconditional)
