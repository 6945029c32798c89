"""Which networks are at hand to score with."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from diffusers.models.modeling_utils import ModelMixin

from datamodules.reading.cropping import INSIGHTFACE_MODELS
from evaluation.judges.features import FrameFeatures, MouthMotion, PatchDistance
from evaluation.judges.identity import JudgeEncoder
from evaluation.judges.landmarks import LandmarkNet
from evaluation.judges.pretrained import ArcFaceJudge, Inception, load_lpips
from evaluation.judges.sync import SyncNet
from evaluation.protocols import Judges
from lightning_modules.weights import WEIGHTS, fill

ARCFACE = ("*/glintr100.onnx", "*/w600k_r50.onnx", "*/w600k_mbf.onnx")
"""Face encoders of insightface's packs, the most accurate first."""

LOCAL: dict[str, type[ModelMixin]] = {"identity": JudgeEncoder, "sync": SyncNet, "landmarks": LandmarkNet}
"""Judges of our own, each in a folder of its name."""

Network = TypeVar("Network", bound=ModelMixin)
Other = TypeVar("Other")

log = logging.getLogger(__name__)


def find_judges(folder: str | Path = "assets/judges") -> Judges:
    """Return the best network for every question that a folder can answer.

    What `python -m evaluation.judges` wrote serves everything, under its own names. `alexnet.safetensors` (LPIPS) and
    `inception_v3.safetensors` (FID, KID) in the same folder take its place if torchvision is installed, and so does a
    face encoder in `~/.insightface/models`. There is no accepted network here for FVD, and the published SyncNet, which
    hears MFCCs and sees 224 pixels, is not read.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If weights do not fit their network.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"`--judges` must be a folder of judges, as `python -m evaluation.judges` writes one. Got {folder}."
        )
    face = _find_local("identity", folder)
    sync = _find_local("sync", folder)
    return Judges(
        identity=_find_arcface() or face,
        sync=sync,
        landmarks=_find_local("landmarks", folder),
        perceptual=_find_other(load_lpips, folder / "alexnet.safetensors") or (face and PatchDistance(face)),
        inception=_find_other(Inception, folder / "inception_v3.safetensors") or (face and FrameFeatures(face)),
        video=sync and MouthMotion(sync),
    )


def load_judge(kind: type[Network], folder: Path) -> Network:
    """Load a judge of our own, computed in float32 whatever it is stored in.

    Raises:
        ValueError: If the weights are broken, or do not fit the config.
    """
    network = kind.from_config(kind.load_config(folder))
    fill(network, folder)
    return network.eval().requires_grad_(False)


def _find_local(name: str, folder: Path) -> ModelMixin | None:
    return load_judge(LOCAL[name], folder / name) if (folder / name / WEIGHTS).is_file() else None


def _find_other(load: Callable[[Path], Other], weights: Path) -> Other | None:
    if not weights.is_file():
        return None
    if find_spec("torchvision") is None:
        log.warning("%s is there, and torchvision is not installed: it is left aside.", weights)
        return None
    return load(weights)


def _find_arcface() -> ArcFaceJudge | None:
    found = [path for name in ARCFACE for path in sorted(INSIGHTFACE_MODELS.expanduser().glob(name))]
    return ArcFaceJudge(found[0]) if found else None
