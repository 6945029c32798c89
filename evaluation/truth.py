"""What frames of a case are scored against, worked out once for all systems."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from datamodules.audio import WINDOW_FRAMES
from evaluation.cases import Case
from evaluation.metrics.landmarks import Layout
from evaluation.metrics.motion import Flow, find_flow
from evaluation.metrics.tracks import sound_energy
from evaluation.protocols import Judges


@dataclass(frozen=True)
class Truth:
    """A case with what only depends on the recording and its sound."""

    case: Case
    sound: Tensor
    """How loud each frame is, (frames,)."""
    flow: Flow
    decoded: Tensor | None
    """The recorded frames through the VAE, uint8 (frames, 3, height, width), where a system of that name is scored."""
    points: Tensor | None
    """Landmarks of the recorded frames (frames, P, 2), as the judge sees them."""
    layout: Layout | None
    sounds: Tensor | None
    """The sound as the sync judge hears it, (frames - 4, E); None if there is no judge or the clip is too short."""

    @classmethod
    def of(cls, case: Case, judges: Judges, decoded: Tensor | None) -> Truth:
        """Work it out; this takes longer than any metric, because of the optical flow."""
        points, sync = judges.landmarks, judges.sync
        return cls(
            case=case,
            sound=sound_energy(case.waveform, len(case.frames)),
            flow=find_flow(case.frames),
            decoded=decoded,
            points=None if points is None else points.locate(case.frames),
            layout=None if points is None else Layout.of(points.points),
            sounds=None if sync is None or len(case.frames) < WINDOW_FRAMES else sync.embed_sound(case.mel),
        )
