"""An evaluation in TensorBoard: every mean as a scalar, figures as images, the report as text."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from evaluation.table import Table


def show_evaluation(folder: Path, table: Table, figures: Mapping[str, Path], report: str) -> None:
    """Write TensorBoard events into a folder, in place of those of an earlier evaluation there."""
    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    with SummaryWriter(str(folder)) as board:
        for (system, metric), cell in table.means.items():
            if not isnan(cell.mean):
                board.add_scalar(f"evaluation {metric}/{system}", cell.mean)
        for name, path in figures.items():
            with Image.open(path) as picture:
                board.add_image(f"evaluation/{name}", np.array(picture.convert("RGB")), dataformats="HWC")
        board.add_text("evaluation/report", report)
