"""Checks and times everything that a GPU is for: `python benchmarks/gpu.py`, under nine minutes on one GPU.

First what must be right, then training and generation at the scale of Stable Diffusion 1.5 with random weights, which
are as fast as trained ones. What was measured is written after every row: one that fails says why, and the others still
run, unless it broke the GPU. Without a GPU the same paths run at toy size, so that the command is known to work; those
figures say nothing and need `--out`.
"""

import gc
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # run by its path, Python knows this folder alone

import torch

from benchmarks.report import RESULTS, Bar, markdown_table, save_results
from commandline import run_command
from whole_files import save_text


@dataclass(frozen=True)
class Row:
    """What became of one measurement."""

    name: str
    bars: list[Bar]
    seconds: float
    failure: str | None = None


def measure_gpu(out: str | None = None, minutes: float = 8.5, only: list[str] | None = None) -> list[Row]:
    """Run all checks and measurements, print them, and write them as JSON with a Markdown table beside it.

    Args:
        out: The JSON file; benchmarks/results/<device>.json if there is a GPU.
        minutes: No row is begun after this time.
        only: Names of rows, if not all are wanted.
    """
    from benchmarks.on_gpu.rows import make_rows

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if out is None and device.type == "cpu":
        raise ValueError("`--out` must name a file where there is no GPU: toy figures belong into no result. Got none.")
    measures = make_rows(device)
    if unknown := sorted(set(only or ()) - measures.keys()):
        raise ValueError(f"`--only` must name rows of: {', '.join(measures)}. Got {', '.join(unknown)}.")
    path = Path(out) if out is not None else RESULTS / f"{torch.cuda.get_device_name().replace(' ', '_')}.json"
    end = time.monotonic() + 60 * minutes
    rows: list[Row] = []
    broken = False
    table = ""
    for name in [name for name in measures if not only or name in only]:
        if broken:
            rows.append(Row(name, [], 0.0, "not begun: an earlier row broke the GPU"))
        elif time.monotonic() >= end:
            rows.append(Row(name, [], 0.0, "not begun: out of time"))
        else:
            rows.append(take_row(name, measures[name]))
            broken = not is_usable(device)
        print(f"{name}: {rows[-1].seconds:.0f} s. {rows[-1].failure or 'Done.'}", flush=True)
        table = write_rows(path, rows, toy=device.type == "cpu")
    print(table)
    return rows


def take_row(name: str, measure: Callable[[], list[Bar]]) -> Row:
    """Run one measurement; whatever it raises becomes its reason, since the other rows must still run."""
    start = time.monotonic()
    try:
        bars, failure = measure(), None
    except Exception as error:
        traceback.print_exc()
        bars, failure = [], f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return Row(name, bars, time.monotonic() - start, failure)


def is_usable(device: torch.device) -> bool:
    """Free what a row has left, and return whether the device still works: some errors of CUDA end all use of it."""
    gc.collect()  # models are parts of cycles: what a row left would count as memory of the next one
    try:
        if device.type == "cuda":
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
    except RuntimeError:
        return False
    return True


def write_rows(path: Path, rows: list[Row], toy: bool) -> str:
    """Write the figures, and beside them their table, which is returned."""
    title = "Toy size on a CPU: these figures say nothing.\n\n" if toy else ""
    bars = [bar for row in rows for bar in row.bars]
    entries = [[bar.name, show_figure(bar.value), bar.bar, bar.verdict if bar.bar else ""] for bar in bars]
    entries += [[row.name, "", "", f"FAILED: {row.failure}"] for row in rows if row.failure]
    table = title + markdown_table(["figure", "value", "asked", ""], entries)
    save_results(path, {"toy": toy, "rows": [asdict(row) for row in rows]})
    save_text(path.with_suffix(".md"), table + "\n")
    return table


def show_figure(value: float | None) -> str:
    """Return a figure in as many digits as say something."""
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


if __name__ == "__main__":
    sys.exit(run_command(measure_gpu))
